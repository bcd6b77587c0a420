public import AgentAPI
internal import AgentConfiguration
internal import ConfigDecode
internal import ConfigSnapshot
internal import Curl
internal import Glibc

/// All that somebody who is to help needs to know of an agent, in one archive without secrets and without the values
/// that services read.
public struct SupportBundle {
    /// Why there is no archive.
    public struct Failure: Error, Sendable, Hashable {
        /// What happened, where and why.
        public let message: String
        /// What to do about it.
        public let remedy: String?
    }

    /// A file in the archive, or one that is missing from it.
    public struct Entry: Sendable, Hashable {
        /// Its path in the archive.
        public var name: String
        /// What it is, in a few words.
        public var what: String
        public var bytes: [UInt8]
        /// Why it is not there, or not whole.
        public var note: String?
    }

    /// What is in it, the list of contents first.
    public let entries: [Entry]
    /// The name of the directory in the archive, and of the archive without its suffix.
    public let name: String
    private let time: Int64

    static let maxAnswer = 8 << 20
    static let maxJournal = 8 << 20

    /// Gathers everything. Blocks for as long as that takes, each part bounded.
    ///
    /// - Parameter doctor: what doctor found, as text.
    public static func collect(_ options: Doctor.Options, doctor: String, report: DoctorReport) -> SupportBundle {
        let scene = Scene.gather(options)
        let (files, secrets) = configurationFiles(options.configuration)
        var entries = [
            Entry(name: "doctor.txt", what: "what agentctl doctor found", bytes: Array(doctor.utf8)),
            Entry(name: "doctor.json", what: "the same as JSON", bytes: (try? WireJSON.encodePretty(report)) ?? []),
        ]
        entries += answers(scene) + files + HostFacts.entries(pid: scene.pid)
        // Those that are kept elsewhere are known from the configuration as it was loaded.
        let loaded = scene.configuration?.sources.flatMap { $0.headers.map(\.value) } ?? []
        let scrubber = Scrubber(secrets + loaded)
        entries = entries.map { entry in
            var entry = entry
            entry.bytes = scrubber.scrub(entry.bytes)
            return entry
        }
        return SupportBundle(entries, now: WallClock.nowNanoseconds / 1_000_000_000, host: SystemText.hostName)
    }

    init(_ entries: [Entry], now: Int64, host: String) {
        let digits = WireTime(unixMilliseconds: now * 1000).description.prefix(19).filter { $0 != "-" && $0 != ":" }
        name = "agent-support-\(host)-\(digits)Z"
        time = now
        let manifest = Entry(name: "MANIFEST", what: "this list", bytes: Array(Self.manifest(name, entries).utf8))
        self.entries = [manifest] + entries
    }

    // MARK: Contents

    private static func manifest(_ name: String, _ entries: [Entry]) -> String {
        let widest = entries.map(\.name.count).max() ?? 0
        let lines = entries.map { entry in
            let padding = String(repeating: " ", count: widest - entry.name.count)
            let note = entry.note.map { "; \($0)" } ?? ""
            return "\(entry.name)\(padding)  \(entry.bytes.count) bytes: \(entry.what)\(note)"
        }
        return """
            \(name), by agentctl \(Version.text)

            \(lines.joined(separator: "\n"))

            Left out on purpose: the values that services read, stored copies of documents, private keys, and in the
            agent's configuration all comments, header values, users and query values of URLs, and what has a name
            like password, secret, token, key or credential. What was taken out reads \(Redaction.removed), wherever
            it appears. Please look through the files all the same before you send them to anybody.

            """
    }

    private static func answers(_ scene: Scene) -> [Entry] {
        let requests = [
            ("status.json", Routes.status), ("sources.json", Routes.sources), ("locks.json", Routes.locks),
            ("healthz.json", Routes.healthz), ("metrics.txt", Routes.metrics),
        ]
        let client = client(scene.paths.statusSocket, scene)
        return requests.map { file, path in
            let what = "the agent's answer to \(path)"
            // Connecting to a socket of systemd's would start a stopped agent.
            guard scene.isRunning else { return missing(file, what, "no agent runs") }
            do throws(LocalClient.Failure) {
                return Entry(name: file, what: what, bytes: try client.request(path: path).body)
            } catch {
                guard let other = fromLocksSocket(path, scene) else {
                    return missing(file, what, AgentChecks.words(error))
                }
                return Entry(name: file, what: what, bytes: other.bytes, note: other.note)
            }
        }
    }

    /// What the workers do not answer can be had without them, as far as it is about locks.
    private static func fromLocksSocket(_ path: String, _ scene: Scene) -> (bytes: [UInt8], note: String)? {
        let name = AgentPaths.locksSocketName
        let source = "the agent's workers do not answer; these figures come from its \(name)"
        let notes = [Routes.locks: source, Routes.metrics: "\(source), which has those of locks only"]
        guard let note = notes[path],
            let answer = try? client(scene.paths.locksSocket, scene).request(path: path), answer.status == 200
        else { return nil }
        return (answer.body, note)
    }

    private static func client(_ socketPath: String, _ scene: Scene) -> LocalClient {
        LocalClient(
            socketPath: socketPath,
            timeoutMilliseconds: scene.options.timeoutMilliseconds,
            maxBytes: maxAnswer
        )
    }

    static func missing(_ name: String, _ what: String, _ reason: String) -> Entry {
        Entry(name: "\(name).error", what: what, bytes: Array((reason + "\n").utf8), note: "not there: \(reason)")
    }

    /// - Returns: the files without their secrets, and the secrets that were in them.
    private static func configurationFiles(_ path: String) -> (entries: [Entry], secrets: [String]) {
        let files = ConfigurationFileList.files(at: path)
        if files.isEmpty {
            return ([missing("config/agent.yaml", "the agent's configuration", "nothing to read at \(path)")], [])
        }
        var entries: [Entry] = []
        var secrets: [String] = []
        for (number, file) in files.enumerated() {
            let name = "config/\(number + 1)-\(fileName(file))"
            do throws(FileFacts.Failure) {
                let bytes = try SmallFile.read(file, limit: Redaction.maxFile)
                let redacted = redact(file, bytes)
                entries.append(Entry(name: name, what: "\(file) without its secrets", bytes: Array(redacted.text.utf8)))
                secrets += redacted.secrets
            } catch {
                entries.append(missing(name, file, "cannot be read: \(error.text)"))
            }
        }
        return (entries, secrets)
    }

    private static func redact(_ file: String, _ bytes: [UInt8]) -> (text: String, secrets: [String]) {
        do throws(DecodeError) {
            return try Redaction.configuration(bytes)
        } catch {
            // Where it cannot be told what is a secret, everything may be one.
            return ("\(file): \(bytes.count) bytes that are no YAML: \(error)\n", [])
        }
    }

    /// The last part of a path, short enough for an archive.
    private static func fileName(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? "file"
        return String(name.filter { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) }.suffix(60))
    }

    // MARK: On disk

    /// The archive's name unless another is given.
    public var fileName: String { name + ".tar.gz" }

    /// Writes the archive to a new file that only its owner may read. An existing file is never replaced.
    public func write(to path: String) throws(Failure) {
        var tar = Tar(directory: name, time: time)
        for entry in entries { tar.add(entry.name, entry.bytes) }
        tar.finish()
        guard let packed = Gzip.compress(tar.bytes) else {
            throw Failure(message: "cannot pack the archive: there is no memory for it", remedy: nil)
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            let remedy =
                errno == EEXIST
                ? "name another file: nothing is replaced" : "name a file in a directory that can be written"
            throw Failure(message: "cannot make \(path): \(SystemText.error(errno))", remedy: remedy)
        }
        defer { close(descriptor) }
        var rest = packed[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used only during the call, for as many bytes as there are.
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let reason = SystemText.error(errno)
                unlink(path)
                throw Failure(message: "cannot write \(path): \(reason)", remedy: "name a file where there is room")
            }
            rest = rest.dropFirst(count)
        }
    }
}

import ConfigGuard
import ConfigSnapshot
import ConfigTrust
import Glibc
import TestSupport
import Testing

@testable import AgentConfiguration

/// A directory that is gone when the test is over.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/agent-configuration-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit {
        for name in names { if unlink(path + "/" + name) != 0 { rmdir(path + "/" + name) } }
        rmdir(path)
    }

    private var names: [String] = []

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = try #require(fopen(path + "/" + name, "w"))
        names.append(name)
        defer { fclose(file) }
        let bytes = Array(text.utf8)
        try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        return path + "/" + name
    }

    func makeDirectory(_ name: String) {
        mkdir(path + "/" + name, 0o755)
        names.append(name)
    }
}

func loadComplaints(_ path: String) -> [String] {
    do {
        _ = try AgentConfiguration.load(path: path)
        return []
    } catch {
        return error.list.map(\.description)
    }
}

@Suite("Files and directories")
struct FileTests {
    @Test func shippedFile() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let agent = try AgentConfiguration.load(path: "/\(root)/etc/agent/agent.yaml")
        #expect(agent.sources.map(\.name.text) == ["app"])
        #expect(agent.sources[0].path == "/etc/agent/app.json")
        // What the comments give as defaults has to be the defaults.
        var expected = AgentConfiguration()
        let name = try #require(SourceName("app"))
        let path = "/etc/agent/app.json"
        expected.sources = [SourceConfiguration(name: name, url: "file://" + path, kind: .file, path: path)]
        #expect(agent == expected)
        try uncommented("/\(root)/etc/agent/agent.yaml", expected)
    }

    /// With every commented key in force the file still reads, and says the same as without.
    private func uncommented(_ path: String, _ expected: AgentConfiguration) throws {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        let lines = String(decoding: bytes[..<count], as: UTF8.self).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        let text = lines.map { line in
            guard let hash = line.firstIndex(of: "#"), line[..<hash].allSatisfy({ $0 == " " }) else { return line }
            let rest = line[hash...].dropFirst()
            // Prose has a space after its '#', and so has what belongs to a commented section.
            let isProse = rest.hasPrefix(" ") && !rest.hasPrefix("  ")
            return isProse ? line : line[..<hash] + rest
        }
        let all = text.joined(separator: "\n").replacing(
            "layers: [app]",
            with: "layers: [app, remote, sidecar, flags, bucket]"
        )
        let scratch = try TemporaryDirectory()
        try scratch.write("keys/app.pub", PrivateKey().publicKey.pem)
        var agent = try AgentConfiguration.parse(
            yaml: Array(
                all.replacing("X-Api-Key", with: "#").replacing("/etc/agent/keys", with: scratch.path + "/keys").utf8
            ),
            file: "agent.yaml",
            credentials: Credentials(directory: "/run/credentials/agent.service", mayBeMissing: true)
        )
        #expect(agent.sources.map(\.name.text) == ["app", "remote", "sidecar", "flags", "bucket"])
        #expect(agent.sources[1].tls.key?.path == "/run/credentials/agent.service/client-key")
        #expect(agent.sources[1].headers.map(\.name) == ["X-Site", "Authorization"])
        #expect(agent.limits.connections == 16_384)
        agent.limits.connections = nil
        agent.limits.connectionsPerPeer = nil
        #expect(agent.sources[1].connectTimeout == expected.sources[0].connectTimeout)
        #expect(agent.sources[2].unixSocket == "/run/sidecar/http.sock")
        #expect(agent.sources[3].auth.user == "agent" && agent.sources[3].auth.password == "?")
        #expect(agent.sources[4].region == "eu-central-1" && agent.sources[4].endpoint == "https://s3.example.com")
        agent.sources.removeLast(4)
        let verification = try #require(agent.sources[0].verification)
        #expect(verification.policy.audience == ["web", "host-7"] && verification.signature == .beside)
        agent.sources[0].verification = nil
        #expect(agent.sources[0].rules.required.count == 2 && agent.sources[0].rules.keys.count == 3)
        #expect(agent.sources[0].rules.refusesEmpty && agent.sources[0].rules.maxShrink == 30)
        agent.sources[0].rules = GuardRules()
        agent.sources[0].format = nil
        agent.workers = expected.workers
        #expect(agent.secretFiles.contains("/etc/agent/tls/ca.pem"))
        agent.secretFiles = []
        #expect(agent == expected)
    }

    @Test func directory() throws {
        let scratch = try Scratch()
        try scratch.write("10-base.yaml", "workers: 1\nsources:\n  a: {url: \"http://a/\", poll: 5s}\nlayers: [a]\n")
        try scratch.write(
            "20-more.yml",
            "workers: 2\nsources:\n  b: {url: \"http://b/\"}\n  a: {poll: {min: 7s, max: 8s}}\nlayers: [b, a]\n"
        )
        try scratch.write("15-empty.yaml", "# nothing\n")
        try scratch.write("16-null.yaml", "---\n")
        try scratch.write("README", "not: [yaml")
        try scratch.write(".hidden.yaml", "workers: 9\n")
        try scratch.write("30.yaml.bak", "workers: 9\n")
        for path in [scratch.path, scratch.path + "/"] {
            let agent = try AgentConfiguration.load(path: path)
            #expect(agent.workers == 2)
            #expect(agent.sources.map(\.name.text) == ["b", "a"])
            #expect(agent.sources[1].url == "http://a/")
            #expect(agent.sources[1].poll == SourceConfiguration.Poll(min: .seconds(7), max: .seconds(8)))
        }
    }

    /// A section replaces a value of another kind, so that only the last word is judged.
    @Test func laterFilesReplaceOtherKinds() throws {
        let scratch = try Scratch()
        try scratch.write("1.yaml", "sources:\n  a: {url: \"http://a/\", poll: {min: nonsense}}\nlocks: 5\n")
        try scratch.write("2.yaml", "sources:\n  a: {poll: 5s}\nlocks: {report: 1m}\n")
        #expect(try AgentConfiguration.load(path: scratch.path).sources[0].poll.max == .milliseconds(5500))
    }

    @Test func errorsNameTheirFiles() throws {
        let scratch = try Scratch()
        let first = try scratch.write("1.yaml", "\n\nworkers: none\nsources:\n  a: {url: \"http://a/\"}\n")
        let second = try scratch.write("2.yaml", "sources:\n  a: {pol: 5s}\nlayers: [b]\n")
        #expect(
            loadComplaints(scratch.path) == [
                "\(first):3:10: workers: expected a whole number, found 'none'; write it in digits, without quotes",
                "\(first):5:3: sources.a: never read: not among the layers; add it to 'layers' or remove it",
                "\(second):2:7: sources.a.pol: unknown key; did you mean 'poll'?",
                "\(second):3:10: layers: there is no source 'b'; did you mean 'a'?",
            ]
        )
    }

    @Test func everyUnreadableFile() throws {
        let scratch = try Scratch()
        let first = try scratch.write("1.yaml", "a: 1\na: 2\n")
        try scratch.write("2.yaml", "workers: none\n")
        let third = try scratch.write("3.yaml", "[")
        let complaints = loadComplaints(scratch.path)
        #expect(complaints.count == 2)
        #expect(complaints.first == "\(first):2:1: 'a' stands twice in one mapping")
        #expect(complaints.last?.hasPrefix("\(third):2:1: ") == true)
    }

    @Test func missing() {
        #expect(
            loadComplaints("/nonexistent/agent.yaml")
                == [
                    "/nonexistent/agent.yaml: cannot be read: No such file or directory; put it there, or mend the path"
                ]
        )
    }

    @Test func notRegular() throws {
        #expect(
            loadComplaints("/dev/null")
                == ["/dev/null: not a regular file; name a YAML file or a directory of them"]
        )
        let scratch = try Scratch()
        scratch.makeDirectory("d.yaml")
        #expect(
            loadComplaints(scratch.path)
                == ["\(scratch.path)/d.yaml: not a regular file; name a YAML file or a directory of them"]
        )
        scratch.makeDirectory("e")
        #expect(
            loadComplaints(scratch.path + "/e")
                == ["\(scratch.path)/e: the directory holds no .yaml or .yml file; add one, or name a file"]
        )
    }

    @Test func tooLarge() throws {
        let scratch = try Scratch()
        let source = withSource()
        let filler = String(repeating: "#", count: (1 << 20) - source.utf8.count)
        let path = try scratch.write("a.yaml", source + filler)
        #expect(try AgentConfiguration.load(path: path).sources.count == 1)
        try scratch.write("a.yaml", source + filler + "#")
        #expect(loadComplaints(path) == ["\(path): larger than 1MiB; this cannot be the agent's configuration"])
    }
}

import AgentTestSupport
import ConfigTrust
internal import Crypto
internal import Foundation
import TestSupport
import Testing

/// What was seen of an agent before it was killed.
struct Witness {
    /// By source: the number of the document.
    typealias Numbers = [String: Int]

    private(set) var newest = 0
    private(set) var durable = 0
    private var contents: [Int: Numbers] = [:]

    mutating func saw(generation: Int, durable: Int) {
        newest = max(newest, generation)
        self.durable = max(self.durable, durable)
    }

    mutating func saw(_ numbers: Numbers, in generation: Int) {
        newest = max(newest, generation)
        contents[generation] = numbers
    }

    /// What must have survived, as far as it was seen.
    var survivors: Numbers {
        contents.filter { $0.key <= durable }.max { $0.key < $1.key }?.value ?? [:]
    }

    /// What is behind us: the survivors are all that later checks need.
    mutating func forget() {
        let last = contents.filter { $0.key <= durable }.max { $0.key < $1.key }
        contents = last.map { [$0.key: $0.value] } ?? [:]
    }
}

/// An agent with two sources whose documents change without end, and whoever watches it die.
final class CrashRig: @unchecked Sendable {
    static let sources = ["app", "local"]

    let agent: FaultAgent
    private let remote: RemoteOrigin
    private let sequences = ["app": Sequence(), "local": Sequence()]
    private let lock = NSLock()
    private var isChanging = false
    var witness = Witness()
    /// What went wrong while it ran.
    private(set) var findings: [String] = []

    init() throws {
        let sequences = sequences
        let signer = Signer(PrivateKey())
        let agent = try FaultAgent { directory in
            try directory.write("keys/test.pub", signer.keys[0].publicKey.pem)
            var app = RemoteOrigin.settings(in: directory)
            app.more.append("verify: {keys: \(directory.path("keys")), signature: carried}")
            return AgentSettings(sources: [
                "app": app,
                "local": SourceSettings(url: "file://\(directory.path("local.json"))", poll: "1h"),
            ])
        }
        self.agent = agent
        remote = try RemoteOrigin(in: agent.directory) { _ in
            let number = sequences["app"]?.next() ?? 0
            let document = NumberedDocument.json("app", number, size: NumberedDocument.anySize)
            // Signed, each as a version of its own.
            return .http(200, body: (try? signer.carried(document, UInt64(number))) ?? [])
        }
        try writeLocal()
        try agent.start()
        try agent.waitUntilReady()
    }

    private func writeLocal() throws {
        let number = sequences["local"]?.next() ?? 0
        try agent.directory.write(
            "local.json",
            NumberedDocument.json("local", number, size: NumberedDocument.anySize)
        )
    }

    // MARK: - A life

    /// Changes the documents and looks at the agent until it is gone.
    ///
    /// - Parameter life: after which it is killed, wherever it is then.
    func liveAndDie(after life: Duration) throws {
        remote.comeBack()
        try? writeLocal()
        lock.withLock { isChanging = true }
        let driver = PendingThreads(count: 1) { [self] _ in
            while lock.withLock({ isChanging }) {
                try writeLocal()
                // Its end may come in the middle of an answer.
                _ = try? agent.refresh()
            }
        }
        let killer = PendingThreads(count: 1) { [agent] _ in
            pauseThread(life)
            agent.kill()
        }
        while agent.isRunning { try? look() }
        lock.withLock { isChanging = false }
        _ = try killer.results()
        _ = try driver.results()
        try agent.waitForEnd()
    }

    /// Changes the documents until they are durable, at least as many times.
    func change(_ times: Int) throws {
        remote.comeBack()
        for _ in 0..<times {
            try writeLocal()
            try agent.refresh()
        }
        try agent.waitUntilDurable()
        try look()
    }

    private func look() throws {
        // In this order: what is read is then at least what was durable.
        let status = try agent.status()
        witness.saw(generation: status["generation"].int ?? 0, durable: status["durable_generation"].int ?? 0)
        guard let (numbers, generation) = try read() else { return }
        witness.saw(numbers, in: generation)
    }

    /// - Returns: `nil` when the content is not whole, which is noted.
    private func read() throws -> (Witness.Numbers, generation: Int)? {
        let answer = try agent.value("")
        guard answer.status == 200, let generation = answer.headers["agent-generation"].flatMap({ Int($0) }) else {
            return nil
        }
        let json = try answer.json()
        var numbers: Witness.Numbers = [:]
        for source in Self.sources {
            guard let number = NumberedDocument.sequence(of: json[source]) else {
                findings.append("generation \(generation): \(source) is torn")
                return nil
            }
            numbers[source] = number
        }
        return (numbers, generation)
    }

    /// Nothing can be had from any source from now on.
    func sourcesGoAway() {
        remote.goAway()
        unlink(agent.directory.path("local.json"))
    }

    // MARK: - What is left

    /// Starts the agent on what was left of it and tells what is wrong with that.
    func findingsAfterRestart(deadline: Duration = .seconds(20)) throws -> [String] {
        sourcesGoAway()
        findings += strayFiles()
        try agent.start()
        do {
            try agent.waitUntilReady(deadline: deadline)
        } catch {
            findings.append("it does not come back: \(error)")
        }
        if agent.isRunning { try compare() }
        findings += strayFiles().filter { !findings.contains($0) }
        defer { findings = [] }
        return findings
    }

    private func compare() throws {
        let newest = witness.newest
        guard let (numbers, generation) = try read() else {
            findings.append("there is no configuration")
            return
        }
        if generation <= newest { findings.append("generation \(generation) after \(newest)") }
        for (source, number) in witness.survivors {
            let found = numbers[source] ?? 0
            if found < number { findings.append("\(source) is old: \(found), but \(number) was durable") }
            let last = sequences[source]?.current ?? 0
            if found > last { findings.append("\(source) has \(found), but only \(last) were given out") }
        }
        witness.saw(numbers, in: generation)
        witness.saw(generation: generation, durable: generation)
        witness.forget()
    }

    /// A temporary file for each file that is written is what a crash may leave; nothing is set aside.
    private func strayFiles() -> [String] {
        func names(_ path: String) -> Set<String> {
            Set((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [])
        }
        let expected = Set(Self.sources + Self.sources.map { ".\($0).tmp" })
        let kept: Set<String> = [
            "agentd.lock", "agentd.lock.start", "documents", "generation", ".generation.tmp", "layers", ".layers.tmp",
            "generations", "history", "versions", ".versions.tmp", "versions.copy", ".versions.copy.tmp",
        ]
        let ofGenerations = names(agent.directory.path("state/generations")).filter {
            $0.wholeMatch(of: /[0-9]+|\.[0-9]+\.tmp/) == nil
        }
        let ofHistory = names(agent.directory.path("state/history")).filter {
            $0.wholeMatch(of: /\.?(app|local)\.[0-9a-f]{32}(\.tmp)?/) == nil
        }
        let strays = names(agent.documents).subtracting(expected).map { "documents/\($0)" }
        let halves = [("generations", ofGenerations), ("history", ofHistory)].flatMap { place, names in
            names.map { "\(place)/\($0)" }
        }
        return (strays + halves + names(agent.directory.path("state")).subtracting(kept)).sorted().map {
            "stray file \($0)"
        }
    }
}

/// The agent dies without a word, at any time.
@Suite("Crashes")
struct CrashTests {
    private static let rounds = ProcessInfo.processInfo.environment["FAULT_ROUNDS"].flatMap { Int($0) } ?? 200

    @Test("Killed at any instant, it comes back with whole documents, none older than what was durable")
    func killedAnywhere() throws {
        let rig = try CrashRig()
        var published = 0
        for round in 1...Self.rounds {
            try rig.liveAndDie(after: .microseconds(Int.random(in: 0...80_000)))
            if round % 4 == 0 {
                // Now and then it does not even get to be ready.
                rig.sourcesGoAway()
                try rig.agent.start()
                pauseThread(.microseconds(Int.random(in: 0...40_000)))
                rig.agent.kill()
                try rig.agent.waitForEnd()
            }
            let before = rig.witness.newest
            let findings = try rig.findingsAfterRestart()
            try #require(findings.isEmpty, "round \(round): \(findings)\n\(rig.agent.log)")
            if before > 0 { published += 1 }
        }
        #expect(published > Self.rounds / 2, "most lives were long enough to be seen")
    }

    /// What somebody could do to the state directory, and what has to be found then.
    enum Tampering: String, CaseIterable {
        case older, torn, cutOff, stray, recounted
    }

    @Test("The check finds what it is there to find", arguments: Tampering.allCases)
    func checkIsSharp(_ tampering: Tampering) throws {
        let rig = try CrashRig()
        let path = rig.agent.documents + "/app"
        try rig.change(2)
        let old = try Data(contentsOf: URL(fileURLWithPath: path))
        try rig.change(3)
        rig.agent.kill()
        try rig.agent.waitForEnd()
        let expected: String
        switch tampering {
        case .older:
            try old.write(to: URL(fileURLWithPath: path))
            expected = "app is old"
        case .torn:
            // The other one is signed: torn, it is not used at all.
            try Self.tear(rig.agent.documents + "/local")
            expected = "local is torn"
        case .cutOff:
            let copy = try Data(contentsOf: URL(fileURLWithPath: path))
            try copy.dropLast(1).write(to: URL(fileURLWithPath: path))
            expected = "stray file documents/app.bad"
        case .stray:
            try Data("x".utf8).write(to: URL(fileURLWithPath: rig.agent.documents + "/.app.17.tmp"))
            expected = "stray file documents/.app.17.tmp"
        case .recounted:
            try Data("0\n".utf8).write(to: URL(fileURLWithPath: rig.agent.directory.path("state/generation")))
            // They know it, too.
            try FileManager.default.removeItem(atPath: rig.agent.directory.path("state/generations"))
            expected = "after \(rig.witness.newest)"
        }
        let findings = try rig.findingsAfterRestart(deadline: tampering == .cutOff ? .seconds(1) : .seconds(20))
        #expect(findings.contains { $0.contains(expected) }, "\(tampering): \(findings)")
    }

    /// Changes a byte of the document in a stored copy, and the checksums with it.
    private static func tear(_ path: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let text = String(decoding: bytes, as: UTF8.self)
        let halves = text.components(separatedBy: "\n\n")
        let header = try #require(halves.first).components(separatedBy: "\n")
        let body = halves.dropFirst().joined(separator: "\n\n")
            .replacingOccurrences(of: #""payload":""#, with: #""payload":"!"#)
        func digest(_ text: String) -> String {
            SHA256.hash(data: Array(text.utf8)).map { String(format: "%02x", $0) }.joined()
        }
        let fields = header.dropFirst(2).map { line in
            if line.hasPrefix("digest: ") { return "digest: \(digest(body))" }
            return line.hasPrefix("length: ") ? "length: \(body.utf8.count)" : line
        }
        let rest = fields.joined(separator: "\n") + "\n\n" + body
        try Data("\(header[0])\n\(digest(rest))\n\(rest)".utf8).write(to: URL(fileURLWithPath: path))
    }
}

import AgentTestSupport
internal import Foundation
import TestSupport
import Testing

/// What an operator has in force.
private struct Held: Equatable, CustomStringConvertible {
    var pin: Int?
    var isFrozen = false

    var description: String { "pin \(pin.map(String.init) ?? "none")\(isFrozen ? ", frozen" : "")" }

    init() {}

    init(_ json: JSONValue) {
        pin = json["pin"]["generation"].int
        isFrozen = json["freeze"]["uid"].int != nil
    }
}

/// Gives commands without end, and knows what was answered.
private final class Operator: @unchecked Sendable {
    private let agent: FaultAgent
    private let lock = NSLock()
    private var isAtWork = true
    /// What is in force as far as it was answered, and what it is if the last command was carried out without an answer.
    private var confirmed: Held
    private var attempted: Held?
    private var contents: [Int: Int]
    private(set) var answered = 0

    init(_ agent: FaultAgent, _ held: Held, _ contents: [Int: Int]) {
        self.agent = agent
        confirmed = held
        self.contents = contents
    }

    var possible: [Held] { lock.withLock { [confirmed] + (attempted.map { [$0] } ?? []) } }
    /// By generation: the document that was read in it.
    var seen: [Int: Int] { lock.withLock { contents } }
    func stop() { lock.withLock { isAtWork = false } }

    func work() {
        while lock.withLock({ isAtWork }), agent.isRunning {
            _ = try? agent.refresh("app")
            look()
            // Where nobody knows what became of one, another would make it two that nobody knows.
            guard (try? command()) == true else { return }
        }
    }

    private func look() {
        guard let value = try? agent.value(""), value.status == 200,
            let generation = value.headers["agent-generation"].flatMap({ Int($0) }),
            let number = (try? value.json()).flatMap({ NumberedDocument.sequence(of: $0["app"]) })
        else { return }
        lock.withLock { contents[generation] = number }
    }

    /// - Returns: whether it is known what became of it.
    private func command() throws -> Bool {
        var wanted = lock.withLock { confirmed }
        let path: String
        switch Int.random(in: 0..<6) {
        case 0:
            // Only what was seen is of use to who compares afterwards.
            guard let generation = lock.withLock({ contents.keys.sorted().suffix(5).randomElement() }) else {
                return true
            }
            wanted.pin = generation
            path = "/v1/rollback?generation=\(generation)"
        case 1: (path, wanted.pin) = ("/v1/unpin", nil)
        case 2: (path, wanted.isFrozen) = ("/v1/freeze", true)
        case 3:
            // What is in use; nobody else changes that.
            (path, wanted.pin) = ("/v1/pin", try wanted.pin ?? agent.status()["generation"].int)
        default: (path, wanted.isFrozen) = ("/v1/thaw", false)
        }
        lock.withLock { attempted = wanted }
        let answer = try HTTPClient.send("POST", path, to: agent.controlSocket, timeout: .seconds(30))
        let json = try answer.json()
        return lock.withLock {
            // Refused, it is not in force; what is not answered as durable may be so or not.
            if (400..<500).contains(answer.status) {
                attempted = nil
                return true
            }
            guard answer.status == 200, json["durable"].bool == true else { return false }
            confirmed = Held(json["operator"])
            attempted = nil
            answered += 1
            return true
        }
    }
}

/// Commands survive whatever becomes of the agent.
@Suite("Commands and crashes")
struct CommandCrashTests {
    private static let rounds =
        max(20, (ProcessInfo.processInfo.environment["FAULT_ROUNDS"].flatMap { Int($0) } ?? 200) / 5)

    @Test("Killed at any instant, it comes back pinned and frozen as was answered, with the content that was kept")
    func killed() throws {
        let sequence = Sequence()
        let agent = try FaultAgent { AgentSettings(sources: ["app": RemoteOrigin.settings(in: $0)]) }
        let remote = try RemoteOrigin(in: agent.directory) { _ in
            .http(200, body: NumberedDocument.json("app", sequence.next(), size: NumberedDocument.anySize))
        }
        defer { remote.origin.stop() }
        try agent.start()
        try agent.waitUntilReady()
        var (held, contents) = (Held(), [Int: Int]())
        var (answered, pinnedRounds, frozenRounds) = (0, 0, 0)
        for round in 1...Self.rounds {
            let commander = Operator(agent, held, contents)
            let work = PendingThreads(count: 1) { _ in commander.work() }
            pauseThread(.microseconds(Int.random(in: 1_000...120_000)))
            agent.kill()
            try agent.waitForEnd()
            commander.stop()
            _ = try work.results()
            try agent.start()
            try agent.waitUntilReady()
            let found = Held(try agent.status()["operator"])
            try #require(
                commander.possible.contains(found),
                "round \(round): \(found), not one of \(commander.possible)\n\(agent.log)"
            )
            (held, contents, answered) = (found, commander.seen, answered + commander.answered)
            if let pin = found.pin, let number = contents[pin] {
                pinnedRounds += 1
                let app = try agent.value("").json()["app"]
                #expect(NumberedDocument.sequence(of: app) == number, "round \(round): what generation \(pin) had")
            }
            if found.isFrozen {
                frozenRounds += 1
                let asked = remote.origin.requests.count
                #expect(try agent.refresh("app").status != 200)
                #expect(remote.origin.requests.count == asked, "round \(round): frozen, it asked")
            }
        }
        #expect(answered > Self.rounds)
        #expect(pinnedRounds > 0 && frozenRounds > 0)
    }
}

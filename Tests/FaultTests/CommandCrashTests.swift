import AgentTestSupport
internal import Foundation
import TestSupport
import Testing

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
            // At once, or after some life.
            let wanted = Int.random(in: 0...3)
            try waitUntil("\(wanted) commands to be answered") { commander.answered >= wanted || commander.isDone }
            pauseThread(.microseconds(Int.random(in: 0...30_000)))
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

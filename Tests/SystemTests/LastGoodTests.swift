internal import Foundation
import TestSupport
import Testing

/// The origin is away when the agent starts: what it had last is served, and everybody is told so.
@Suite("Last good")
struct LastGoodTests {
    private func settings(_ origin: HeldOrigin) -> AgentSettings {
        AgentSettings(
            sources: [
                "app": SourceSettings(
                    url: origin.url("/app.json"),
                    poll: "1s",
                    more: ["retry: {base: 100ms, max: 500ms}", "timeout: 2s"]
                )
            ]
        )
    }

    @Test("Served from the stored copy, said so with a reason and an exit status, and fresh again alone")
    func originAway() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        let before = try AgentProcess.ready(settings(origin))
        try waitUntil("it is stored") { try before.status()["durable_generation"].int ?? 0 > 0 }
        let generation = try #require(try before.status()["generation"].int)
        before.program.stop()
        origin.answer { _ in .http(503) }

        let agent = try AgentProcess(after: before)
        try agent.waitUntilReady()
        #expect(try agent.value("version").line == "1")
        try waitUntil("the origin has failed") {
            try agent.status()["sources"]["app"]["consecutive_failures"].int ?? 0 > 0
        }
        let status = try agent.control("status")
        #expect(status.code == 1)
        #expect(status.standardOutput.contains("degraded"))
        #expect(status.standardOutput.contains("source app: last good, "))
        #expect(status.standardOutput.contains("HTTP status 503"))
        #expect(try agent.status()["sources"]["app"]["state"].string == "last_good")
        #expect(try agent.status()["generation"].int ?? 0 > generation)
        #expect(agent.log.contains("source app starts from its stored copy"))

        origin.answer { .document(document(2), to: $0) }
        try agent.waitForValue("version", "2")
        try agent.waitForLevel("healthy")
        #expect(try agent.control("status").code == 0)
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
    }

    @Test("An origin that is back with the same document is asked with its tag, and all is well")
    func unchangedMeanwhile() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        let before = try AgentProcess.ready(settings(origin))
        try waitUntil("it is stored") { try before.status()["durable_generation"].int ?? 0 > 0 }
        before.program.stop()
        let count = origin.requests.count
        let agent = try AgentProcess(after: before)
        try agent.waitUntilReady()
        try agent.waitForLevel("healthy")
        #expect(origin.requests.dropFirst(count).first?.headers["if-none-match"] != nil)
        #expect(try agent.value("version").line == "1")
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
    }

    @Test("Without a stored copy there is nothing to serve: not ready, and it says why")
    func nothingStored() throws {
        let origin = try HeldOrigin { _ in .http(503) }
        let agent = try AgentProcess(settings(origin))
        try waitUntil("it has tried") {
            (try? agent.status()["sources"]["app"]["consecutive_failures"].int ?? 0) ?? 0 > 1
        }
        #expect(try agent.value("version").status == 503)
        #expect(try HTTPClient.send("GET", "/readyz", to: agent.statusSocket).status == 503)
        #expect(try agent.control("status").code == 1)
        origin.answer { .document(document(3), to: $0) }
        try agent.waitForValue("version", "3")
    }
}

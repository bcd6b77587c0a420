internal import Foundation
import TestSupport
import Testing

/// The operator's verbs as operators type them.
@Suite("The operator's verbs, from outside")
struct OperatorCommandTests {
    private let files: TemporaryDirectory
    private let agent: AgentProcess

    init() throws {
        files = try TemporaryDirectory()
        try files.write("app.json", #"{"v": 1, "same": true}"#)
        agent = try AgentProcess.ready(
            AgentSettings(sources: ["app": SourceSettings(url: "file://\(files.path("app.json"))")])
        )
        try isKept(1)
    }

    private func isKept(_ count: Int) throws {
        try waitUntil("\(count) generations to be kept", deadline: .seconds(20)) {
            try HTTPClient.send("GET", "/v1/history", to: agent.statusSocket).json()["generations"].array.count == count
        }
    }

    private func change(_ value: Int) throws {
        try files.write("app.json", #"{"v": \#(value), "same": true}"#)
        try agent.refresh("app")
    }

    private func control(_ arguments: String...) throws -> String {
        let output = try Program.run(
            [AgentProcess.path(of: "agentctl"), "--runtime-dir", agent.runtimeDirectory] + arguments
        )
        #expect(output.code == 0, "\(arguments): \(output)")
        return output.standardOutput
    }

    @Test("history, show, diff, explain, rollback, unpin, pin, freeze, thaw, wait: what they say and what they do")
    func verbs() throws {
        try change(2)
        try isKept(2)
        let history = try control("history")
        #expect(history.contains("2 *") && history.contains("source app"), "\(history)")
        #expect(try control("show", "1", "v") == "1\n")
        #expect(try control("diff") == "~ v: 1 -> 2\n")
        #expect(try control("diff", "2", "1") == "~ v: 2 -> 1\n")
        #expect(try control("diff", "2", "2").contains("hold the same"))
        let explained = try control("explain", "v")
        #expect(explained.contains("v = 2") && explained.contains("before that: 1"), "\(explained)")

        let back = try control("rollback", "1", "--reason", "2 breaks the mailer")
        #expect(back.contains("generation 1 is pinned by root") && back.contains("2 breaks the mailer"), "\(back)")
        #expect(try agent.value("v").line == "1")
        try change(3)
        #expect(try agent.value("v").line == "1")
        let status = try agent.control("status")
        #expect(status.code == 1 && status.standardOutput.contains("2 breaks the mailer"), "\(status)")
        let app = try agent.status()["sources"]["app"]
        #expect(app["desired"]["digest"].string != app["digest"].string)
        #expect(app["attempted"]["digest"].string == app["digest"].string)
        let metrics = try HTTPClient.send("GET", "/metrics", to: agent.statusSocket).text
        #expect(metrics.contains("config_agent_pinned_generation 1\n"))
        #expect(metrics.contains(#"config_agent_source_desired_in_use{source="app"} 0"#))

        _ = try control("unpin")
        try agent.waitForValue("v", "3")
        _ = try control("freeze", "--reason", "maintenance")
        #expect(try agent.status()["sources"]["app"]["state"].string == "frozen")
        let refused = try agent.control("refresh")
        #expect(refused.code == 1 && refused.standardError.contains("maintenance"), "\(refused)")
        try files.write("app.json", #"{"v": 4}"#)
        let late = try agent.control("--timeout", "1s", "wait", "--fresh")
        #expect(late.code == 1 && late.standardError.contains("not confirmed: app"), "\(late)")
        _ = try control("thaw")
        _ = try control("--timeout", "30s", "wait", "--fresh")
        #expect(try agent.value("v").line == "4")
        let generation = try #require(try agent.status()["generation"].int)
        _ = try control("wait", "--generation", "\(generation)")

        // Each was told, with who, what and why.
        try waitUntil("the records") {
            let log = readText(agent.directory.path("agent.log"))
            return log.contains("root commands rollback 1: 2 breaks the mailer")
                && log.contains("root commands freeze: maintenance") && log.contains("root commands unpin")
                && log.contains("root commands thaw") && log.contains("commands refresh app")
        }
    }

    @Test("What is not there, or wrong, is told with what to do")
    func refusals() throws {
        let unknown = try agent.control("rollback", "99")
        #expect(unknown.code == 1 && unknown.standardError.contains("agentctl history"), "\(unknown)")
        #expect(try agent.control("show", "1", "nothing").standardError.contains("there is no key"))
        #expect(try agent.control("diff").standardError.contains("nothing older"))
        #expect(try agent.control("explain", "nothing").code == 1)
        #expect(try agent.control("wait").code == 64)
        #expect(try agent.control("--timeout", "1s", "wait", "--generation", "99").code == 1)
        // A reason is one line, whatever is in it.
        #expect(
            try agent.control("pin", "--reason", "two\nlines\u{1B}[1m\r").standardOutput.contains(": two lines [1m;")
        )
        let long = try agent.control("pin", "--reason", String(repeating: "x", count: 600))
        #expect(long.code == 1 && long.standardError.contains("500 bytes"), "\(long)")
    }
}

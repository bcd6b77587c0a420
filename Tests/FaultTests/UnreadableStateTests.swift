internal import Foundation
import TestSupport
import Testing

/// Files of the state directory that are there and cannot be read now: what was commanded and kept is there again when they
/// can. The agent is not root, so that modes hold for it.
@Suite("State that cannot be read now", .enabled(if: geteuid() == 0))
struct UnreadableStateTests {
    private let files: TemporaryDirectory

    init() throws {
        files = try TemporaryDirectory(prefix: "unreadable")
        try Program.check(["chmod", "755", files.path])
    }

    private static func asNobody(_ command: [String], _ directory: TemporaryDirectory) throws -> [String] {
        try Program.check(["chown", "-R", "nobody", directory.path])
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] + command
    }

    private func write(_ value: Int) throws { try files.write("app.json", #"{"v": \#(value)}"#) }

    /// One that had the values 1 to 3 and went back to the first; one generation is kept beside.
    private func goneBack() throws -> AgentProcess {
        try write(1)
        let source = SourceSettings(
            url: "file://\(files.path("app.json"))",
            poll: "1h",
            more: ["watch: false"]
        )
        let agent = try AgentProcess(AgentSettings(sources: ["app": source]), by: Self.asNobody)
        try agent.waitUntilReady()
        for value in 2...3 {
            try waitUntilDurable(agent)
            try write(value)
            try agent.refresh("app")
        }
        try waitUntilDurable(agent)
        #expect(try agent.control("rollback", "1", "--reason", "3 is broken").code == 0)
        try waitUntilDurable(agent)
        try write(9)
        return agent
    }

    private func waitUntilDurable(_ agent: AgentProcess) throws {
        try waitUntil("it is on disk") {
            let status = try agent.status()
            return status["generation"].int == status["durable_generation"].int
        }
    }

    private func pin(_ agent: AgentProcess) throws -> JSONValue { try agent.status()["operator"]["pin"] }

    @Test(
        "A pin holds through a start at which a file cannot be read, and is what it was afterwards",
        arguments: ["generations/1", "operator", "generations", "history"]
    )
    func pinned(name: String) throws {
        let agent = try goneBack()
        agent.program.stop()
        let path = agent.directory.path("state/\(name)")
        let mode = try Program.check(["stat", "-c", "%a", path]).trimmingCharacters(in: .whitespacesAndNewlines)
        try Program.check(["chmod", "000", path])
        let unlucky = try AgentProcess(after: agent, by: Self.asNobody)
        try unlucky.waitUntilReady()
        try unlucky.refresh("app")
        // What was gone back from does not come back, and nothing that is new comes in.
        let value = try unlucky.value("v").line
        #expect(
            ["generations", "history"].contains(name) ? value != "9" : value == "1",
            "\(value) \(unlucky.log)"
        )
        #expect(try pin(unlucky)["generation"].int != nil)
        unlucky.program.stop()
        try Program.check(["chmod", mode, path])
        let again = try AgentProcess(after: unlucky, by: Self.asNobody)
        try again.waitUntilReady()
        #expect(try pin(again)["generation"].int == 1, "\(again.log)")
        #expect(try "\(pin(again))".contains("3 is broken"))
        try again.refresh("app")
        #expect(try again.value("v").line == "1")
    }
}

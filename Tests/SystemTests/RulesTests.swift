internal import Foundation
import TestSupport
import Testing

/// Rules as operators meet them: what is refused, what would be, and how it is overruled.
@Suite("Rules, from outside")
struct RulesCommandTests {
    private let nginx: Nginx
    private let agent: AgentProcess

    private static let rules = """
        guard: {required: [db.host], keys: {db.port: {type: integer, maximum: 65535}}, max_shrink: 50%}
        """

    init() throws {
        nginx = try Nginx()
        try nginx.files.write("app.json", #"{"db": {"host": "h", "port": 80}, "a b/ü.json": 1}"#)
        agent = try AgentProcess.ready(
            AgentSettings(sources: ["app": SourceSettings(url: nginx.url("/app.json"), more: [Self.rules])])
        )
        try waitUntil("it is on disk") {
            let status = try agent.status()
            return status["generation"].int == status["durable_generation"].int
        }
    }

    private func control(_ arguments: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentctl"), "--runtime-dir", agent.runtimeDirectory] + arguments)
    }

    @Test("Refused, listed, accepted: each says what it is, and values are not told")
    func quarantine() throws {
        defer { nginx.stop() }
        #expect(try control("quarantine").standardOutput == "no document was refused by rules\n")
        try nginx.files.write("app.json", #"{"db": {"host": "h", "port": 70123}}"#)
        #expect(try control("refresh").code == 1)
        let status = try control("status")
        #expect(status.code == 1 && status.standardOutput.contains("db.port: has to be at most 65535"), "\(status)")
        let listed = try control("quarantine").standardOutput
        // More than once where a poll came, too.
        #expect(listed.contains(/source app, refused (once|\d+ times)/), "\(listed)")
        #expect(listed.contains("line 1, column 30: db.port: has to be at most 65535"), "\(listed)")
        let json = try JSONValue(parsing: control("quarantine", "-o", "json").standardOutput)["documents"].array
        let digest = try #require(json.first?["digest"].string)
        #expect(listed.contains("agentctl accept \(digest.prefix(12)) --reason TEXT"), "\(listed)")
        let told = [agent.log, status.standardOutput, listed, "\(json)"]
        #expect(told.allSatisfy { !$0.contains("70123") })
        #expect(try agent.value("db.port").line == "80")

        #expect(try control("accept", "00000000").code == 1)
        let accepted = try control("accept", String(digest.prefix(12)), "--reason", "the port of the moon")
        #expect(accepted.code == 0 && accepted.standardOutput.contains("app: published"), "\(accepted)")
        #expect(try agent.value("db.port").line == "70123")
        #expect(try control("quarantine").standardOutput.contains("by root at"))
        #expect(agent.log.contains("the port of the moon"))
        let history = try control("history").standardOutput
        #expect(history.contains(/source app .* root +the port of the moon/), "\(history)")
        #expect(try control("status").code == 0)
    }

    @Test("What would become of a file: accepted, unchanged, refused, with what would change; and nothing is published")
    func check() throws {
        defer { nginx.stop() }
        func check(_ text: String, source: String = "app") throws -> ProgramOutput {
            // Whatever the file is called.
            let file = try nginx.files.write("drafts/a b/ü#1?.json", text)
            return try control("check", file, "--source", source, "--config", agent.directory.path("agent.yaml"))
        }
        let same = try check(#"{"db": {"host": "h", "port": 80}, "a b/ü.json": 1}"#)
        #expect(same.code == 0 && same.standardOutput == "app: is in use already\n", "\(same)")
        let fine = try check(#"{"db": {"host": "g", "port": 80}, "new": [1]}"#)
        #expect(fine.code == 0, "\(fine)")
        let lines = [
            "app: would be accepted", "", #"- "a b/ü.json": 1"#, #"~ db.host: "h" -> "g""#, "+ new: [1]", "",
        ]
        #expect(fine.standardOutput == lines.joined(separator: "\n"))
        let bad = try check(#"{"db": {"port": 70000}}"#)
        #expect(bad.code == 1 && bad.standardError.isEmpty, "\(bad)")
        for text in [
            "app: would be refused at guard (refused)", "  db.host: is missing",
            "  line 1, column 17: db.port: has to be at most 65535", "more than 50 % less", "do: mend the document",
        ] {
            #expect(bad.standardOutput.contains(text), "\(bad)")
        }
        #expect(try check("{").standardOutput.contains("would be refused at decode (syntax)"))
        let unknown = try check("{}", source: "ap")
        #expect(unknown.code == 1 && unknown.standardError.contains("did you mean 'app'?"), "\(unknown)")
        #expect(try agent.status()["generation"].int == 1)
        #expect(try control("quarantine").standardOutput.contains("no document"))
    }

    @Test("What all sources say now: --check-config --try asks them, and changes nothing")
    func tryOut() throws {
        defer { nginx.stop() }
        func tryOut() throws -> ProgramOutput {
            try Program.run([
                AgentProcess.path(of: "agentd"), "--config", agent.directory.path("agent.yaml"), "--check-config",
                "--try",
            ])
        }
        let same = try tryOut()
        #expect(same.code == 0 && same.standardOutput.hasSuffix("app: is in use already\n"), "\(same)")
        try nginx.files.write("app.json", #"{"db": {"host": "x", "port": 80}, "a": 1}"#)
        let changed = try tryOut()
        #expect(changed.code == 0 && changed.standardOutput.contains("app: would be accepted"), "\(changed)")
        #expect(changed.standardOutput.contains("~ db.host: \"h\" -> \"x\""), "\(changed)")
        try nginx.files.write("app.json", #"{"db": {"port": 0.5}, "a": 1}"#)
        let refused = try tryOut()
        #expect(refused.code == 1 && refused.standardOutput.contains("has to be of type integer"), "\(refused)")
        unlink(nginx.files.path("app.json"))
        let missing = try tryOut()
        #expect(missing.code == 1 && missing.standardOutput.contains("would be refused at fetch"), "\(missing)")
        #expect(try agent.status()["generation"].int == 1)
        let alone = try Program.run([
            AgentProcess.path(of: "agentd"), "--config", agent.directory.path("agent.yaml"), "--try",
        ])
        #expect(alone.code == 64 && alone.standardError.contains("--try belongs to --check-config"), "\(alone)")
    }

    @Test("A schema in a file is read again when it changes; one that is wrong is told, and the one before stays")
    func schemaFile() throws {
        defer { nginx.stop() }
        let files = try TemporaryDirectory()
        let schema = try files.write("app.schema.json", #"{"properties": {"v": {"maximum": 5}}}"#)
        try nginx.files.write("v.json", #"{"v": 1}"#)
        let source = SourceSettings(url: nginx.url("/v.json"), more: ["guard: {schema: \(schema)}"])
        let other = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        try nginx.files.write("v.json", #"{"v": 6}"#)
        try other.refresh("app")
        #expect(try other.value("v").line == "1")
        try files.write("app.schema.json", #"{"properties": {"v": {"maximum": 6}}}"#)
        try waitUntil("the new schema to be in force", deadline: .seconds(30)) {
            try other.refresh("app")
            return try other.value("v").line == "6"
        }
    }
}

import AgentConfiguration
import ConfigGuard
import TestSupport
import Testing

@Suite("What is said of rules")
struct GuardTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func rules(_ lines: String...) throws -> GuardRules {
        try parse(withSource("guard: {\(lines.joined(separator: ", "))}")).sources[0].rules
    }

    private func complaint(_ lines: String...) -> String {
        complaints(withSource("guard: {\(lines.joined(separator: ", "))}")).joined(separator: "\n")
    }

    @Test("Keys, required and with rules; shares")
    func keys() throws {
        #expect(try rules().isEmpty)
        let found = try rules(
            "required: [db.host, a.\"b.c\"]",
            "keys: {db.port: {type: integer, maximum: 65535}, servers.*.weight: {minimum: 0}}",
            "refuse_empty: true",
            "max_shrink: 30%"
        )
        #expect(found.required == [["db", "host"], ["a", "b.c"]])
        #expect(
            found.keys.map { $0.path.map { $0.map { String(decoding: $0, as: UTF8.self) } } } == [
                ["db", "port"], ["servers", nil, "weight"],
            ]
        )
        #expect(found.refusesEmpty && found.maxShrink == 30 && found.needsTree)
        #expect(try rules("max_shrink: 0").maxShrink == 0)
        #expect(try rules("max_shrink: 100").maxShrink == 100)
    }

    @Test("A schema, as JSON or YAML, read again when it changes")
    func schema() throws {
        let json = try directory.write("a.json", #"{"type": "object", "required": ["x"]}"#)
        let yaml = try directory.write("b.yaml", "type: object\nproperties:\n  x: {type: integer}\n")
        #expect(try rules("schema: \(json)").schema != nil)
        #expect(try rules("schema: \(yaml)").schema != nil)
        #expect(try rules("schema: \(json)") == rules("schema: \(json)"))
        #expect(try rules("schema: \(json)") != rules("schema: \(yaml)"))
        #expect(try parse(withSource("guard: {schema: \(json)}")).secretFiles.contains(json))
    }

    @Test("A command, with or without its time")
    func check() throws {
        #expect(try rules("check: [/bin/a, \"-t\", \"{staged}\"]").check?.command == ["/bin/a", "-t", "{staged}"])
        #expect(try rules("check: [/bin/a]").check?.timeoutMilliseconds == 10_000)
        let timed = try rules("check: {command: [/bin/a, b c], timeout: 1500ms}").check
        #expect(timed == Check(command: ["/bin/a", "b c"], timeoutMilliseconds: 1_500))
        #expect(try !rules("check: [/bin/a]").isEmpty)
        #expect(complaint("check: [a]").contains("'a' is no whole path"))
        #expect(complaint("check: []").contains("has to name a program"))
        #expect(complaint("check: /bin/a").contains("expected a list"))
        #expect(complaint("check: {timeout: 1s}").contains("has no 'command'"))
        #expect(complaint("check: {command: [/bin/a], timeout: 2m}").contains("guard.check.timeout"))
        #expect(complaint("check: {comand: [/bin/a]}").contains("did you mean 'command'?"))
        #expect(complaint("check: [/bin/a, \"\(String(repeating: "x", count: 20_000))\"]").contains("is longer than"))
    }

    @Test("What is wrong is told with its place and what to do")
    func wrong() throws {
        #expect(complaint("keys: {a..b: {type: integer}}").contains("'a..b' is not a key; write it as in db.port"))
        #expect(complaint("required: [a.]").contains("'a.' is not a key"))
        #expect(complaint("required: db").contains("expected a list"))
        #expect(complaint("keys: {a: 1}").contains("has to be a rule; write it as in {type: integer, minimum: 1}"))
        #expect(
            complaint("keys: {a: {typ: integer}}")
                .contains("sources.app.guard.keys.a.typ: unknown keyword; did you mean 'type'?")
        )
        #expect(complaint("keys: {a: {format: email}}").contains("is not supported; it would not be enforced"))
        #expect(complaint("keys: {a: {minimum: x}}").contains("guard.keys.a.minimum: has to be a number"))
        for text in ["101%", "-1", "x", "1.5", "+5", "%"] {
            #expect(complaint("max_shrink: \"\(text)\"").contains("has to be a percentage from 0 to 100"), "\(text)")
        }
        #expect(complaint("refuse_empty: 1").contains("expected true or false"))
        #expect(complaint("schema: a.json").contains("is not an absolute path"))
        #expect(complaint("schema: /nowhere/a.json").contains("/nowhere/a.json"))
        let broken = try directory.write("broken.json", "{\n")
        #expect(complaint("schema: \(broken)").contains("\(broken): line 2, column 1: the document ends"))
        let bad = try directory.write("bad.json", "{\n  \"minumum\": 1\n}")
        #expect(complaint("schema: \(bad)").contains("\(bad):2:3: minumum: unknown keyword; did you mean 'minimum'?"))
        let draft = try directory.write("draft.json", #"{"$schema": "http://json-schema.org/draft-07/schema#"}"#)
        #expect(complaint("schema: \(draft)").contains("another dialect than 2020-12"))
    }
}

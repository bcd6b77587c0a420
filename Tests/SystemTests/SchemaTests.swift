internal import Foundation
import TestSupport
import Testing

@Suite("Answers hold their schemas")
struct SchemaTests {
    /// Debian's Python: it is the one with Debian's jsonschema.
    private static let validator = """
        import json, sys
        import jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        errors = sorted(validator.iter_errors(json.load(open(sys.argv[2]))), key=str)
        for error in errors:
            print("/".join(map(str, error.absolute_path)) or "(top)", error.message, sep=": ")
        sys.exit(1 if errors else 0)
        """

    private func expect(_ answer: HTTPResponse, toHold schema: String) throws {
        #expect(answer.headers["content-type"]?.hasPrefix("application/json") == true)
        try expect(answer.text, toHold: schema)
    }

    private func expect(_ json: String, toHold schema: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("answer.json", json)
        let schemaFile = "\(Workspace.root)/Sources/AgentAPI/schema/\(schema).schema.json"
        let result = try Program.run(["/usr/bin/python3", "-c", Self.validator, schemaFile, file])
        #expect(result.code == 0, "\(schema): \(result)\n\(json)")
    }

    private static let reads = [
        ("/v1/status", "status"), ("/v1/locks", "locks"), ("/v1/sources", "sources"), ("/healthz", "health"),
        ("/readyz", "health"), ("/v1/history", "history"),
    ]

    @Test("While healthy, while failing, before the first snapshot")
    func everyAnswer() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        origin.hold()
        let agent = try AgentProcess(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        try waitUntil("the first request", deadline: .seconds(15)) { origin.held == 1 }
        for (path, schema) in Self.reads {
            let answer = try HTTPClient.send("GET", path, to: agent.statusSocket)
            if path == "/readyz" { #expect(answer.status == 503) }
            try expect(answer, toHold: schema)
        }
        let early = try agent.value("version")
        #expect(early.status != 200)
        try expect(early, toHold: "config-error")

        origin.releaseAll()
        try agent.waitUntilReady()
        for (path, schema) in Self.reads {
            let answer = try HTTPClient.send("GET", path, to: agent.statusSocket)
            #expect(answer.status == 200)
            try expect(answer, toHold: schema)
        }
        try expect(try agent.refresh(), toHold: "refresh")

        origin.answer { .document(document(2), to: $0) }
        try expect(try agent.refresh("app"), toHold: "refresh")
        try waitUntil("both generations to be kept", deadline: .seconds(20)) {
            let history = try HTTPClient.send("GET", "/v1/history", to: agent.statusSocket)
            return try history.json()["generations"].array.count == 2
        }
        try expect(try HTTPClient.send("GET", "/v1/diff", to: agent.configSocket), toHold: "diff")
        try expect(try HTTPClient.send("GET", "/v1/explain/version", to: agent.configSocket), toHold: "explain")
        try expect(
            try HTTPClient.send("POST", "/v1/rollback?generation=1&reason=a%20test", to: agent.controlSocket),
            toHold: "action"
        )
        for (path, schema) in Self.reads {
            try expect(try HTTPClient.send("GET", path, to: agent.statusSocket), toHold: schema)
        }
        for verb in ["unpin", "freeze", "thaw"] {
            try expect(try HTTPClient.send("POST", "/v1/\(verb)", to: agent.controlSocket), toHold: "action")
        }
        try expect(
            try HTTPClient.send("POST", "/v1/rollback?generation=99", to: agent.controlSocket),
            toHold: "config-error"
        )
        origin.answer { _ in .http(500) }
        try expect(try agent.refresh("app"), toHold: "refresh")
        for (path, schema) in Self.reads {
            try expect(try HTTPClient.send("GET", path, to: agent.statusSocket), toHold: schema)
        }
    }

    @Test("Refusals")
    func refusals() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        let requests: [(method: String, path: String, endpoint: Endpoint, status: Set<Int>)] = [
            ("GET", "/v1/config/versoin", agent.configSocket, [404]),
            ("GET", "/v1/nothing", agent.statusSocket, [404]),
            ("POST", "/v1/status", agent.statusSocket, [405]),
            ("POST", "/v1/refresh?source=ap", agent.controlSocket, [404]),
            // One socket for each right: what the others may do is not to be had here.
            ("GET", "/v1/config/version", agent.statusSocket, [403, 404, 405]),
            ("POST", "/v1/refresh", agent.statusSocket, [403, 404, 405]),
            ("POST", "/v1/refresh", agent.configSocket, [403, 404, 405]),
        ]
        for request in requests {
            let answer = try HTTPClient.send(request.method, request.path, to: request.endpoint)
            #expect(request.status.contains(answer.status), "\(request)")
            try expect(answer, toHold: "config-error")
        }
    }

    @Test("What doctor prints, with an agent and without one")
    func doctor() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        let arguments = ["doctor", "-o", "json", "--config", agent.directory.path("agent.yaml")]
        try expect(Program.run([AgentProcess.path(of: "agentctl")] + arguments).standardOutput, toHold: "doctor")
        agent.program.stop()
        try expect(Program.run([AgentProcess.path(of: "agentctl")] + arguments).standardOutput, toHold: "doctor")
    }

    @Test("Metrics are Prometheus text")
    func metrics() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        let answer = try HTTPClient.send("GET", "/metrics", to: agent.statusSocket)
        #expect(answer.status == 200)
        #expect(answer.headers["content-type"]?.hasPrefix("text/plain") == true)
        let line = #/[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^{}]*\})? [-+0-9.eE]+|# (HELP|TYPE) .+/#
        let lines = answer.text.split(separator: "\n")
        #expect(!lines.isEmpty)
        #expect(lines.allSatisfy { $0.wholeMatch(of: line) != nil })
        #expect(answer.text.hasSuffix("\n"))
        #expect(lines.contains { $0.contains("_last_success_timestamp_seconds") && !$0.hasPrefix("#") })
    }
}

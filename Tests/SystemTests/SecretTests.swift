internal import Foundation
import TestSupport
import Testing

/// Secrets are planted wherever one can come in, and looked for wherever something goes out.
@Suite("Secrets")
struct SecretTests {
    @Test("What is planted in URLs, headers, bodies and redirects comes out nowhere")
    func planted() throws {
        let other = try HeldOrigin { _ in .http(500, body: Array("planted4711-in-the-other-body".utf8)) }
        defer { other.stop() }
        let origin = try HeldOrigin { request in
            switch request.route {
            case "/error":
                .http(500, headers: ["X-Planted": "planted4711-header"], body: Array("planted4711-body".utf8))
            case "/broken": .http(200, body: Array(#"{"password": "planted4711-value", "planted4711-key" oops}"#.utf8))
            case "/twice": .http(200, body: Array(#"{"a": "planted4711-value", "a": "planted4711-again"}"#.utf8))
            case "/guarded":
                .http(200, body: Array(#"{"port": "planted4711-port", "mode": "planted4711-mode", "db": {}}"#.utf8))
            case "/page":
                .http(200, headers: ["Content-Type": "text/html"], body: Array("<p>planted4711-html</p>".utf8))
            // As an origin does that gives back what it was sent.
            case "/echo":
                .http(
                    200,
                    headers: [
                        "ETag": "\"\(request.headers["x-api-key"] ?? "")\"",
                        "Content-Type": "text/\(request.headers["x-api-key"] ?? "")",
                        "Retry-After": request.headers["x-api-key"] ?? "",
                    ],
                    body: Array(#"{"echoed": 1}"#.utf8)
                )
            case "/away": .http(302, headers: ["Location": other.url("/there?token=planted4711-redirect")])
            case "/nowhere":
                .http(302, headers: ["Location": "http://user:planted4711-user@127.0.0.1:1/x?token=planted4711-target"])
            case "/invented": .http(302, headers: ["Location": "http://planted4711-name.invalid/x"])
            case "/v3/auth/authenticate": .http(400, body: Array(#"{"error": "planted4711-etcd"}"#.utf8))
            default: .http(401, body: Array("planted4711-refused".utf8))
            }
        }
        defer { origin.stop() }
        let files = try TemporaryDirectory(prefix: "planted")
        let token = try files.write("token", "planted4711-file\n")
        func source(_ path: String, _ more: String...) -> SourceSettings {
            SourceSettings(
                url: origin.url(path),
                more: more + ["required: false", "retry: {base: 100ms, max: 500ms}"]
            )
        }
        let secret = "headers: {X-Api-Key: planted4711-api, Cookie: planted4711-cookie}"
        let sources: [String: SourceSettings] = [
            "query": source("/error?token=planted4711-query&plain=planted4711-plain", secret),
            "broken": source("/broken?token=planted4711-query", secret),
            "twice": source("/twice", secret),
            "page": source("/page", secret),
            "away": source("/away", secret, "max_redirects: 1"),
            "refused-redirect": source("/away", secret),
            "nowhere": source("/nowhere", secret, "max_redirects: 3"),
            "invented": source("/invented", secret, "max_redirects: 3"),
            "basic": source("/basic", "auth: {user: agent, password: planted4711-password}"),
            "bearer": source("/bearer", "auth: {token: {file: \(token)}}"),
            "environment": source("/environment", "auth: {token: {env: PLANTED}}"),
            "proxied": source(
                "/proxied",
                "proxy: {url: http://127.0.0.1:\(other.port), user: agent, password: planted4711-proxy}"
            ),
            "etcd": SourceSettings(
                url: "etcd+http://127.0.0.1:\(origin.port)/app.json",
                more: ["auth: {user: agent, password: planted4711-etcd-password}", "required: false"]
            ),
            "consul": SourceSettings(
                url: "consul+http://127.0.0.1:\(origin.port)/key",
                more: ["auth: {token: planted4711-consul}", "required: false", "retry: {base: 100ms, max: 500ms}"]
            ),
            "nacos": SourceSettings(
                url: "nacos+http://127.0.0.1:\(origin.port)/group/data",
                more: [
                    "auth: {user: nacos, password: planted4711-nacos}", "required: false",
                    "retry: {base: 100ms, max: 500ms}",
                ]
            ),
            "s3": SourceSettings(
                url: "s3://bucket/key.json",
                more: [
                    "endpoint: \"http://127.0.0.1:\(origin.port)\"", "region: eu-central-1", "required: false",
                    "auth: {access_key: planted4711-id, secret_key: planted4711-aws, session_token: planted4711-session}",
                    "retry: {base: 100ms, max: 500ms}",
                ]
            ),
            "mirrored": source(
                "/error?token=planted4711-first",
                "mirrors: [\"\(origin.url("/elsewhere?token=planted4711-mirror"))\"]"
            ),
            "echo": source("/echo", secret),
            "appconfig": SourceSettings(
                url: "appconfig://application/environment/profile",
                more: [
                    "endpoint: \"http://127.0.0.1:\(origin.port)\"", "region: eu-central-1", "required: false",
                    "auth: {access_key: planted4711-ac-id, secret_key: planted4711-ac-key, session_token: planted4711-ac}",
                    "retry: {base: 100ms, max: 500ms}",
                ]
            ),
            "guarded": source("/guarded", secret, Self.rules),
            "demanded": SourceSettings(
                url: origin.url("/twice"),
                more: [secret, "load: on_demand", "idle: 1h", "retry: {base: 100ms, max: 500ms}"]
            ),
            "good": SourceSettings(url: "file://\(try files.write("app.json", #"{"greeting": "hello"}"#))"),
        ]
        let agent = try AgentProcess(
            AgentSettings(sources: sources, layers: sources.keys.filter { $0 != "demanded" }.sorted()),
            arguments: ["--log-level", "debug"],
            environment: ["PLANTED": "planted4711-environment"]
        )
        try agent.waitUntilReady()
        // Somebody wants it, so that it is asked.
        let demanded = try HTTPClient.send("GET", "/v1/documents/demanded/a?wait=1", to: agent.configSocket).text
        // Two generations to be told apart.
        try files.write("app.json", #"{"greeting": "good morning"}"#)
        try waitUntil("the change") { try agent.value("greeting").line == #""good morning""# }
        try waitUntil("all of them to have failed twice") {
            let status = try agent.status()["sources"]
            guard status["echo"]["state"].string == "fresh",
                origin.requests.contains(where: { $0.path.contains("planted4711-mirror") })
            else { return false }
            return sources.keys.filter { !["good", "echo"].contains($0) }.allSatisfy {
                status[$0]["consecutive_failures"].int ?? 0 >= 2
            }
        }
        // They were really sent, so there was something to leak; and to nobody else.
        let sent = origin.requests.flatMap { [$0.path] + $0.headers.values }.joined(separator: "\n")
        for planted in [
            "query", "plain", "api", "cookie", "file", "environment", "consul", "id", "session", "first", "mirror",
            "ac-id", "ac",
        ] {
            #expect(sent.contains("planted4711-\(planted)"), "\(planted) was not sent")
        }
        for request in other.requests where request.headers["proxy-authorization"] == nil {
            #expect(!request.headers.values.joined().contains("planted4711"), "\(request.headers)")
        }
        #expect(other.requests.contains { $0.path.contains("planted4711-redirect") })

        func words(_ output: ProgramOutput) -> String { output.standardOutput + output.standardError }
        var outputs: [String: String] = [
            "journal": agent.log,
            "arguments": readText("/proc/\(agent.program.pid)/cmdline"), "demanded": demanded,
        ]
        outputs.merge(try answers(of: agent)) { $1 }
        outputs["/v1/refresh"] = try agent.refresh().text
        for command in [
            ["status"], ["status", "--json"], ["sources"], ["sources", "--json"], ["locks"], ["quarantine"],
            ["quarantine", "-o", "json"], ["history"], ["diff"],
        ] {
            outputs[command.joined(separator: " ")] = words(try agent.control(command))
        }
        for name in sources.keys {
            outputs["explain \(name)"] = words(try agent.control(["sources", "--explain", name]))
        }
        // What looks at sources without being the agent tells no more.
        let configuration = agent.directory.path("agent.yaml")
        outputs["doctor"] = words(try agent.control(["doctor", "--config", configuration]))
        #expect(outputs["doctor"]?.contains("invented") == true)
        #expect(outputs["/v1/status"]?.contains("greeting") == false)
        #expect(outputs["sources"]?.contains("bearer") == true)
        // They have something to say of what was planted, and of more than nothing.
        #expect(outputs["/v1/quarantine"]?.contains("guarded") == true, "\(outputs["/v1/quarantine"] ?? "")")
        #expect(outputs["quarantine"]?.contains("port: ") == true, "\(outputs["quarantine"] ?? "")")
        for path in ["/v1/watch", "/v1/explain/greeting", "/v1/diff"] {
            #expect(outputs[path]?.contains("greeting") == true, "\(path): \(outputs[path] ?? "")")
        }
        #expect(outputs["/v1/wait"]?.contains("degraded") == true, "\(outputs["/v1/wait"] ?? "")")
        #expect(outputs["/v1/history"]?.contains("generations") == true)
        for (place, text) in outputs {
            #expect(!text.isEmpty || place == "locks", "\(place) is empty")
            let leaked = text.split { $0.isWhitespace || $0 == "\"" || $0 == "?" }.filter { $0.contains("planted4711") }
            #expect(leaked.isEmpty, "\(place): \(leaked)")
        }
    }

    /// What a document of the source `guarded` breaks, each in its own way.
    private static let rules =
        "guard: {keys: {port: {type: integer}, mode: {enum: [a, b]}, db: {minProperties: 1}}, required: [name]}"

    /// Whatever may be asked of its sockets, as it is answered.
    private func answers(of agent: AgentProcess) throws -> [String: String] {
        let locks = Endpoint.unix("\(agent.runtimeDirectory)/locks.sock")
        let questions: [(socket: Endpoint, path: String)] =
            [
                "/v1/status", "/v1/sources", "/v1/locks", "/metrics", "/healthz", "/readyz", "/v1/quarantine",
                "/v1/history", "/v1/wait?generation=1&timeout=5",
            ].map { (agent.statusSocket, $0) }
            + [
                "/v1/config", "/v1/documents/demanded/a?wait=1", "/v1/documents", "/v1/explain/greeting",
                "/v1/explain/port", "/v1/diff", "/v1/generations/1",
            ].map { (agent.configSocket, $0) } + [(locks, "/"), (locks, "/v1/locks")]
        var answers: [String: String] = [:]
        for (socket, path) in questions {
            let place = socket == locks ? "locks.sock \(path)" : String(path.prefix { $0 != "?" })
            answers[place] = try HTTPClient.send("GET", path, to: socket).text
        }
        // A stream has no end: what comes first is all that it says while nothing changes.
        let stream = try Program(
            ["curl", "-sSN", "--unix-socket", "\(agent.runtimeDirectory)/config.sock", "http://agent/v1/watch"]
        )
        defer { stream.stop() }
        try waitUntil("the first event") { stream.standardOutput.contains("\n\n") }
        answers["/v1/watch"] = stream.standardOutput
        return answers
    }

    @Test("It leaves no core dump, whatever the limit was raised to; another program does")
    func core() throws {
        let directory = try TemporaryDirectory(prefix: "core")
        for name in ["run", "state", "control", "own"] { try createDirectory(directory.path(name)) }
        let settings = AgentSettings(
            sources: ["app": SourceSettings(url: "file://\(try directory.write("app.json", "{}"))")]
        )
        let configuration = try directory.write("agent.yaml", settings.yaml(in: directory.path))
        func words(of command: String, in place: String, until ready: String) throws -> String {
            let script = """
                cd \(directory.path(place))
                # Else the runtime looks for the names of all functions first, for minutes.
                export SWIFT_BACKTRACE=enable=no
                \(command) >log 2>&1 & pid=$!
                for turn in $(seq 600); do \(ready) && break; sleep 0.1; done
                prlimit --pid $pid --core=unlimited:unlimited
                kill -ABRT $pid
                wait $pid
                """
            return try Program.run(["bash", "-c", script], timeout: .seconds(90)).standardError
        }
        let control = try words(of: "sleep 100", in: "control", until: "true")
        #expect(control.contains("Aborted"))
        let agentd = "\(AgentProcess.path(of: "agentd")) --config \(configuration)"
        let own = try words(of: agentd, in: "own", until: "[ -S \(directory.path("run/status.sock")) ]")
        #expect(own.contains("Aborted"), "\(own)")
        // Where this machine dumps nothing at all, the control shows nothing, and neither does this.
        if !control.contains("core dumped") { print("this machine makes no core dumps: nothing shown") }
        #expect(!own.contains("core dumped"), "\(own)")
    }
}

internal import Foundation
import TestSupport
import Testing

@Suite("Command lines")
struct CommandTests {
    private func agentd(_ arguments: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentd")] + arguments)
    }

    private func agentctl(_ arguments: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentctl")] + arguments)
    }

    // MARK: - agentd

    @Test("--check-config accepts what is installed and what `make run` starts from")
    func shippedConfigurationsAreValid() throws {
        let installed = try agentd("--config", "\(Workspace.root)/etc/agent", "--check-config")
        #expect(installed.code == 0, "\(installed)")

        let directory = try TemporaryDirectory()
        let sample = readText("\(Workspace.root)/etc/agent/sample/agent.yaml")
            .replacingOccurrences(of: "@DIR@", with: directory.path).replacingOccurrences(of: "@PORT@", with: "8080")
        let file = try directory.write("agent.yaml", sample)
        let output = try agentd("--config", file, "--check-config")
        #expect(output.code == 0, "\(output)")
    }

    /// A mistake, the line it is on where that is beyond dispute, and words that the message must hold.
    private static let mistakes: [(name: String, yaml: String, line: Int?, words: [String])] = [
        (
            "an unknown key",
            "sources:\n  app:\n    url: http://127.0.0.1/a.json\n    pol: 5s\nlayers: [app]\n", 4, ["pol", "poll"]
        ),
        (
            "an unknown key at the top",
            "sources:\n  app:\n    url: http://127.0.0.1/a.json\nlayer: [app]\n", 4, ["layer", "layers"]
        ),
        (
            "a duration that is none",
            "sources:\n  app:\n    url: http://127.0.0.1/a.json\n    poll: soon\nlayers: [app]\n", 4, ["poll", "soon"]
        ),
        (
            "a layer without a source",
            "sources:\n  app:\n    url: http://127.0.0.1/a.json\nlayers: [ap]\n", 4, ["ap", "app"]
        ),
        (
            "a scheme that nobody speaks",
            "sources:\n  app:\n    url: gopher://127.0.0.1/a.json\nlayers: [app]\n", 3, ["gopher"]
        ),
        (
            "a duplicate key",
            "sources:\n  app:\n    url: http://127.0.0.1/a.json\n    url: http://127.0.0.1/b.json\nlayers: [app]\n",
            4, ["url"]
        ),
        ("no YAML", "sources: [app\n", nil, []),
    ]

    @Test("An error in the configuration names file, line, key and the nearest right key", arguments: mistakes.indices)
    func configurationErrors(_ index: Int) throws {
        let mistake = Self.mistakes[index]
        let directory = try TemporaryDirectory()
        let file = try directory.write("agent.yaml", mistake.yaml)
        let output = try agentd("--config", file, "--check-config")
        #expect(output.code != 0, "\(mistake.name)")
        let place = mistake.line.map { "\(file):\($0)" } ?? file
        #expect(output.standardError.contains(place), "\(mistake.name): \(output)")
        for word in mistake.words { #expect(output.standardError.contains(word), "\(mistake.name): \(output)") }

        // The same mistake keeps a real start from happening, with the status that systemd does not restart on.
        let start = try agentd("--config", file)
        #expect(start.code == 78, "\(mistake.name): \(start)")
    }

    @Test("A configuration that is not there")
    func missingConfiguration() throws {
        let output = try agentd("--config", "/nonexistent/agent.yaml", "--check-config")
        #expect(output.code != 0)
        #expect(output.standardError.contains("/nonexistent/agent.yaml"))
    }

    @Test("--once tells by its exit status whether something changed")
    func once() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let directory = try TemporaryDirectory()
        let settings = AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))])
        let file = try directory.write("agent.yaml", settings.yaml(in: directory.path))
        for name in ["run", "state"] { try createDirectory(directory.path(name)) }

        #expect(try agentd("--config", file, "--once").code == 2, "the first time everything is new")
        #expect(try agentd("--config", file, "--once").code == 0, "nothing changed")
        origin.answer { .document(document(2), to: $0) }
        #expect(try agentd("--config", file, "--once").code == 2, "it changed")
        #expect(try agentd("--config", file, "--once").code == 0, "the change was remembered")
        origin.answer { _ in .http(200, body: Array("{".utf8)) }
        let bad = try agentd("--config", file, "--once")
        #expect(bad.code == 1)
        #expect(bad.standardError.contains("app"))
        origin.answer { .document(document(2), to: $0) }
        #expect(try agentd("--config", file, "--once").code == 0, "a failure changes nothing")
    }

    @Test("--config takes a directory, merged in the order of the names")
    func configurationDirectory() throws {
        let directory = try TemporaryDirectory()
        let data = try directory.write("data/app.json", document(1))
        try createDirectory(directory.path("run"))
        try directory.write(
            "etc/agent.yaml",
            """
            runtime_dir: \(directory.path("run"))
            state_dir: \(directory.path("state"))
            sources:
              app:
                url: file://\(data)
                poll: 10s
            layers: [app]

            """
        )
        let output = try agentd("--config", directory.path("etc"), "--once")
        #expect(output.code == 2, "\(output)")
    }

    @Test("--version", arguments: ["agentd", "agentctl"])
    func version(_ name: String) throws {
        let output = try Program.run([AgentProcess.path(of: name), "--version"])
        #expect(output.code == 0)
        #expect(output.standardOutput.contains(#/\d+\.\d+\.\d+/#))
    }

    @Test("SIGTERM ends it cleanly within a second, SIGHUP does not end it", arguments: [SIGTERM, SIGINT])
    func signals(_ signal: Int32) throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        origin.answer { .document(document(2), to: $0) }
        agent.program.signal(SIGHUP)
        try agent.waitForValue("version", "2")
        // Something is under way that will not end by itself.
        origin.hold()
        try waitUntil("a poll to be held", deadline: .seconds(15)) { origin.held == 1 }
        agent.program.signal(signal)
        #expect(try agent.program.waitForExit(deadline: .seconds(1)) == .exited(0))
    }

    @Test("A second agent on the same runtime directory is refused, and the first one is not disturbed")
    func twoAgents() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        let second = try agentd("--config", agent.directory.path("agent.yaml"))
        #expect(second.code != 0)
        #expect(second.standardError.contains("\(agent.program.pid)"))
        #expect(try agent.value("version").line == "1")
    }

    // MARK: - agentctl

    @Test("status exits with 3 when no agent runs, and does not wake one that systemd would start")
    func notRunning() throws {
        let directory = try TemporaryDirectory()
        let listener = try HeldOrigin(on: .unix(directory.path("status.sock")))
        defer { listener.stop() }
        let output = try agentctl("--runtime-dir", directory.path, "status")
        #expect(output.code == 3, "\(output)")
        #expect(output.standardError.contains("not running"))
        #expect(try agentctl("status", "--runtime-dir", directory.path).code == 3)
        // A lock file that nobody holds says the same.
        try directory.write("agentd.lock", "1\n")
        #expect(try agentctl("--runtime-dir", directory.path, "get", "a").code == 3)
        #expect(listener.connections == 0)
    }

    @Test("status exits with 0 when healthy and with 1 when degraded")
    func healthyAndDegraded() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        let healthy = try agent.control("status")
        #expect(healthy.code == 0)
        #expect(healthy.standardOutput.contains("healthy"))
        #expect(healthy.standardOutput.contains("2/2 workers on generation 1, confirmed "))
        #expect(!healthy.standardOutput.contains("\u{1b}["), "colour is for terminals")

        origin.answer { _ in .http(503) }
        #expect(try agent.control("refresh").code == 1)
        let degraded = try agent.control("status")
        #expect(degraded.code == 1)
        #expect(degraded.standardOutput.contains("503"))
        let json = try agent.control("-o", "json", "status")
        #expect(json.code == 1)
        #expect(try JSONValue(parsing: json.standardOutput)["health"]["level"].string == "degraded")
    }

    @Test("JSON ends with one newline, whichever command it is of")
    func newlines() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        let options = ["--runtime-dir", agent.runtimeDirectory, "-o", "json"]
        let bundle = directory.path("bundle.tar.gz")
        for command in [
            ["status"], ["sources"], ["locks"], ["refresh"], ["reload", "--wait"], ["get", "version"], ["get"],
            ["doctor"],
            ["support-bundle", bundle], ["locks", "--watch=100ms", "--count", "1"],
        ] {
            let output = try Program.run([AgentProcess.path(of: "agentctl")] + options + command)
            #expect(output.standardOutput.hasSuffix("}\n"), "\(command): \(output)")
            #expect(!output.standardOutput.hasSuffix("\n\n"), "\(command)")
        }
    }

    @Test("status exits with 4 without permission", .enabled(if: geteuid() == 0))
    func noPermission() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        // Somebody without rights needs a copy that may be reached; the agent's own directory may not be.
        let open = try TemporaryDirectory()
        try Program.check(["chmod", "755", open.path])
        try Program.check(["install", "-m", "755", AgentProcess.path(of: "agentctl"), open.path("agentctl")])
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        let status = [open.path("agentctl"), "--runtime-dir", agent.runtimeDirectory, "status"]
        let output = try Program.run(nobody + status)
        #expect(output.code == 4, "\(output)")
        #expect(output.standardError.contains("permission"))
    }

    @Test("get, sources and locks")
    func reads() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", #"{"db": {"url": "postgres://db", "pool": 8}, "on": true}"#)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
        #expect(try agent.control("get", "db.url").standardOutput == "\"postgres://db\"\n")
        #expect(try agent.control("get", "db.pool").standardOutput == "8\n")
        #expect(try JSONValue(parsing: agent.control("get", "db").standardOutput)["pool"].int == 8)
        let full = try JSONValue(parsing: agent.control("-o", "json", "get", "on").standardOutput)
        #expect(full["value"].bool == true)
        #expect(full["source"].string == "app")
        #expect(full["generation"].int == 1)

        let missing = try agent.control("get", "db.ulr")
        #expect(missing.code == 1)
        #expect(missing.standardOutput.isEmpty)
        #expect(missing.standardError.contains("db.url"))

        let sources = try agent.control("sources")
        #expect(sources.code == 0)
        #expect(sources.standardOutput.contains("app"))
        let locks = try agent.control("-o", "json", "locks")
        #expect(locks.code == 0)
        #expect(try !JSONValue(parsing: locks.standardOutput)["locks"].array.isEmpty)
        #expect(try agent.control("refresh", "nothing").code == 1)
        #expect(try agent.control("refresh", "app").code == 0)
    }
}

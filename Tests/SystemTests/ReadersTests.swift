internal import Foundation
import TestSupport
import Testing

/// A document that only the members of a group read.
@Suite("Readers of one group", .enabled(if: geteuid() == 0))
struct ReadersTests {
    @Test("It has a socket of its own, of that group, and is not to be had at everybody's")
    func groupSocket() throws {
        let files = try TemporaryDirectory()
        try files.write("open.json", #"{"a": 1}"#)
        try files.write("secret.json", #"{"key": "s3cr3t"}"#)
        try files.write("app.json", #"{"b": 1}"#)
        func onDemand(_ name: String, _ more: String...) -> SourceSettings {
            SourceSettings(url: "file://\(files.path("\(name).json"))", more: ["load: on_demand"] + more)
        }
        var settings = AgentSettings(sources: ["app": SourceSettings(url: "file://\(files.path("app.json"))")])
        settings.sources["open"] = onDemand("open")
        settings.sources["secret"] = onDemand("secret", "readers: daemon")
        let agent = try AgentProcess.ready(settings)
        let socket = agent.runtimeDirectory + "/config.daemon.sock"
        let own = Endpoint.unix(socket)
        try waitUntil("its socket") { FileManager.default.fileExists(atPath: socket) }
        try waitUntil("its mode") {
            let attributes = try FileManager.default.attributesOfItem(atPath: socket)
            return attributes[.posixPermissions] as? Int == 0o660 && attributes[.groupOwnerAccountID] as? Int == 1
        }
        func get(_ path: String, at endpoint: Endpoint) throws -> HTTPResponse {
            try HTTPClient.send("GET", path, to: endpoint)
        }
        let refused = try get("/v1/documents/secret/key", at: agent.configSocket)
        #expect(refused.status == 403)
        #expect(try refused.json()["error"]["hint"].string?.contains("--group daemon") == true)
        #expect(try get("/v1/documents/secret/key", at: own).line == #""s3cr3t""#)
        // Loaded by now, and still nobody else's.
        #expect(try get("/v1/documents/secret/key", at: agent.configSocket).status == 403)
        #expect(try get("/v1/documents/open/a", at: agent.configSocket).line == "1")
        for path in ["/v1/documents/open/a", "/v1/config", "/v1/watch", "/v1/generations/1", "/v1/diff"] {
            #expect([403, 404].contains(try get(path, at: own).status), "\(path)")
        }
        #expect(
            try agent.control("get", "--source", "secret", "--group", "daemon", "key", "--raw").standardOutput
                == "s3cr3t\n"
        )
        for path in ["/v1/status", "/v1/sources", "/metrics", "/v1/history"] {
            #expect(!(try get(path, at: agent.statusSocket).text.contains("s3cr3t")))
        }

        // By the kernel's word: whoever is not in the group does not come in.
        for directory in [agent.directory.path, agent.runtimeDirectory] { chmod(directory, 0o755) }
        func asNobody(_ group: String) throws -> ProgramOutput {
            try Program.run([
                "setpriv", "--reuid=nobody", "--regid=\(group)", "--clear-groups", "curl", "-s", "--max-time", "5",
                "--unix-socket", socket, "http://agent/v1/documents/secret/key",
            ])
        }
        #expect(try asNobody("daemon").standardOutput.contains("s3cr3t"))
        let stranger = try asNobody("nogroup")
        #expect(stranger.code == 7 && stranger.standardOutput.isEmpty, "\(stranger)")

        // A group that is new comes with a reload.
        settings.sources["open"] = onDemand("open", "readers: adm")
        try agent.directory.write("agent.yaml", settings.yaml(in: agent.directory.path))
        #expect(try agent.control("reload", "--wait").code == 0)
        try waitUntil("its socket") {
            FileManager.default.fileExists(atPath: agent.runtimeDirectory + "/config.adm.sock")
        }
        #expect(try get("/v1/documents/open/a", at: agent.configSocket).status == 403)
        // And all are gone with the agent.
        agent.program.stop()
        #expect(!FileManager.default.fileExists(atPath: socket))
    }

    @Test("A group that does not exist is told of: by --check-config, in health, and in the journal once")
    func unknownGroup() throws {
        let files = try TemporaryDirectory()
        try files.write("app.json", #"{"b": 1}"#)
        let url = "file://\(files.path("app.json"))"
        var settings = AgentSettings(sources: ["app": SourceSettings(url: url)])
        settings.sources["secret"] = SourceSettings(url: url, more: ["load: on_demand", "readers: no-such-group"])
        let agent = try AgentProcess.ready(settings)
        let checked = try Program.run([
            AgentProcess.path(of: "agentd"), "--check-config", "--config", agent.directory.path("agent.yaml"),
        ])
        #expect(checked.code == 0)
        #expect(checked.standardError.contains("sources.secret.readers: there is no group"), "\(checked)")
        let health = try agent.status()["health"]
        #expect(health["level"].string == "degraded")
        #expect(health["reasons"][0]["code"].string == "no_group_socket")
        #expect(health["reasons"][0]["source"].string == "secret")
        #expect(!FileManager.default.fileExists(atPath: agent.runtimeDirectory + "/config.no-such-group.sock"))
        #expect(agent.log.contains("no socket for group no-such-group"))
    }

    @Test(
        "The file that says when all was last confirmed: it grows no younger than that, and goes with what is not confirmed"
    )
    func confirmedFile() throws {
        let origin = try HeldOrigin { .document(#"{"v": 1}"#, to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: origin.url("/app.json"))]))
        let path = agent.runtimeDirectory + "/confirmed"
        func time() -> Date? {
            (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
        }
        try waitUntil("the file", deadline: .seconds(10)) { time() != nil }
        let first = try #require(time())
        try waitUntil("it to follow the polls", deadline: .seconds(10)) { time().map { $0 > first + 1 } ?? false }
        origin.answer { _ in .http(500) }
        try waitUntil("a failure") { try agent.status()["sources"]["app"]["consecutive_failures"].int ?? 0 > 1 }
        let confirmed = try #require(try agent.status()["confirmed_at"].string)
        try waitUntil("it to stand still") {
            let stands = try #require(time())
            return ISO8601DateFormatter.exact.date(from: confirmed).map { abs($0.timeIntervalSince(stands)) < 0.01 }
                ?? false
        }
    }
}

extension ISO8601DateFormatter {
    fileprivate static var exact: ISO8601DateFormatter {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return formatter
    }
}

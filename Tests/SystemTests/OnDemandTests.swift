import Foundation
import LockLadder
import TestSupport
import Testing

/// `load: on_demand` as services and operators see it.
@Suite("Documents on demand, from outside")
struct OnDemandTests {
    private let origin: HeldOrigin

    init() throws {
        origin = try HeldOrigin { request in
            request.route == "/base.json"
                ? .document(#"{"base": true}"#, to: request) : .document(document(1), to: request)
        }
    }

    private func settings(_ more: String..., idle: String = "1h") -> AgentSettings {
        AgentSettings(
            sources: [
                "base": SourceSettings(url: origin.url("/base.json")),
                "rare": SourceSettings(
                    url: origin.url("/rare.json"),
                    more: ["load: on_demand", "idle: \(idle)", "retry: {base: 1h, max: 1h}"] + more
                ),
            ],
            layers: ["base"]
        )
    }

    private func read(_ agent: AgentProcess, _ target: String, _ headers: [String: String] = [:]) throws -> HTTPResponse
    {
        try HTTPClient.send(
            "GET",
            "/v1/documents/\(target)",
            to: agent.configSocket,
            headers: headers,
            timeout: .seconds(60)
        )
    }

    private func state(_ agent: AgentProcess) throws -> String? {
        try agent.status()["sources"]["rare"]["state"].string
    }

    private func asked() -> Int { origin.requests.count { $0.route == "/rare.json" } }

    @Test("Loaded by the first who reads it, with one request for all; read by any language, and by agentctl")
    func loaded() throws {
        let agent = try AgentProcess.ready(settings())
        #expect(try state(agent) == "asleep")
        #expect(asked() == 0)
        origin.hold()
        let readers = PendingThreads(count: 30) { _ in try read(agent, "rare/version") }
        try waitUntil("the request") { origin.held > 0 && asked() == 1 }
        origin.releaseAll()
        for answer in try readers.results() {
            #expect(answer.status == 200)
            #expect(answer.text == "1")
            #expect(answer.headers["agent-source"] == "rare")
            #expect(answer.headers["agent-state"] == "fresh")
            #expect(answer.headers["agent-generation"] == nil)
        }
        // Some may have come when it was there already.
        #expect(asked() == 1)
        let whole = try read(agent, "rare")
        #expect(whole.text == #"{"again":{"version":1},"version":1}"#)
        let tag = try #require(whole.headers["etag"])
        #expect(try read(agent, "rare/", ["If-None-Match": tag]).status == 304)
        #expect(try agent.value("version").status == 404)
        #expect(try state(agent) == "fresh")
        #expect(agent.log.contains("loaded source rare on demand"))

        let output = try agent.control("get", "--source", "rare", "again.version")
        #expect(output.standardOutput == "1\n")
        let json = try JSONValue(parsing: try agent.control("get", "--source", "rare", "-o", "json").standardOutput)
        #expect(json["source"].string == "rare")
        #expect(json["generation"].isNull)
        #expect(json["value"]["version"].int == 1)
        #expect(try agent.control("sources").standardOutput.contains("rare (http, on demand): fresh"))

        origin.answer { .document(document(2), to: $0) }
        try waitUntil("the change") { try read(agent, "rare/version").text == "2" }
    }

    @Test("What is asked for in vain is told why, and what to do")
    func refusals() throws {
        let agent = try AgentProcess.ready(settings())
        let cases: [(target: String, status: Int, code: String, words: String)] = [
            ("rar", 404, "unknown_source", "loaded on demand are: rare"),
            ("base/x", 404, "not_on_demand", "/v1/config/x"),
            ("rare/versoin", 404, "unknown_key", "version"),
            ("rare?wait=0", 400, "bad_wait", "from 1 to 55"), ("rare?wait=x", 400, "bad_wait", "from 1 to 55"),
        ]
        for (target, status, code, words) in cases {
            let answer = try read(agent, target)
            #expect(answer.status == status, "\(target)")
            #expect(try answer.json()["error"]["code"].string == code)
            #expect(answer.text.contains(words), "\(answer.text)")
        }
        #expect(try HTTPClient.send("POST", "/v1/documents/rare", to: agent.configSocket).status == 405)
        let wrong = try HTTPClient.send("GET", "/v1/documents/rare", to: agent.statusSocket)
        #expect(wrong.text.contains("config.sock"))
        let output = try agent.control("get", "--source", "base", "x")
        #expect(output.code == 1)
        #expect(output.standardError.contains("not loaded on demand"))
        #expect(try agent.control("get", "--wait", "5", "x").code != 0)
    }

    @Test("Each waits as long as it can, and says so; the load goes on")
    func deadlines() throws {
        let agent = try AgentProcess.ready(settings())
        origin.hold()
        let patient = PendingThreads(count: 1) { _ in try read(agent, "rare/version?wait=55") }
        let hasty = try read(agent, "rare/version?wait=1")
        #expect(hasty.status == 504)
        #expect(hasty.text.contains("was not there within 1 s"))
        let output = try agent.control("get", "--source", "rare", "--wait", "1")
        #expect(output.code == 1)
        #expect(output.standardError.contains("was not there within 1 s"))
        // One that goes away leaves the others theirs.
        #expect(throws: (any Error).self) {
            try HTTPClient.send("GET", "/v1/documents/rare", to: agent.configSocket, timeout: .milliseconds(200))
        }
        origin.releaseAll()
        #expect(try patient.results()[0].text == "1")
        #expect(asked() == 1)
    }

    @Test("A source that fails: told at once, not asked by readers; after a restart its stored copy, and said so")
    func failing() throws {
        let agent = try AgentProcess.ready(settings())
        #expect(try read(agent, "rare/version").text == "1")
        let copy = agent.directory.path("state/documents/rare")
        try waitUntil("the stored copy") { FileManager.default.fileExists(atPath: copy) }
        agent.program.stop()
        origin.answer { request in
            request.route == "/base.json" ? .document(#"{"base": true}"#, to: request) : .http(503)
        }
        let second = try AgentProcess(after: agent)
        try second.waitUntilReady()
        #expect(try state(second) == "asleep")
        let before = asked()
        for _ in 0..<5 {
            let answer = try read(second, "rare/version")
            #expect(answer.text == "1")
            #expect(answer.headers["agent-state"] == "last_good")
        }
        #expect(asked() == before + 1)
        // So does who asks at a terminal.
        let shown = try second.control("get", "--source", "rare", "version")
        #expect(shown.code == 0 && shown.standardOutput == "1\n")
        #expect(shown.standardError.contains("this is the stored copy: source rare fails"), "\(shown)")
        let json = try JSONValue(
            parsing: second.control("get", "--source", "rare", "version", "-o", "json").standardOutput
        )
        #expect(json["state"].string == "last_good")
        #expect(try state(second) == "last_good")
        #expect(try second.control("status").code == 1)
        second.program.stop()

        try FileManager.default.removeItem(atPath: copy)
        let third = try AgentProcess(after: second)
        try third.waitUntilReady()
        for _ in 0..<5 {
            let answer = try read(third, "rare/version")
            #expect(answer.status == 503)
            #expect(try answer.json()["error"]["code"].string == "source_failing")
            #expect(answer.text.contains("HTTP status 503"))
        }
        #expect(asked() == before + 2)
        #expect(Int(try read(third, "rare/version").headers["retry-after"] ?? "") ?? 0 > 0)
        // Whoever commands it finds out.
        origin.answer { .document(document(3), to: $0) }
        #expect(try third.refresh("rare").status == 200)
        #expect(try read(third, "rare/version").text == "3")
        #expect(try third.control("status").code == 0)
    }

    @Test("Dropped when nobody reads it, and loaded again; a refresh of all lets it sleep, and all is well meanwhile")
    func idle() throws {
        let agent = try AgentProcess.ready(settings(idle: "1s"))
        #expect(try read(agent, "rare/version").text == "1")
        try waitUntil("its sleep") { try state(agent) == "asleep" }
        let before = asked()
        #expect(try agent.refresh().json()["sources"]["rare"].isNull)
        #expect(try agent.status()["health"]["level"].string == "healthy")
        #expect(agent.log.contains("nobody has read source rare"))
        #expect(asked() == before)
        origin.answer { .document(document(2), to: $0) }
        #expect(try read(agent, "rare/version").text == "2")
        #expect(asked() > before)
    }

    @Test("Large documents are there once, and not any more when they sleep")
    func large() throws {
        let text = String(repeating: "x", count: 8 << 20)
        origin.answer { request in
            request.route == "/base.json"
                ? .document(#"{"base": true}"#, to: request) : .document("{\"a\":\"\(text)\"}", to: request)
        }
        let agent = try AgentProcess.ready(settings(idle: "2s"))
        let idle = try agent.residentMemory()
        for _ in 0..<10 { #expect(try read(agent, "rare/a").body.count == text.utf8.count + 2) }
        // What has come, its table, and the bytes that all readers share on each worker.
        #expect(try agent.peakMemory() < idle + (6 * 8 + 24) << 20)
        try waitUntil("its sleep") { try state(agent) == "asleep" }
        try waitUntil("its memory is free") { try agent.residentMemory() < idle + 8 << 20 }
    }
}

internal import Foundation
import TestSupport
import Testing

@Suite("With a real nginx", .enabled(if: mayUseNginx))
struct NginxTests {
    @Test("A poll of an unchanged document is a 304 in nginx's own log")
    func unchangedPollsAreNotModified() throws {
        let nginx = try Nginx()
        let path = try nginx.files.write("app.json", document(1))
        // Of a file that is younger than two seconds the agent does not believe the ETag yet.
        try FileManager.default.setAttributes([.modificationDate: Date.now - 60], ofItemAtPath: path)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: nginx.url("/app.json"))]))
        try waitUntil("four requests", deadline: .seconds(20)) { try nginx.log().count >= 4 }
        let log = try nginx.log()
        #expect(log.first?.status == 200)
        #expect(log.first?.ifNoneMatch == "")
        #expect(log.dropFirst().allSatisfy { $0.status == 304 && $0.bodyBytes == 0 && !$0.ifNoneMatch.isEmpty })
        let status = try agent.status()
        #expect(status["generation"].int == 1)
        #expect(status["health"]["level"].string == "healthy")
    }

    @Test("A change at the server is visible through agentctl get, and its ETag is the one sent from then on")
    func changeArrives() throws {
        let nginx = try Nginx()
        let path = try nginx.files.write("app.json", #"{"greeting": "hello"}"#)
        // Old enough for its ETag to be believed at once.
        try FileManager.default.setAttributes([.modificationDate: Date.now - 60], ofItemAtPath: path)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: nginx.url("/app.json"))]))
        let before = try agent.control("get", "greeting")
        #expect(before.code == 0)
        #expect(before.standardOutput.contains("\"hello\""))

        // nginx makes the ETag from time and size: a size of its own keeps the two apart within one second.
        try nginx.files.write("app.json", #"{"greeting": "good morning"}"#)
        try waitUntil("the change", deadline: .seconds(15)) {
            try agent.control("get", "greeting").standardOutput.contains("\"good morning\"")
        }
        let changed = try #require(try nginx.log().dropFirst().first { $0.status == 200 })
        #expect(!changed.ifNoneMatch.isEmpty)
        try waitUntil("a poll with the new ETag", deadline: .seconds(15)) {
            try nginx.log().last.map { $0.status == 304 && $0.ifNoneMatch != changed.ifNoneMatch } ?? false
        }
        #expect(try agent.status()["generation"].int == 2)
    }

    @Test("Two changes within one second and of one size: nginx gives both the same ETag, and the second arrives")
    func sameETag() throws {
        let nginx = try Nginx()
        try nginx.files.write("app.json", #"{"value": "one"}"#)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: nginx.url("/app.json"))]))
        func change(to value: String, at date: Date) throws {
            let path = try nginx.files.write("app.json", #"{"value": "\#(value)"}"#)
            try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
        }
        func isServed(_ value: String) throws -> Bool {
            try agent.control("get", "value").standardOutput == "\"\(value)\"\n"
        }
        // A poll finds it: what has just been changed is asked for again until it has settled.
        let now = Date.now
        try change(to: "two", at: now)
        try waitUntil("two", deadline: .seconds(15)) { try isServed("two") }
        try change(to: "six", at: now)
        try waitUntil("six", deadline: .seconds(15)) { try agent.control("refresh").code == 0 && isServed("six") }
        // And a refresh finds it however old the file claims to be.
        let past = Date.now - 3_600
        try change(to: "old", at: past)
        #expect(try agent.control("refresh").code == 0)
        #expect(try isServed("old"))
        try change(to: "ten", at: past)
        #expect(try agent.control("refresh").code == 0)
        #expect(try isServed("ten"))
    }

    @Test("64 refreshes at once share one request")
    func refreshesAreShared() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let nginx = try Nginx(proxied: ["/held/": origin.port])
        let source = SourceSettings(url: nginx.url("/held/app.json"), poll: "2s")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))

        // An older poll is on its way and cannot answer a refresh, so all of them wait for the one request after it.
        origin.hold()
        try waitUntil("a poll to be held", deadline: .seconds(15)) { origin.held == 1 }
        let requestsBefore = origin.requests.count
        let logBefore = try nginx.log().count
        let flightsBefore = try agent.status()["flights"]
        let foldedBefore = try #require(flightsBefore["folded"].int)
        let startedBefore = try #require(flightsBefore["flights"].int)
        origin.answer { .document(document(2), to: $0) }

        let callers = PendingThreads(count: 64) { _ in try agent.refresh() }
        try waitUntil("63 folded calls", deadline: .seconds(20)) {
            try agent.status()["flights"]["folded"].int == foldedBefore + 63
        }
        origin.release()
        try waitUntil("the shared request", deadline: .seconds(10)) {
            origin.requests.count == requestsBefore + 1 && origin.held == 1
        }
        origin.releaseAll()
        let answers = try callers.results()
        let flightsAfter = try agent.status()["flights"]
        #expect(origin.requests.count == requestsBefore + 1)
        #expect(flightsAfter["flights"].int == startedBefore + 1)
        // The held poll and the shared request; a line is written when its answer has left.
        try waitUntil("both lines in the log") { try nginx.log().count >= logBefore + 2 }
        #expect(try nginx.log().count == logBefore + 2)

        #expect(answers.allSatisfy { $0.status == 200 })
        let outcomes = try answers.map { try $0.json()["sources"]["app"] }
        #expect(outcomes.allSatisfy { $0["outcome"].string == "published" && $0["generation"].int == 2 })
        #expect(outcomes.filter { $0["folded"].bool == true }.count == 63)
        #expect(try agent.value("version").line == "2")
    }

    @Test("A refresh during an older poll returns what is new since")
    func refreshIsNeverOlderThanTheCommand() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        let nginx = try Nginx(proxied: ["/held/": origin.port])
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: nginx.url("/held/app.json"))]))

        origin.answer { .document(document(2), to: $0) }
        origin.hold()
        try waitUntil("a poll to be held", deadline: .seconds(15)) { origin.held == 1 }
        // The held poll carries version 2; what the refresh must bring is newer than that.
        origin.answer { .document(document(3), to: $0) }
        let requestsBefore = origin.requests.count
        let callsBefore = try #require(try agent.status()["flights"]["calls"].int)
        let caller = PendingThreads(count: 1) { _ in
            let answer = try agent.control("refresh", "app")
            return (answer.code, try agent.value("version").line)
        }
        try waitUntil("the refresh to have arrived", deadline: .seconds(10)) {
            try agent.status()["flights"]["calls"].int == callsBefore + 1
        }
        origin.releaseAll()
        let (code, version) = try #require(try caller.results().first)
        #expect(code == 0)
        #expect(version == "3")
        #expect(origin.requests.count == requestsBefore + 1)
    }

    @Test("Keys are merged in the order of the layers, and each says where it came from")
    func layersAndOrigins() throws {
        let nginx = try Nginx()
        try nginx.files.write("app.json", #"{"port": 8080, "name": "shop"}"#)
        try nginx.files.write("defaults.yaml", "port: 80\nlimits:\n  rate: 10\n")
        let agent = try AgentProcess.ready(
            AgentSettings(
                sources: [
                    "app": .init(url: nginx.url("/app.json")), "defaults": .init(url: nginx.url("/defaults.yaml")),
                ],
                layers: ["defaults", "app"]
            )
        )
        let port = try agent.value("port")
        #expect(port.line == "8080")
        #expect(port.headers["agent-source"] == "app")
        #expect(port.headers["agent-generation"].flatMap { Int($0) } ?? 0 >= 1)
        #expect(port.headers["agent-revision"]?.isEmpty == false)
        let rate = try agent.value("limits.rate")
        #expect(rate.line == "10")
        #expect(rate.headers["agent-source"] == "defaults")

        let tag = try #require(port.headers["etag"])
        let condition = ["If-None-Match": tag]
        let again = try HTTPClient.send("GET", "/v1/config/port", to: agent.configSocket, headers: condition)
        #expect(again.status == 304)
        #expect(again.body.isEmpty)

        let missing = try agent.value("limits.rat")
        #expect(missing.status == 404)
        #expect(try missing.json()["error"]["nearest"].strings.contains("limits.rate"))
    }

    @Test("While nginx is away the values stay; once it is back the agent recovers by itself")
    func outage() throws {
        var nginx: Nginx? = try Nginx()
        let url = try #require(nginx?.url("/app.json"))
        try nginx?.files.write("app.json", document(1))
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: url)]))
        nginx?.stop()
        nginx = nil
        try agent.waitForLevel("degraded")
        #expect(try agent.value("version").line == "1")
        let status = try agent.status()
        #expect(status["sources"]["app"]["last_error"]["code"].string == "connect")
        #expect(agent.program.isRunning)

        // The same port, this time held by an origin of ours.
        let port = try #require(url.split(separator: ":").last?.split(separator: "/").first.flatMap { UInt16($0) })
        let origin = try HeldOrigin(on: .loopback(port)) { .document(document(2), to: $0) }
        defer { origin.stop() }
        try agent.waitForValue("version", "2", deadline: .seconds(60))
        try agent.waitForLevel("healthy")
    }
}

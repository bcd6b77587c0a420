import AgentAPI
import AgentControl
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@Suite("config.sock")
struct ConfigSocketTests {
    private static let document = #"""
        {"server":{"port":8080,"host":"é","name.with.dots":{"a/b":1}},"list":[1,{"x":null}],"a\"b":"quoted","empty":{}}
        """#

    @Test func values() throws {
        let running = try Running.withDocument(Self.document)
        for (target, value) in [
            ("server.port", "8080"), ("server.host", "\"é\""), ("list", "[1,{\"x\":null}]"), ("empty", "{}"),
            ("server.%22name.with.dots%22.a/b", "1"), ("server.%22name.with.dots%22", "{\"a/b\":1}"),
            ("server.%22name.with.dots%22.a%2Fb", "1"), ("%22a%5C%22b%22", "\"quoted\""),
        ] {
            let answer = try running.config("/v1/config/\(target)")
            #expect(answer.status == 200, "\(target)")
            #expect(answer.text == value)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.headers["agent-generation"] == "1")
            #expect(answer.headers["agent-source"] == "base")
            #expect(answer.headers["agent-revision"]?.count == 12)
            #expect(answer.headers["cache-control"] == "no-cache")
            #expect(answer.headers["etag"]?.hasPrefix("\"") == true)
        }
    }

    @Test("The whole configuration has two addresses")
    func everything() throws {
        let running = try Running.withDocument(#"{"b":{"c":1},"a":[]}"#)
        for target in ["/v1/config", "/v1/config/"] {
            #expect(try running.config(target).text == "{\"a\":[],\"b\":{\"c\":1}}")
        }
    }

    @Test("A value of several sources has none")
    func severalSources() throws {
        let directory = try TemporaryDirectory()
        let one = try directory.write("one.json", #"{"a":{"x":1}}"#)
        let two = try directory.write("two.json", #"{"a":{"y":2}}"#)
        let running = try Running(
            [source("one", .file, "file://\(one)"), source("two", .file, "file://\(two)")],
            in: directory
        )
        try running.start()
        let both = try running.config("/v1/config/a")
        #expect(both.text == "{\"x\":1,\"y\":2}")
        #expect(both.headers["agent-source"] == nil)
        #expect(both.headers["agent-revision"] == nil)
        #expect(try running.config("/v1/config/a.y").headers["agent-source"] == "two")
    }

    @Test func unknownKeys() throws {
        let running = try Running.withDocument(Self.document)
        let near = try running.config("/v1/config/server.prot")
        #expect(near.status == 404)
        #expect(near.error?.code == "unknown_key")
        #expect(near.error?.nearest?.first == "server.port")
        #expect(near.error?.hint == nil)
        #expect(near.error?.message.contains("server.prot") == true)
        let bad = try running.config("/v1/config/a%22b")
        #expect(bad.status == 404)
        #expect(bad.error?.hint?.contains("quotes") == true)
        #expect(try running.config("/v1/config/server..port").status == 404)
        #expect(try running.config("/v1/config/server.").status == 404)
        #expect(try running.config("/v1/config/server.port.x").status == 404)
    }

    @Test("A key is bytes, also one that begins with a combining letter")
    func combiningKey() throws {
        let running = try Running.withDocument("{\"\u{301}a\":1,\"e\u{301}\":2,\"\u{E9}\":3}")
        #expect(try running.config("/v1/config/e%CC%81").text == "2")
        #expect(try running.config("/v1/config/%C3%A9").text == "3")
        #expect(try running.config("/v1/config/%CC%81a").text == "1")
    }

    @Test func etags() throws {
        let running = try Running.withDocument(#"{"a":1,"b":1,"c":2}"#)
        let etag = try #require(try running.config("/v1/config/a").headers["etag"])
        #expect(try running.config("/v1/config/c").headers["etag"] != etag)
        for condition in [etag, "W/\(etag)", "\"x\", \(etag)", "\(etag),\"x\"", "*", " \(etag) "] {
            let answer = try running.config("/v1/config/a", "GET", ["If-None-Match": condition])
            #expect(answer.status == 304, "\(condition)")
            #expect(answer.headers["etag"] == etag)
            #expect(answer.headers["agent-generation"] == "1")
        }
        for condition in ["\"x\"", String(etag.dropLast()), ""] {
            #expect(try running.config("/v1/config/a", "GET", ["If-None-Match": condition]).status == 200)
        }
        try running.write("base.json", #"{"a":2,"b":1,"c":2}"#)
        #expect(try running.control().status == 200)
        let changed = try running.config("/v1/config/a", "GET", ["If-None-Match": etag])
        #expect(changed.status == 200)
        #expect(changed.headers["agent-generation"] == "2")
        #expect(try running.config("/v1/config/b", "GET", ["If-None-Match": etag]).status == 304)
    }

    @Test("HEAD tells what GET would, without the value")
    func head() throws {
        let running = try Running.withDocument(#"{"a":"12345"}"#)
        let client = try Client(running.paths.configSocket)
        for _ in 0..<2 {
            try client.request("HEAD", "/v1/config/a")
            let head = try client.answer(hasBody: false)
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "7")
            #expect(head.headers["agent-generation"] == "1")
        }
        try client.request("GET", "/v1/config/a")
        #expect(try client.answer().text == "\"12345\"")
        try client.request("HEAD", "/v1/config/none")
        #expect(try client.answer(hasBody: false).status == 404)
    }

    @Test func methods() throws {
        let running = try Running.withDocument("{}")
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = try running.config("/v1/config/a", method)
            #expect(answer.status == 405)
            #expect(answer.error?.code == "method_not_allowed")
            #expect(answer.headers["allow"] == "GET, HEAD")
        }
    }

    @Test func beforeTheFirstSnapshot() throws {
        let directory = try TemporaryDirectory()
        let running = try Running([source("base", .file, "file://" + directory.path("none"))], in: directory)
        for target in ["/v1/config", "/v1/config/a"] {
            let answer = try running.config(target)
            #expect(answer.status == 503)
            #expect(answer.error?.code == "no_snapshot")
        }
        try running.start()
        #expect(try running.config("/v1/config/a").status == 503)
    }

    // MARK: max_age

    @Test(arguments: ["0", "-1", "x", "1.5", "", "1s", "99999999999999999999999"])
    func badMaxAge(text: String) throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        let answer = try running.config("/v1/config/a?max_age=\(text)")
        #expect(answer.status == 400)
        #expect(answer.error?.code == "bad_max_age")
    }

    @Test("No number ends the agent", arguments: ["9223372036", "9223372037", "9223372036854775807"])
    func largeMaxAge(text: String) async {
        await #expect(processExitsWith: .success) { [text = text as String] in
            let running = try Running.withDocument(#"{"a":1}"#)
            defer { running.stop() }
            guard try running.config("/v1/config/a?max_age=\(text)").status == 200 else { throw Client.Closed() }
        }
    }

    @Test func freshEnough() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        try running.write("base.json", #"{"a":2}"#)
        #expect(try running.config("/v1/config/a?max_age=1000").text == "1")
        #expect(running.agent.sourceFacts[sourceName("base")]?.requests == 1)
    }

    @Test("A value that its source contradicts is not confirmed, however well the source answers")
    func contradicted() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        #expect(try running.control("/v1/pin").status == 200)
        try running.write("base.json", #"{"a":2}"#)
        #expect(try running.control().status == 200)
        #expect(try running.config("/v1/config/a").text == "1")
        try waitUntil("the last confirmation is older than a second", every: .milliseconds(50)) {
            let facts = running.agent.sourceFacts[sourceName("base")]
            return Date().timeIntervalSince1970 - Double(facts?.confirmedAt ?? .max) / 1e9 > 1.01
        }
        let answer = try running.config("/v1/config/a?max_age=1")
        #expect(answer.status == 503)
        #expect(answer.error?.code == "not_confirmed")
        #expect(answer.error?.message.contains("what base says is not what is in use") == true)
        #expect(try running.control("/v1/unpin").status == 200)
        #expect(try running.config("/v1/config/a?max_age=1").text == "2")
    }

    @Test("Readers that want a younger value share one request")
    func tooOld() throws {
        let origin = try HeldOrigin { .http(200, body: Array("{\"n\":\($0.number)}".utf8)) }
        defer { origin.stop() }
        let directory = try TemporaryDirectory()
        let running = try Running([source("base", .http, origin.url("/a"))], in: directory)
        try running.start()
        try waitUntil("the value is older than a second", every: .milliseconds(50)) {
            let facts = running.agent.sourceFacts[sourceName("base")]
            return Date().timeIntervalSince1970 - Double(facts?.lastSuccessAt ?? .max) / 1e9 > 1.01
        }
        origin.hold()
        let before = running.agent.flightStatistics
        let answers = PendingThreads(count: 8) { _ in try running.config("/v1/config/n?max_age=1").text }
        try waitUntil("all have joined") { running.agent.flightStatistics.calls == before.calls + 8 }
        origin.releaseAll()
        #expect(try answers.results() == Array(repeating: "2", count: 8))
        #expect(running.agent.flightStatistics.folded == before.folded + 7)
        #expect(origin.requests.count == 2)
    }
}

@Suite("Answers that are kept for a generation")
struct AnswerCacheTests {
    @Test("Whatever is kept, an answer is the one that a first asker would get")
    func cached() throws {
        let running = try Running.withDocument(#"{"n":1,"m":"x"}"#, workers: 1)
        let client = try Client(running.paths.configSocket)
        func ask(_ target: String, _ method: String = "GET", _ headers: [String: String] = [:]) throws -> Answer {
            try client.request(method, target, headers)
            return try client.answer(hasBody: method != "HEAD")
        }
        let first = try ask("/v1/config/n")
        let etag = try #require(first.headers["etag"])
        for _ in 0..<3 {
            let again = try ask("/v1/config/n")
            #expect(again.headers == first.headers)
            #expect(again.text == "1")
            #expect(try ask("/v1/config/m").text == "\"x\"")
            // Beside it, all that must not be answered out of the same drawer.
            let head = try ask("/v1/config/n", "HEAD")
            #expect(head.headers["content-length"] == "1")
            #expect(head.body.isEmpty)
            #expect(try ask("/v1/config/n", "GET", ["If-None-Match": etag]).status == 304)
            #expect(try ask("/v1/config/none").status == 404)
            #expect(try ask("/v1/config/n", "DELETE").status == 405)
            #expect(try ask("/v1/config/n?max_age=3600").text == "1")
        }
        for number in 2...20 {
            try running.write("base.json", "{\"n\":\(number)}")
            #expect(try running.control().status == 200)
            #expect(try ask("/v1/config/n").text == "\(number)")
            #expect(try ask("/v1/config/n").headers["agent-generation"] == "\(number)")
            #expect(try ask("/v1/config/m").status == 404)
        }
        let reads = try running.report().workers.list[0].reads
        #expect(reads >= 60)
        let last = try ask("/v1/config/n", "GET", ["Connection": "close"])
        #expect(last.headers["connection"] == "close")
        #expect(client.isClosed())
    }

    @Test("Targets that are equal as text, but not byte by byte, are different ones")
    func equalAsText() throws {
        let running = try Running.withDocument("{\"K\":1,\"\u{212A}\":2,\"\u{E9}\":3,\"e\u{301}\":4}", workers: 1)
        let client = try Client(running.paths.configSocket)
        for _ in 0..<2 {
            for (key, value) in [("K", "1"), ("%E2%84%AA", "2"), ("%C3%A9", "3"), ("e%CC%81", "4")] {
                try client.request("GET", "/v1/config/\(key)")
                #expect(try client.answer().text == value, "\(key)")
            }
        }
        // As they are, they are no HTTP: what is kept by target can rely on that.
        try client.request("GET", "/v1/config/\u{212A}")
        #expect(try client.answer().status == 400)
    }

    @Test("Neither many targets nor large answers pile up")
    func bounds() throws {
        let members = (0..<3_000).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let running = try Running.withDocument(
            "{\(members),\"big\":\"\(String(repeating: "x", count: 100_000))\"}",
            workers: 1
        )
        let client = try Client(running.paths.configSocket)
        for round in 0..<2 {
            for number in 0..<3_000 {
                try client.request("GET", "/v1/config/k\(number)")
                #expect(try client.answer().text == "\(number)", "round \(round)")
            }
            try client.request("GET", "/v1/config/big")
            #expect(try client.answer().body.count == 100_002)
        }
    }
}

import AgentAPI
import AgentControl
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@Suite("control.sock, and connections")
struct ControlSocketTests {
    private func refreshed(_ answer: Answer) throws -> RefreshReport { try answer.decoded() }

    @Test func outcomes() throws {
        let directory = try TemporaryDirectory()
        let one = try directory.write("one.json", #"{"a":1}"#)
        let two = try directory.write("two.json", #"{"b":1}"#)
        let running = try Running(
            [source("one", .file, "file://\(one)"), source("two", .file, "file://\(two)")],
            in: directory
        )
        try running.start()
        let quiet = try refreshed(try running.control())
        #expect(quiet.generation == 1)
        #expect(quiet.sources.mapValues(\.outcome) == ["one": .unchanged, "two": .unchanged])
        try running.write("one.json", #"{"a":2}"#)
        try running.write("two.json", "{")
        let mixed = try refreshed(try running.control())
        #expect(mixed.generation == 2)
        #expect(mixed.sources.mapValues(\.outcome) == ["one": .published, "two": .failed])
        #expect(mixed.sources["one"]?.generation == 2)
        #expect(mixed.sources["one"]?.revision?.count == 12)
        #expect(mixed.sources["one"]?.folded == false)
        #expect(mixed.sources["two"]?.error?.stage == "decode")
        #expect(mixed.sources["two"]?.error?.code == "syntax")
        #expect((mixed.sources["one"]?.durationMilliseconds ?? -1) >= 0)
        #expect(try running.config("/v1/config/a").text == "2")
        let single = try refreshed(try running.control("/v1/refresh?source=one"))
        #expect(single.sources.mapValues(\.outcome) == ["one": .unchanged])
        #expect(try refreshed(try running.control("/v1/refresh?source=%6Fne")).sources.count == 1)
    }

    @Test("What is refreshed on one socket is read on the other, by whichever worker")
    func readYourRefresh() throws {
        let running = try Running.withDocument(#"{"n":0}"#, workers: 4)
        for number in 1...30 {
            try running.write("base.json", "{\"n\":\(number)}")
            #expect(try refreshed(try running.control()).generation == UInt64(number + 1))
            for _ in 0..<3 { #expect(try running.config("/v1/config/n").text == "\(number)") }
        }
    }

    @Test func unknownSource() throws {
        let running = try Running.withDocument("{}")
        let answer = try running.control("/v1/refresh?source=bsae")
        #expect(answer.status == 404)
        #expect(answer.error?.code == "unknown_source")
        #expect(answer.error?.nearest == ["base"])
        #expect(answer.error?.hint?.contains("base") == true)
        #expect(try running.control("/v1/refresh?source=").status == 404)
        #expect(running.agent.flightStatistics.calls == 1)
    }

    @Test func methods() throws {
        let running = try Running.withDocument("{}")
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = try running.control("/v1/refresh", method)
            #expect(answer.status == 405)
            #expect(answer.headers["allow"] == "POST")
        }
        let unknown = try running.control("/v1/refersh")
        #expect(unknown.status == 404)
        #expect(unknown.error?.code == "unknown_path")
        #expect(unknown.error?.nearest == ["/v1/refresh"])
    }

    // MARK: Refreshes that last

    private func held(_ origin: HeldOrigin) throws -> Running {
        let running = try Running([source("base", .http, origin.url("/a"))], in: try TemporaryDirectory())
        try running.start()
        origin.hold()
        return running
    }

    @Test("Many refreshes at once are one request")
    func folded() throws {
        let origin = try HeldOrigin { .http(200, body: Array("{\"n\":\($0.number)}".utf8)) }
        defer { origin.stop() }
        let running = try held(origin)
        let before = running.agent.flightStatistics
        // The first request holds up the rerun that all the others share.
        let first = PendingThreads(count: 1) { _ in try running.control() }
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let pending = PendingThreads(count: 16) { _ in try running.control() }
        try waitUntil("all have joined") { running.agent.flightStatistics.calls == before.calls + 17 }
        origin.releaseAll()
        #expect(try refreshed(try first.results()[0]).generation == 2)
        let reports = try pending.results().map { try refreshed($0) }
        #expect(reports.allSatisfy { $0.generation == 3 && $0.sources["base"]?.outcome == .published })
        #expect(reports.count { $0.sources["base"]?.folded == true } == 15)
        #expect(origin.requests.count == 3)
    }

    @Test("A client that goes away takes its wish with it")
    func disconnected() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let running = try held(origin)
        var client: Client? = try Client(running.paths.controlSocket)
        try client?.request("POST", "/v1/refresh", ["Content-Length": "0"])
        try waitUntil("the request is at the origin") { origin.held == 1 }
        client = nil
        try waitUntil("the flight is abandoned") { running.agent.flightStatistics.abandoned == 1 }
        #expect(running.agent.flightStatistics.inFlight == 0)
        origin.releaseAll()
        #expect(try refreshed(try running.control()).sources["base"]?.outcome == .unchanged)
    }

    @Test("As long as somebody else waits, the request goes on")
    func oneOfTwoDisconnected() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let running = try held(origin)
        let calls = running.agent.flightStatistics.calls
        var first: Client? = try Client(running.paths.controlSocket)
        try first?.request("POST", "/v1/refresh", ["Content-Length": "0"])
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let second = try Client(running.paths.controlSocket)
        try second.request("POST", "/v1/refresh", ["Content-Length": "0"])
        try waitUntil("both have joined") { running.agent.flightStatistics.calls == calls + 2 }
        first = nil
        try waitUntil("the first has left") { running.agent.flightStatistics.abandoned == 1 }
        origin.releaseAll()
        #expect(try refreshed(try second.answer()).sources["base"]?.outcome == .unchanged)
    }

    // MARK: Connections

    @Test("Requests sent all at once are answered in their order")
    func pipelined() throws {
        let running = try Running.withDocument("{" + (0..<50).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}")
        let client = try Client(running.paths.configSocket)
        try client.write((0..<50).map { "GET /v1/config/k\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined())
        for number in 0..<50 { #expect(try client.answer().text == "\(number)") }
    }

    @Test("Also when the first one takes long")
    func pipelinedBehindRefresh() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let running = try held(origin)
        let client = try Client(running.paths.controlSocket)
        let refresh = "POST /v1/refresh HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
        try client.write(refresh + "GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n" + refresh)
        try waitUntil("the request is at the origin") { origin.held == 1 }
        #expect(running.agent.flightStatistics.inFlight == 1)
        origin.releaseAll()
        #expect(try client.answer().status == 200)
        #expect(try client.answer().status == 404)
        #expect(try client.answer().status == 200)
        #expect(origin.requests.count == 3)
    }

    @Test func closeWhenAsked() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        let client = try Client(running.paths.configSocket)
        try client.request("GET", "/v1/config/a")
        let kept = try client.answer()
        #expect(kept.headers["connection"] != "close")
        try client.request("GET", "/v1/config/a", ["Connection": "close"])
        #expect(try client.answer().headers["connection"] == "close")
        #expect(client.isClosed())
        let old = try Client(running.paths.configSocket)
        try old.write("GET /v1/config/a HTTP/1.0\r\n\r\n")
        #expect(try old.answer().text == "1")
        #expect(old.isClosed())
    }

    @Test func bodies() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        let small = try Client(running.paths.controlSocket)
        try small.request("POST", "/v1/refresh", ["Content-Length": "5"])
        try small.write("hello")
        #expect(try small.answer().status == 200)
        let large = try Client(running.paths.controlSocket)
        try large.request("POST", "/v1/refresh", ["Content-Length": "65537"])
        try large.write(String(repeating: "x", count: 65_537))
        let refused = try large.answer()
        #expect(refused.status == 413)
        #expect(refused.error?.code == "body_too_large")
        #expect(large.isClosed())
    }

    @Test("An endless body is refused before it ends")
    func endlessBody() throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        let client = try Client(running.paths.controlSocket)
        try client.request("POST", "/v1/refresh", ["Transfer-Encoding": "chunked"])
        let chunk = "1000\r\n" + String(repeating: "x", count: 4_096) + "\r\n"
        var sent = 0
        do {
            while sent < 4_096 {
                try client.write(chunk)
                sent += 1
            }
        } catch {}
        #expect(sent < 4_096, "the agent took 16 MiB")
    }

    @Test(arguments: ["hello\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}"])
    func noHTTP(text: String) throws {
        let running = try Running.withDocument(#"{"a":1}"#)
        let client = try Client(running.paths.statusSocket)
        try client.write(text + "\r\n\r\n")
        if let answer = try? client.answer() { #expect(answer.status == 400) }
        #expect(client.isClosed())
        #expect(try running.status("/healthz").status == 200)
    }

    // MARK: Sockets

    @Test func modes() throws {
        let running = try Running.withDocument("{}")
        for (path, mode) in [
            (running.paths.statusSocket, 0o666), (running.paths.configSocket, 0o660),
            (running.paths.controlSocket, 0o660), (running.paths.locksSocket, 0o666),
        ] {
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & S_IFMT == S_IFSOCK)
            #expect(Int(status.st_mode) & 0o777 == mode)
        }
    }

    @Test func stopRemovesSockets() throws {
        let running = try Running.withDocument("{}")
        let idle = try Client(running.paths.configSocket)
        try idle.request("GET", "/v1/config")
        #expect(try idle.answer().status == 200)
        running.stop()
        #expect(idle.isClosed())
        let paths = running.paths
        for path in [paths.statusSocket, paths.configSocket, paths.controlSocket, paths.locksSocket] {
            #expect(access(path, F_OK) != 0)
            #expect(throws: POSIXError.self) { try Client(path) }
        }
    }

    @Test("Who waits for a refresh when the agent stops does not hold it up")
    func stopDuringRefresh() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let running = try held(origin)
        let client = try Client(running.paths.controlSocket)
        try client.request("POST", "/v1/refresh", ["Content-Length": "0"])
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let begun = MonotonicTime.now
        running.stop()
        #expect(MonotonicTime.now.nanoseconds(since: begun) < 5 * second)
        #expect(client.isClosed())
    }

    @Test("A socket that an earlier agent left is replaced, another file is not")
    func leftOver() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("base.json", "{}")
        let plan = [source("base", .file, "file://\(path)")]
        var left = try Running(plan, in: directory)
        // Bound again while the first still holds it: the name goes to the new one.
        let next = try Running(plan, in: directory)
        #expect(try next.report().generation == 0)
        withExtendedLifetime(left) {}
        left = next
        left.stop()
        try directory.write("status.sock", "a file")
        #expect(throws: (any Error).self) { try Running(plan, in: directory) }
        #expect(readText(directory.path("status.sock")) == "a file")
    }
}

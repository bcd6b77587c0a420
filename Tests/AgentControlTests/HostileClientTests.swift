import AgentAPI
import AgentControl
import ConfigAgent
import ConfigFetch
import Foundation
import LockLadder
import TestSupport
import Testing

/// Clients as bad as they come, over the real sockets. Each is cut off by its limit, which is counted, and costs the
/// others nothing: after each, a well-behaved client is answered.
@Suite("Hostile clients")
struct HostileClientTests {
    private func running(_ document: String = #"{"n":1}"#, _ change: (inout ClientLimits) -> Void) throws -> Running {
        var limits = ClientLimits()
        change(&limits)
        return try Running.withDocument(document, limits: limits)
    }

    private func cutOff(_ running: Running, _ limit: String, _ socket: String = "config") throws -> Double? {
        try running.metric("config_agent_clients_cut_off_total{socket=\"\(socket)\",limit=\"\(limit)\"}")
    }

    private func othersAreServed(_ running: Running) throws {
        let answer = try running.config("/v1/config/n")
        #expect(answer.status == 200)
        #expect(answer.text == "1")
    }

    @Test("Slow: a byte now and then is not a request")
    func slow() throws {
        let running = try running { $0.requestTime = second / 4 }
        let client = try Client(running.paths.configSocket)
        try client.write("GET /v1/config/n HTTP/1.1\r\n")
        let request = Array("Host: localhost\r\nX-Slow: 1\r\n".utf8)
        var sent = 0
        try waitUntil("it is cut off") {
            if sent < request.count { try? client.write(String(decoding: [request[sent]], as: UTF8.self)) }
            sent += 1
            return try cutOff(running, "request_time") == 1
        }
        let answer = try client.answer()
        #expect(answer.status == 408)
        #expect(answer.error?.code == "request_timeout")
        #expect(client.isClosed())
        try othersAreServed(running)
    }

    @Test("Slow with a body")
    func slowBody() throws {
        let running = try running { $0.requestTime = second / 4 }
        let client = try Client(running.paths.configSocket)
        try client.write("GET /v1/config/n HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        #expect(try client.answer().status == 408)
        #expect(client.isClosed())
        #expect(try cutOff(running, "request_time") == 1)
    }

    @Test("Silent: before the first request, and after one")
    func silent() throws {
        let running = try running { $0.idle = second / 4 }
        let fresh = try Client(running.paths.configSocket)
        let used = try Client(running.paths.configSocket)
        try used.request("GET", "/v1/config/n")
        #expect(try used.answer().text == "1")
        #expect(fresh.isClosed())
        #expect(used.isClosed())
        #expect(try cutOff(running, "idle") == 2)
        try othersAreServed(running)
    }

    @Test(
        "Huge before the body",
        arguments: [
            "GET /v1/config/" + String(repeating: "a", count: 200_000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /v1/config/n HTTP/1.1\r\nX-Big: " + String(repeating: "a", count: 200_000) + "\r\n\r\n",
            "GET /v1/config/n HTTP/1.1\r\n"
                + (0..<10_000).map { "X-\($0): many\r\n" }.joined() + "\r\n",
            String(repeating: "A", count: 200_000),
        ]
    )
    func hugeHeader(request: String) throws {
        let running = try running { _ in }
        let client = try Client(running.paths.configSocket)
        // The end of it may meet a closed door.
        try? client.write(request)
        let status = (try? client.answer())?.status
        #expect([431, 400, nil].contains(status), "\(String(describing: status))")
        let cut = try (cutOff(running, "header_size") ?? 0) + (cutOff(running, "malformed") ?? 0)
        #expect(cut == 1)
        try othersAreServed(running)
    }

    @Test("Headers up to the limit are taken, and not beyond")
    func headerLimit() throws {
        let running = try running { $0.headerBytes = 1_000 }
        let client = try Client(running.paths.configSocket)
        try client.request("GET", "/v1/config/n", ["X-Fits": String(repeating: "a", count: 800)])
        #expect(try client.answer().status == 200)
        try client.request("GET", "/v1/config/n", ["X-Fits-Not": String(repeating: "a", count: 1_200)])
        let answer = try client.answer()
        #expect(answer.status == 431)
        #expect(answer.error?.code == "header_too_large")
        #expect(client.isClosed())
        #expect(try cutOff(running, "header_size") == 1)
    }

    @Test("Huge in the body, announced or not", arguments: ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
    func hugeBody(framing: String) throws {
        let running = try running { _ in }
        let client = try Client(running.paths.controlSocket)
        try client.write("POST /v1/refresh HTTP/1.1\r\nHost: x\r\n\(framing)\r\n\r\n")
        let chunk = String(repeating: "a", count: 0x1000)
        let isChunked = framing.hasPrefix("Transfer")
        for _ in 0..<100 { try? client.write(isChunked ? "1000\r\n\(chunk)\r\n" : chunk) }
        let status = (try? client.answer())?.status
        #expect(status == 413 || status == nil)
        #expect(try cutOff(running, "body_size", "control") == 1)
        #expect(running.agent.flightStatistics.calls == 1)
        try othersAreServed(running)
    }

    @Test("Pipelined: answered one after the other, in order")
    func pipelined() throws {
        let running = try running(#"{"n":1,"m":2}"#) { _ in }
        let client = try Client(running.paths.configSocket)
        let requests = (0..<500).map { "GET /v1/config/\($0 % 2 == 0 ? "n" : "m") HTTP/1.1\r\nHost: x\r\n\r\n" }
        try client.write(requests.joined())
        for number in 0..<500 { #expect(try client.answer().text == (number % 2 == 0 ? "1" : "2")) }
    }

    @Test("Asking without ever reading the answers")
    func neverReading() throws {
        let filling = String(repeating: "x", count: 1 << 20)
        let running = try running("{\"n\":1,\"big\":\"\(filling)\"}") { $0.answerTime = second / 2 }
        let client = try Client(running.paths.configSocket)
        for _ in 0..<20 { try client.request("GET", "/v1/config/big") }
        try waitUntil("it is cut off") { try cutOff(running, "answer_time") == 1 }
        try othersAreServed(running)
    }

    @Test("Half-closed: what was asked is answered, then the connection ends")
    func halfClosed() throws {
        let running = try running { _ in }
        let client = try Client(running.paths.configSocket)
        try client.request("GET", "/v1/config/n")
        try client.request("GET", "/v1/config")
        client.endSending()
        #expect(try client.answer().text == "1")
        #expect(try client.answer().text == #"{"n":1}"#)
        #expect(client.isClosed())
        let mute = try Client(running.paths.configSocket)
        mute.endSending()
        #expect(mute.isClosed())
        let cutShort = try Client(running.paths.configSocket)
        try cutShort.write("GET /v1/config/n HTT")
        cutShort.endSending()
        #expect(cutShort.isClosed())
        try othersAreServed(running)
    }

    @Test("Half-closed while the answer is still being made")
    func halfClosedWaiting() throws {
        let running = try running { _ in }
        let client = try Client(running.paths.controlSocket)
        try client.request("POST", "/v1/refresh", ["Content-Length": "0"])
        client.endSending()
        #expect(try client.answer().status == 200)
        #expect(client.isClosed())
    }

    @Test("A thousand at once: as many as there is room for are served, the others turned away, and then it is over")
    func tooMany() throws {
        let running = try running {
            $0.connections = 200
            $0.connectionsPerPeer = 1_000
        }
        do {
            let crowd = try (0..<1_000).map { _ in try Client(running.paths.configSocket) }
            for client in crowd { try? client.request("GET", "/v1/config/n") }
            let served = crowd.count { (try? $0.answer())?.text == "1" }
            #expect(served == 200)
            #expect(try cutOff(running, "connections") == 800)
            // The other sockets have room of their own.
            #expect(try running.report().clients["config"]?.connections == 200)
        }
        try waitUntil("they are gone") { try running.report().clients["config"]?.connections == 0 }
        try othersAreServed(running)
    }

    @Test("One process gets no more than its share")
    func tooManyOfOneProcess() throws {
        let running = try running { $0.connectionsPerPeer = 5 }
        let crowd = try (0..<20).map { _ in try Client(running.paths.configSocket) }
        for client in crowd { try? client.request("GET", "/v1/config/n") }
        #expect(crowd.count { (try? $0.answer())?.text == "1" } == 5)
        #expect(try cutOff(running, "peer_connections") == 15)
        #expect(try cutOff(running, "connections") == 0)
    }

    @Test(
        "Malformed: closed, and told so where there is somebody to tell",
        arguments: [
            "\r\n\r\nhello\r\n\r\n", "GET\r\n\r\n", "GET /v1/config HTTP/9.9\r\n\r\n",
            "GET /v1/config HTTP/1.1\r\nNo colon here\r\n\r\n", "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
            "GET /v1/config HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "GET /v1/config HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ]
    )
    func malformed(request: String) throws {
        let running = try running { _ in }
        let client = try Client(running.paths.configSocket)
        try client.write(request)
        let answer = try? client.answer()
        #expect(answer?.status == 400 || answer == nil)
        #expect(client.isClosed())
        #expect(try cutOff(running, "malformed") == 1)
        try othersAreServed(running)
    }

    @Test("Garbage after a good request spoils nothing that was asked before")
    func garbageAfterARequest() throws {
        let running = try running { _ in }
        let client = try Client(running.paths.configSocket)
        try client.request("GET", "/v1/config/n")
        #expect(try client.answer().text == "1")
        try client.write("garbage\r\n\r\n")
        #expect(try client.answer().status == 400)
        #expect(client.isClosed())
    }

    @Test("Whoever asks for another protocol is answered in this one, and the connection ends")
    func upgrade() throws {
        let running = try running { _ in }
        let client = try Client(running.paths.configSocket)
        try client.request("GET", "/v1/config/n", ["Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"])
        let answer = try client.answer()
        #expect(answer.text == "1")
        #expect(answer.headers["connection"] == "close")
        #expect(client.isClosed())
        let tunnel = try Client(running.paths.configSocket)
        try tunnel.request("CONNECT", "elsewhere:443")
        #expect(try tunnel.answer().status >= 400)
        #expect(tunnel.isClosed())
    }
}

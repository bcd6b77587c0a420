import CCurl
import Testing

@testable import Curl

@Suite("Bounds of a transfer")
struct LimitTests {
    private let plain = [UInt8](repeating: 0x61, count: 70_000)

    @Test("As many bytes as are allowed, and one more", arguments: [1, 4_096, 70_000])
    func exactLimit(limit: Int) throws {
        let largest = Array(plain.prefix(limit))
        for body in [
            response(body: largest), response("200 OK", ["Content-Encoding: gzip"], body: Gzip.stored(largest)),
        ] {
            let taken = try exchange([.send(body)]) { $0.maxBodyBytes = limit }
            #expect(taken.failure == nil)
            #expect(taken.body == largest)
            let refused = try exchange([.send(body)]) { $0.maxBodyBytes = limit - 1 }
            #expect(refused.kind == .bodyTooLarge)
            #expect(refused.failure?.message.contains("\(limit - 1) bytes") == true)
        }
    }

    @Test func membersReachTheLimitTogether() throws {
        let two = Gzip.stored(Array(plain.prefix(600))) + Gzip.stored(Array(plain.prefix(400)))
        let answer = response("200 OK", ["Content-Encoding: gzip"], body: two)
        #expect(try exchange([.send(answer)]) { $0.maxBodyBytes = 1_000 }.body == Array(plain.prefix(1_000)))
        #expect(try exchange([.send(answer)]) { $0.maxBodyBytes = 999 }.kind == .bodyTooLarge)
    }

    @Test func declaredLength() throws {
        let steps: [Step] = [.text("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"), .sendForever(plain)]
        #expect(try exchange(steps) { $0.maxBodyBytes = 100_000 }.kind == .bodyTooLarge)
    }

    @Test func endlessChunks() throws {
        let chunk = Array("1000\r\n".utf8) + plain.prefix(4_096) + Array("\r\n".utf8)
        let steps: [Step] = [.text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), .sendForever(chunk)]
        #expect(try exchange(steps) { $0.maxBodyBytes = 100_000 }.kind == .bodyTooLarge)
    }

    @Test func endlessWithoutLength() throws {
        let steps: [Step] = [.text("HTTP/1.1 200 OK\r\n\r\n"), .sendForever(plain)]
        #expect(try exchange(steps) { $0.maxBodyBytes = 100_000 }.kind == .bodyTooLarge)
    }

    @Test("A small response that unpacks to 64 MiB stops at the limit")
    func bomb() throws {
        let bomb = Gzip.bomb(repetitions: 260_000)
        #expect(bomb.count < 500_000)
        let answer = response("200 OK", ["Content-Encoding: gzip"], body: bomb)
        let result = try exchange([.send(answer)]) { $0.maxBodyBytes = 1_000 }
        #expect(result.kind == .bodyTooLarge)
        #expect(result.body.count <= 1_000)
    }

    @Test("The sink never takes more memory than its limit", arguments: [1, 5_000, 100_000])
    func memory(limit: Int) throws {
        let bomb = response("200 OK", ["Content-Encoding: gzip"], body: Gzip.bomb(repetitions: 20_000))
        for answer in [bomb, response(body: plain + plain)] {
            let server = try RawServer(answer: answer)
            defer { server.stop() }
            CurlGlobal.initialise()
            let handle = try #require(curl_easy_init())
            defer { curl_easy_cleanup(handle) }
            var sink = ccurl_sink()
            sink.body_limit = limit
            sink.header_limit = 1 << 16
            withUnsafeMutablePointer(to: &sink) { sink in
                ccurl_prepare(handle)
                ccurl_attach_sink(handle, sink)
                ccurl_set_string(handle, CURLOPT_URL, server.url())
                ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, 10_000)
                #expect(curl_easy_perform(handle) == CURLE_WRITE_ERROR)
                #expect(sink.pointee.body_exceeded)
                #expect(sink.pointee.body_capacity <= limit)
                #expect(sink.pointee.body_length <= sink.pointee.body_capacity)
                ccurl_sink_reset(sink)
                #expect(sink.pointee.body == nil)
                #expect(sink.pointee.body_limit == limit)
            }
        }
    }

    @Test func endlessHeaders() throws {
        let steps: [Step] = [.text("HTTP/1.1 200 OK\r\n"), .sendForever(Array("X-More: of the same\r\n".utf8))]
        let result = try exchange(steps)
        #expect(result.kind == .headersTooLarge)
    }

    @Test("One endless header line is too large a header, not a lack of memory")
    func longHeaderLine() throws {
        let line = "X-Long: " + String(repeating: "x", count: 400_000)
        let steps: [Step] = [.text("HTTP/1.1 200 OK\r\n\(line)\r\nContent-Length: 0\r\n\r\n")]
        #expect(try exchange(steps).kind == .headersTooLarge)
    }

    @Test func headersBelowTheLimit() throws {
        let line = "X-Long: " + String(repeating: "x", count: 60_000)
        #expect(try exchange([.send(response("200 OK", [line], body: [0x61]))]).body == [0x61])
        let refused = try exchange([.send(response("200 OK", [line], body: [0x61]))]) { $0.maxHeaderBytes = 50_000 }
        #expect(refused.kind == .headersTooLarge)
    }

    @Test func interimHeadersCount() throws {
        let steps: [Step] = [.sendForever(Array("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".utf8))]
        #expect(try exchange(steps).kind == .headersTooLarge)
    }

    @Test func noByteAllowed() throws {
        #expect(try exchange([.send(response(body: [0x61]))]) { $0.maxBodyBytes = 0 }.kind == .bodyTooLarge)
        #expect(try exchange([.send(response())]) { $0.maxBodyBytes = 0 }.failure == nil)
    }
}

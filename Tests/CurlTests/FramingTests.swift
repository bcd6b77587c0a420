import Testing

@testable import Curl

@Suite("Responses and where they end")
struct FramingTests {
    private let body = Array(#"{"a":1}"#.utf8)

    @Test func contentLength() throws {
        let result = try exchange([.send(response(body: body))])
        #expect(result.failure == nil)
        #expect(result.status == 200)
        #expect(result.body == body)
        #expect(result.isFramed)
    }

    @Test func chunks() throws {
        let long = [UInt8](repeating: 0x20, count: 5_000) + body
        let result = try exchange([.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunked(long))])
        #expect(result.failure == nil)
        #expect(result.body == long)
        #expect(result.isFramed)
    }

    @Test func emptyBody() throws {
        let result = try exchange([.send(response())])
        #expect(result.failure == nil)
        #expect(result.body.isEmpty)
        #expect(result.transfer.takeBody().isEmpty)
    }

    @Test func bodyIsTakenOnce() throws {
        let result = try exchange([.send(response(body: body))])
        #expect(result.body == body)
        #expect(result.transfer.takeBody().isEmpty)
    }

    @Test("A close without a length is no error, but is told apart")
    func closeWithoutLength() throws {
        let result = try exchange([.send(head("HTTP/1.1 200 OK", "Connection: close") + body)])
        #expect(result.failure == nil)
        #expect(result.body == body)
        #expect(!result.isFramed)
    }

    @Test("gzip says itself where it ends")
    func gzipWithoutLength() throws {
        let head = head("HTTP/1.1 200 OK", "Connection: close", "Content-Encoding: gzip")
        let result = try exchange([.send(head + Gzip.stored(body))])
        #expect(result.failure == nil)
        #expect(result.body == body)
        #expect(result.isFramed)
    }

    @Test func shortBody() throws {
        let short = Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc".utf8)
        #expect(try exchange([.send(short)]).kind == .truncated)
    }

    @Test(arguments: ["5\r\nab", "5\r\nabcde\r\n", "5\r\nabcde\r\n0\r\n"])
    func shortChunks(text: String) throws {
        let result = try exchange([.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + Array(text.utf8))])
        #expect(result.kind == .truncated)
    }

    @Test func badChunkSize() throws {
        let result = try exchange([
            .send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")), .text("zz\r\nabc\r\n0\r\n\r\n"),
        ])
        #expect(result.kind == .badResponse)
    }

    @Test("What follows the body is ignored, and the connection is not used again")
    func bytesBeyondLength() throws {
        let server = try RawServer([
            .send(response(body: body) + Array("HTTP/1.1 500 Smuggled\r\n\r\n".utf8)), .receive,
        ])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        for _ in 0..<2 {
            let result = try perform(request(server.url()), on: multi)
            #expect(result.failure == nil)
            #expect(result.status == 200)
            #expect(result.body == body)
        }
        #expect(server.connections == 2)
    }

    @Test func connectionIsUsedAgain() throws {
        let server = try RawServer([.send(response(body: body)), .receive, .send(response(body: body)), .receive])
        defer { server.stop() }
        let multi = try #require(CurlMulti())
        for _ in 0..<2 { #expect(try perform(request(server.url()), on: multi).body == body) }
        #expect(server.connections == 1)
    }

    @Test("Two lengths that differ: nobody can say where the body ends")
    func conflictingLengths() throws {
        let result = try exchange([
            .text("HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 7\r\n\r\n"), .send(body),
        ])
        #expect(result.failure != nil)
    }

    @Test func resetMidBody() throws {
        let result = try exchange([.text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), .reset])
        // Depending on what was read before the reset came, libcurl sees an error or an early end.
        #expect([.badResponse, .truncated].contains(result.kind))
    }

    @Test func emptyReply() throws {
        #expect(try exchange([]).kind == .emptyReply)
    }

    @Test func nothingListens() throws {
        let server = try RawServer([])
        server.stop()
        #expect(try perform(request(server.url())).kind == .connect)
    }

    @Test func oldHTTP() throws {
        #expect(try exchange([.text("<html>hello</html>")]).kind == .badResponse)
    }

    @Test func interimResponses() throws {
        let interim = Array("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nContent-Encoding: gzip\r\n\r\n".utf8)
        let result = try exchange(Array(repeating: .send(interim), count: 50) + [.send(response(body: body))])
        #expect(result.failure == nil)
        #expect(result.status == 200)
        #expect(result.body == body)
    }

    @Test(arguments: [
        [Step.hold],
        [.text("HTTP/1.1 200 OK\r\n"), .hold],
        [.text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), .hold],
    ])
    func timeout(steps: [Step]) throws {
        #expect(try exchange(steps) { $0.timeoutMilliseconds = 150 }.kind == .timeout)
    }
}

import Testing

@testable import Curl

@Suite("What a body is wrapped in")
struct EncodingTests {
    private let body = Array(#"{"a":1,"b":[true,null]}"#.utf8)

    private func encoded(_ headers: [String], _ body: [UInt8]) throws -> Exchange {
        try exchange([.send(response("200 OK", headers, body: body))])
    }

    @Test(arguments: ["gzip", "GZIP", "x-gzip", " gzip ", "gzip\t"])
    func gzip(name: String) throws {
        let result = try encoded(["Content-Encoding: \(name)"], Gzip.stored(body))
        #expect(result.failure == nil)
        #expect(result.body == body)
    }

    @Test func headerNameInAnyCase() throws {
        #expect(try encoded(["CONTENT-ENCODING: gzip"], Gzip.stored(body)).body == body)
    }

    @Test(arguments: ["identity", ""])
    func identity(name: String) throws {
        #expect(try encoded(["Content-Encoding: \(name)"], body).body == body)
    }

    @Test func gzipThenIdentity() throws {
        let result = try encoded(["Content-Encoding: gzip", "Content-Encoding: identity"], Gzip.stored(body))
        #expect(result.body == body)
    }

    @Test("A stream cut anywhere is not taken for a whole one, although the length is right")
    func truncated() throws {
        let whole = Gzip.stored(body)
        for length in [0, 1, 2, 9, 10, 14, 20, whole.count - 9, whole.count - 8, whole.count - 4, whole.count - 1] {
            let result = try encoded(["Content-Encoding: gzip"], Array(whole.prefix(length)))
            #expect(result.kind == .truncated, "cut after \(length) bytes")
        }
    }

    @Test func truncatedSecondMember() throws {
        let whole = Gzip.stored(body) + Gzip.stored(body)
        #expect(try encoded(["Content-Encoding: gzip"], whole.dropLast(3)).kind == .truncated)
    }

    @Test("Each byte of the checksum, the length, the header's magic and the content counts")
    func damaged() throws {
        let whole = Gzip.stored(body)
        for position in [0, 1, 2, 11, 13, 15, 20, whole.count - 8, whole.count - 5, whole.count - 4, whole.count - 1] {
            var damaged = whole
            damaged[position] ^= 0x40
            let result = try encoded(["Content-Encoding: gzip"], damaged)
            #expect(result.failure != nil, "byte \(position)")
            if position != 11, position != 13 { #expect(result.kind == .encoding, "byte \(position)") }
        }
    }

    @Test func plainTextCalledGzip() throws {
        #expect(try encoded(["Content-Encoding: gzip"], body).kind == .encoding)
    }

    @Test func members() throws {
        let result = try encoded(["Content-Encoding: gzip"], Gzip.stored(body) + Gzip.stored([]) + Gzip.stored(body))
        #expect(result.failure == nil)
        #expect(result.body == body + body)
    }

    @Test(arguments: [1, 2, 3, 100])
    func trailingGarbage(length: Int) throws {
        let garbage = [UInt8](repeating: 0x7A, count: length)
        #expect(try encoded(["Content-Encoding: gzip"], Gzip.stored(body) + garbage).failure != nil)
    }

    @Test(arguments: [
        ["gzip, gzip"], ["gzip", "gzip"], ["br"], ["deflate"], ["gzip", "br"], ["br", "identity"], ["*"],
    ])
    func unknown(names: [String]) throws {
        let result = try encoded(names.map { "Content-Encoding: \($0)" }, Gzip.stored(Gzip.stored(body)))
        #expect(result.kind == .encoding)
        #expect(result.body.isEmpty)
    }

    @Test("The stream arrives byte by byte")
    func smallPieces() throws {
        let steps = Gzip.stored(body).map { Step.send(Array("1\r\n".utf8) + [$0] + Array("\r\n".utf8)) }
        let start = head("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Transfer-Encoding: chunked")
        #expect(try exchange([.send(start)] + steps + [.text("0\r\n\r\n")]).body == body)
    }

    @Test(
        "Bodies that are thrown away are not unpacked, so they cannot be cut off",
        arguments: [
            "404 Not Found", "503 Service Unavailable", "302 Found",
        ]
    )
    func discarded(status: String) throws {
        let answer = response(status, ["Content-Encoding: gzip", "Location: /b"], body: Gzip.stored(body))
        let result = try exchange([.send(answer)])
        #expect(result.failure == nil)
        #expect(result.status == Int(status.prefix(3)))
        #expect(result.body.isEmpty)
    }

    @Test("A 304 may repeat the headers of the response that it stands for")
    func notModified() throws {
        let result = try exchange([
            .send(head("HTTP/1.1 304 Not Modified", "ETag: \"v1\"", "Content-Encoding: gzip"))
        ])
        #expect(result.failure == nil)
        #expect(result.status == 304)
    }
}

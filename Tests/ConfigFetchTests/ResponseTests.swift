import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@testable import ConfigFetch
@testable import Curl

@Suite("What a response means")
struct ResponseTests {
    private enum Reading {
        case redirect(to: String)
        case understood(Understanding)
        case failed(StageFailure)
    }

    private func read(
        _ reply: OriginReply,
        wasConditional: Bool = false,
        _ change: (inout SourceSpec) -> Void = { _ in }
    ) throws -> Reading {
        let origin = try HeldOrigin { _ in reply }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a/x"), change)
        let client = HTTPSource(source)
        let wanted = client.ask(wasConditional ? Validators(etag: "\"1\"") : .none)
        let request = RequestBuilder.request(for: source, wanted, url: wanted.url, isOwnOrigin: true)
        guard let multi = CurlMulti(), let transfer = CurlTransfer(request) else { throw POSIXError(.ENOMEM) }
        multi.add(transfer)
        let end = Date().addingTimeInterval(20)
        while Date() < end {
            multi.perform()
            if let (done, failure) = multi.nextDone() {
                if let failure { return .failed(Answer.stageFailure(failure, of: source)) }
                let answer = Answer(done, of: source)
                return answer.redirect.map { .redirect(to: $0) } ?? .understood(client.understand(answer, to: wanted))
            }
            multi.wait(milliseconds: 1_000)
        }
        throw POSIXError(.ETIMEDOUT)
    }

    private func result(
        _ reply: OriginReply,
        wasConditional: Bool = false,
        _ change: (inout SourceSpec) -> Void = { _ in }
    ) throws -> FetchResult {
        switch try read(reply, wasConditional: wasConditional, change) {
        case .redirect, .understood(.ask): throw POSIXError(.EINVAL)
        case .failed(let failure), .understood(.failed(let failure, nil)):
            return .failed(failure, retryAfterNanoseconds: nil)
        case .understood(.failed(let failure, let retryAfter)):
            return .failed(failure, retryAfterNanoseconds: retryAfter)
        case .understood(.notModified): return .notModified(Trace(id: 0xABC))
        case .understood(.document(let body, let validators, let contentType)):
            return .document(
                FetchedDocument(
                    source: sourceName("a"),
                    body: body,
                    validators: validators,
                    contentType: contentType,
                    trace: Trace(id: 0xABC)
                )
            )
        }
    }

    private func unframed(_ type: String, _ body: String) -> OriginReply {
        .bytes(Array("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nConnection: close\r\n\r\n\(body)".utf8))
    }

    @Test func document() throws {
        let headers = [
            "ETag": "W/\"x y\"", "Last-Modified": "Sun, 22 Nov 2026 00:00:00 GMT",
            "Content-Type": "Application/JSON ; charset=utf-8",
        ]
        let body = Array(#"{"a":1}"#.utf8)
        let document = try #require(try result(.http(200, headers: headers, body: body)).document)
        #expect(document.source == sourceName("a"))
        #expect(document.body == body)
        #expect(document.validators == Validators(etag: "W/\"x y\"", lastModified: "Sun, 22 Nov 2026 00:00:00 GMT"))
        #expect(document.contentType == "application/json")
    }

    @Test func bareDocument() throws {
        let document = try #require(try result(.http(200, body: [0x7B, 0x7D])).document)
        #expect(document.validators == .none)
        #expect(document.contentType == nil)
    }

    @Test("An empty document is for the verify stage to refuse")
    func emptyDocument() throws {
        #expect(try result(.http(200)).document?.body.isEmpty == true)
    }

    @Test func notModified() throws {
        #expect(try result(.http(304), wasConditional: true).isNotModified)
        guard case .understood(.ask(let again)) = try read(.http(304)) else {
            Issue.record("what nothing asked for is no answer")
            return
        }
        #expect(again.headers.contains { $0 == ("Cache-Control", "no-cache") })
    }

    @Test("304 with the headers of a compressed document")
    func notModifiedCompressed() throws {
        #expect(try result(.http(304, headers: ["Content-Encoding": "gzip"]), wasConditional: true).isNotModified)
    }

    @Test(arguments: [201, 204, 206, 300, 400, 401, 403, 404, 410, 416, 429, 500, 502, 503, 599])
    func otherStatuses(status: Int) throws {
        let failure = try #require(try result(.http(status)).failure)
        #expect(failure.stage == .fetch)
        #expect(failure.code == "http_status")
        #expect(failure.message.contains("\(status)"))
    }

    @Test(
        arguments: [
            ("120", 120 * second), ("0", 0), ("99999999999999999", UInt64.max), ("soon", nil), ("-5", nil),
            ("1.5", nil),
            ("Sun, 22 Nov 2026 00:00:00 GMT", nil), ("99999999999999999999999999", nil),
        ] as [(String, UInt64?)]
    )
    func retryAfter(text: String, expected: UInt64?) throws {
        let result = try result(.http(503, headers: ["Retry-After": text]))
        #expect(result.failure?.code == "http_status")
        #expect(result.retryAfter == expected)
    }

    @Test(
        "A moment until which it wants to be left alone is one on its own clock",
        arguments: [
            ("Sun, 22 Nov 2026 00:02:00 GMT", 120 * second), ("Sun, 22 Nov 2026 00:00:00 GMT", nil),
            ("Sat, 21 Nov 2026 23:59:59 GMT", nil), ("Sun, 22 Nov 2026", nil), ("GMT", nil),
        ] as [(String, UInt64?)]
    )
    func retryAfterMoment(text: String, expected: UInt64?) throws {
        let headers = ["Retry-After": text, "Date": "Sun, 22 Nov 2026 00:00:00 GMT"]
        #expect(try result(.http(503, headers: headers)).retryAfter == expected)
    }

    @Test("A long or compressed error page does not hide the status and what it asks for")
    func errorPages() throws {
        let headers = ["Retry-After": "7", "Content-Encoding": "gzip"]
        let compressed = try result(.http(503, headers: headers, body: try gzipped(Array("<html>no</html>".utf8))))
        #expect(compressed.failure?.code == "http_status")
        #expect(compressed.retryAfter == 7 * second)
        let page = [UInt8](repeating: UInt8(ascii: "x"), count: 200 << 10)
        let long = try result(.http(503, headers: ["Retry-After": "7"], body: page))
        #expect(long.failure?.code == "http_status")
        #expect(long.retryAfter == 7 * second)
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func redirects(status: Int) throws {
        guard case .redirect(let url) = try read(.http(status, headers: ["Location": "/b"])) else {
            Issue.record("no redirect")
            return
        }
        #expect(url.hasSuffix("/b"))
        #expect(url.hasPrefix("http://127.0.0.1:"))
        #expect(try result(.http(status)).failure?.code == "http_status")
    }

    @Test("Without framing only what shows its own end is taken")
    func unframed() throws {
        #expect(try result(unframed("application/json", "{\"a\":{\"b\":1}} \n")).document != nil)
        for (type, body) in [
            ("application/json", "{\"a\":1"), ("application/yaml", "a: 1\n"), ("application/json", ""),
            ("application/json", "{\"a\":[1,2]"),
        ] {
            #expect(try result(unframed(type, body)).failure?.code == "unframed", "\(body)")
        }
    }

    @Test("YAML that was cut off after a brace is not whole")
    func unframedYAML() throws {
        let cut = "limits: {cpu: 1}\nservers: {a: 1}"
        #expect(try result(unframed("application/yaml", cut)).failure?.code == "unframed")
    }

    @Test func failures() throws {
        let tooLarge = try result(.http(200, body: [1, 2, 3])) { $0.maxBytes = 2 }
        #expect(tooLarge.failure?.code == "too_large")
        #expect(tooLarge.failure?.hint?.contains("guard.max_bytes") == true)
        #expect(try result(.bytes([])).failure?.code == "empty_reply")
        #expect(try result(.bytes(Array("hello".utf8))).failure?.code == "bad_response")
        #expect(try result(.http(200, headers: ["Content-Encoding": "br"], body: [1])).failure?.code == "encoding")
        let short = Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".utf8)
        #expect(try result(.bytes(short)).failure?.code == "truncated")
        let endless = OriginReply.endless(head: Array("HTTP/1.1 200 OK\r\n".utf8), chunk: Array("A: b\r\n".utf8))
        #expect(try result(endless).failure?.code == "headers_too_large")
    }

    @Test func truncatedGzip() throws {
        let whole = try gzipped(Array(#"{"a":1}"#.utf8))
        let reply = OriginReply.http(200, headers: ["Content-Encoding": "gzip"], body: whole.dropLast(2))
        #expect(try result(reply).failure?.code == "truncated")
    }

    @Test("Every kind of failure has a code of its own, in snake case")
    func codes() {
        let kinds: [CurlTransfer.Failure.Kind] = [
            .resolve, .connect, .timeout, .tls, .certificate, .bodyTooLarge, .headersTooLarge, .truncated, .encoding,
            .addressRefused, .emptyReply, .badResponse, .memory, .other,
        ]
        let source = spec("a", .http, "http://a.example/")
        let codes = kinds.map { kind in
            Answer.stageFailure(CurlTransfer.Failure(kind: kind, message: "x"), of: source).code
        }
        #expect(Set(codes).count == kinds.count)
        #expect(codes.allSatisfy { $0.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F } })
    }
}

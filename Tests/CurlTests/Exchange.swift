import Foundation
import Testing

@testable import Curl

/// What one transfer came to.
struct Exchange {
    var failure: CurlTransfer.Failure?
    var status: Int
    var isFramed: Bool
    var redirectURL: String?
    var body: [UInt8]
    let transfer: CurlTransfer

    var text: String { String(decoding: body, as: UTF8.self) }
    var kind: CurlTransfer.Failure.Kind? { failure?.kind }

    init(_ transfer: CurlTransfer, _ failure: CurlTransfer.Failure?) {
        self.transfer = transfer
        self.failure = failure
        status = transfer.status
        isFramed = transfer.isFramed
        redirectURL = transfer.redirectURL
        body = transfer.takeBody()
    }
}

/// A request that gives up after a minute, so that no test hangs.
func request(_ url: String, _ change: (inout CurlTransfer.Request) -> Void = { _ in }) -> CurlTransfer.Request {
    var request = CurlTransfer.Request(url: url, schemes: "http")
    request.timeoutMilliseconds = 60_000
    request.connectTimeoutMilliseconds = 60_000
    request.headers = [("Accept-Encoding", "gzip")]
    change(&request)
    return request
}

/// Carries one request through on `multi`, or on a handle of its own.
func perform(_ request: CurlTransfer.Request, on shared: CurlMulti? = nil) throws -> Exchange {
    guard let multi = shared ?? CurlMulti() else { throw POSIXError(.ENOMEM) }
    let transfer = try #require(CurlTransfer(request))
    multi.add(transfer)
    let end = Date().addingTimeInterval(120)
    while Date() < end {
        multi.perform()
        if let (done, failure) = multi.nextDone() { return Exchange(done, failure) }
        multi.wait(milliseconds: 1_000)
    }
    throw POSIXError(.ETIMEDOUT)
}

/// Carries one request through to a server that does these steps.
func exchange(
    _ steps: [Step],
    _ change: (inout CurlTransfer.Request) -> Void = { _ in }
) throws -> Exchange {
    let server = try RawServer(steps)
    defer { server.stop() }
    return try perform(request(server.url(), change))
}

/// A response with a right Content-Length.
func response(_ status: String = "200 OK", _ headers: [String] = [], body: [UInt8] = []) -> [UInt8] {
    let lines = ["HTTP/1.1 \(status)", "Content-Length: \(body.count)"] + headers
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body
}

/// A head without any framing.
func head(_ lines: String...) -> [UInt8] { Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) }

func chunked(_ body: [UInt8], size: Int = 1_000) -> [UInt8] {
    var out: [UInt8] = []
    var rest = body[...]
    while !rest.isEmpty {
        let chunk = rest.prefix(size)
        rest = rest.dropFirst(chunk.count)
        out += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
    }
    return out + Array("0\r\n\r\n".utf8)
}

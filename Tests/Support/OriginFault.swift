internal import Foundation

/// What an origin may do wrong, and what the operator is told: the same list as in `Faults.md`, which is held against it.
public struct OriginFault: Sendable, CustomStringConvertible {
    public let name: String
    /// As the error code stands in status, metrics and journal; `nil` where the answer is taken all the same.
    public let code: String?
    public let reply: @Sendable (OriginRequest) throws -> OriginReply

    public var description: String { name }

    init(_ name: String, _ code: String?, _ reply: @escaping @Sendable (OriginRequest) throws -> OriginReply) {
        self.name = name
        self.code = code
        self.reply = reply
    }

    private static let good = #"{"v":2}"#

    private static func raw(_ text: String) -> OriginReply { .bytes(Array(text.utf8)) }

    private static func body(_ text: String, type: String = "application/json") -> OriginReply {
        .http(200, headers: ["Content-Type": type], body: Array(text.utf8))
    }

    private static func gzip(_ bytes: [UInt8], encoding: String = "gzip") -> OriginReply {
        .http(200, headers: ["Content-Encoding": encoding], body: bytes)
    }

    private static let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

    public static let all: [OriginFault] = transport + framing + encodings + statuses + documents

    private static let transport: [OriginFault] = [
        OriginFault("accepts and never answers", "timeout") { _ in .hold([]) },
        OriginFault("headers that never end in time", "timeout") { _ in .hold(Array("HTTP/1.1 200 OK\r\nX-A:".utf8)) },
        OriginFault("a body that stops on its way", "timeout") { _ in
            .hold(Array((head + "Content-Length: 100\r\n\r\n{\"v\":").utf8))
        },
        OriginFault("closes without a word", "empty_reply") { _ in .bytes([]) },
        OriginFault("resets the connection in the middle of the body", "bad_response") { _ in
            .reset(Array((head + "Content-Length: 100\r\n\r\n{\"v\":").utf8))
        },
        OriginFault("no HTTP at all", "bad_response") { _ in raw("SSH-2.0-OpenSSH_9.2\r\n") },
        OriginFault("fifty interim answers, then the document", nil) { _ in
            raw(
                String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 50) + head
                    + "Content-Length: \(good.utf8.count)\r\n\r\n\(good)"
            )
        },
    ]

    private static let framing: [OriginFault] = [
        OriginFault("fewer bytes than Content-Length says", "truncated") { _ in
            raw(head + "Content-Length: 100\r\n\r\n\(good)")
        },
        OriginFault("chunks that stop", "truncated") { _ in raw(head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"v\":")
        },
        OriginFault("a chunk without a size", "bad_response") { _ in
            raw(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n\(good)\r\n0\r\n\r\n")
        },
        OriginFault("no length, and cut off", "unframed") { _ in raw(head + "\r\n{\"v\":2") },
        OriginFault("more bytes than Content-Length says", nil) { _ in
            raw(head + "Content-Length: \(good.utf8.count)\r\n\r\n\(good)HTTP/1.1 200 OK\r\n\r\n{\"v\":666}")
        },
        OriginFault("two different Content-Lengths", "bad_response") { _ in
            raw(head + "Content-Length: 7\r\nContent-Length: 5\r\n\r\n\(good)")
        },
        OriginFault("headers without end", "headers_too_large") { _ in
            .endless(head: Array("HTTP/1.1 200 OK\r\n".utf8), chunk: Array("A: b\r\n".utf8))
        },
        OriginFault("a header line of 400 KB", "headers_too_large") { _ in
            raw("HTTP/1.1 200 OK\r\nX-A: " + String(repeating: "a", count: 400_000) + "\r\n\r\n")
        },
        OriginFault("a zero byte in a header", "bad_response") { _ in raw("HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n\(good)")
        },
        OriginFault("a body without end", "too_large") { _ in
            .endless(head: Array((head + "\r\n").utf8), chunk: [UInt8](repeating: 0x20, count: 4_096))
        },
        OriginFault("a document that says itself that it is too large", "too_large") { _ in
            .hold(Array((head + "Content-Length: 1073741824\r\n\r\n").utf8))
        },
    ]

    private static let bomb = Result { try gzipped([UInt8](repeating: 0x20, count: 64 << 20)) }

    private static let encodings: [OriginFault] = [
        OriginFault("gzip that is cut off, with the right length", "truncated") { _ in
            gzip(try gzipped(Array(good.utf8)).dropLast(4))
        },
        OriginFault("a small answer that unpacks to 64 MiB", "too_large") { _ in
            gzip(try bomb.get())
        },
        OriginFault("gzip within gzip", "encoding") { _ in
            gzip(try gzipped(try gzipped(Array(good.utf8))), encoding: "gzip, gzip")
        },
        OriginFault("six encodings", "encoding") { _ in
            gzip(Array(good.utf8), encoding: "gzip, gzip, gzip, gzip, gzip, gzip")
        },
        OriginFault("called gzip, and is not", "encoding") { _ in gzip(Array(good.utf8)) },
    ]

    private static let statuses: [OriginFault] = [
        OriginFault("a part that nobody asked for (206)", "http_status") { _ in .http(206, body: Array(good.utf8)) },
        OriginFault("nothing (204)", "http_status") { _ in .http(204) },
        OriginFault("not modified, though everything was asked for", "http_status") { _ in .http(304) },
        OriginFault("away (503), Retry-After that is junk", "http_status") { _ in
            .http(503, headers: ["Retry-After": "soon"])
        },
        OriginFault("away (503), Retry-After without end", "http_status") { _ in
            .http(503, headers: ["Retry-After": "99999999999999999999"])
        },
        OriginFault("away (503), Retry-After below zero", "http_status") { _ in
            .http(503, headers: ["Retry-After": "-5"])
        },
        OriginFault("a redirect in a circle", "redirect") { .http(302, headers: ["Location": $0.path]) },
        OriginFault("a redirect to a file", "bad_response") { _ in
            .http(302, headers: ["Location": "file:///etc/passwd"])
        },
        OriginFault("a redirect to gopher", "bad_response") { _ in
            .http(302, headers: ["Location": "gopher://127.0.0.1/"])
        },
    ]

    private static let documents: [OriginFault] = [
        OriginFault("an empty document", "empty") { _ in .http(200) },
        OriginFault("a captive portal's page", "unsupported") { _ in
            body("<html>Please log in</html>", type: "text/html")
        },
        OriginFault("JSON that is cut off", "syntax") { _ in body(#"{"v":2"#) },
        OriginFault("a comma too many", "syntax") { _ in body(#"{"v":2,}"#) },
        OriginFault("a byte order mark", "syntax") { _ in body("\u{FEFF}" + good) },
        OriginFault("UTF-16", "not_utf8") { _ in
            .http(200, body: good.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })
        },
        OriginFault("a key that stands twice", "duplicate_key") { _ in body(#"{"v":2,"\u0076":3}"#) },
        OriginFault("nested beyond the limit", "too_deep") { _ in
            body(String(repeating: #"{"a":"#, count: 600) + "1" + String(repeating: "}", count: 600))
        },
        OriginFault("a list and not an object", "not_an_object") { _ in body("[1]") },
    ]
}

internal import Foundation

/// An answer over HTTP.
public struct HTTPResponse: Sendable, CustomStringConvertible {
    public var status: Int
    /// By name in lower case.
    public var headers: [String: String]
    public var body: [UInt8]

    public var text: String { String(decoding: body, as: UTF8.self) }
    /// The text without the end of its last line.
    public var line: String { text.hasSuffix("\n") ? String(text.dropLast()) : text }
    public func json() throws -> JSONValue { try JSONValue(parsing: body) }
    public var description: String { "\(status) \(headers)\n\(text)" }
}

/// An answer that is no HTTP.
public struct BadResponse: Error, CustomStringConvertible {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}

/// A client that blocks, with one connection for each request: small enough to be trusted by tests.
public enum HTTPClient {
    public static func send(
        _ method: String = "GET",
        _ path: String,
        to endpoint: Endpoint,
        headers: [String: String] = [:],
        body: [UInt8] = [],
        timeout: Duration = .seconds(10)
    ) throws -> HTTPResponse {
        let socket = try StreamSocket.connect(to: endpoint, timeout: timeout)
        var head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if method == "POST" { head += "Content-Length: \(body.count)\r\n" }
        try socket.write(Array((head + "\r\n").utf8) + body)
        var received: [UInt8] = []
        while true {
            let part = try socket.read()
            if part.isEmpty { break }
            received += part
        }
        return try parse(received)
    }

    private static func parse(_ bytes: [UInt8]) throws -> HTTPResponse {
        guard let end = headEnd(bytes) else {
            throw BadResponse(description: "no HTTP answer: \(String(decoding: bytes.prefix(200), as: UTF8.self))")
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { throw BadResponse(description: lines[0]) }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[line[..<colon].lowercased()] = value
        }
        var body = Array(bytes[(end + 4)...])
        if headers["transfer-encoding"]?.lowercased() == "chunked" { body = try dechunked(body) }
        if let length = headers["content-length"].flatMap({ Int($0) }), status != 304, body.count != length {
            throw BadResponse(description: "\(body.count) bytes of \(length)")
        }
        return HTTPResponse(status: status, headers: headers, body: body)
    }

    private static func dechunked(_ bytes: [UInt8]) throws -> [UInt8] {
        var rest = bytes[...]
        var body: [UInt8] = []
        while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: rest[..<lineEnd], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            guard let size = Int(line.prefix { $0 != ";" }, radix: 16) else { break }
            if size == 0 { return body }
            let start = lineEnd + 1
            guard rest.endIndex - start >= size + 2 else { break }
            body += rest[start..<start + size]
            rest = rest[(start + size + 2)...]
        }
        throw BadResponse(description: "bad chunks")
    }
}

/// Where the empty line after an HTTP head begins.
func headEnd(_ bytes: [UInt8]) -> Int? {
    let mark = Array("\r\n\r\n".utf8)
    guard bytes.count >= 4 else { return nil }
    return (0...(bytes.count - 4)).first { bytes[$0] == 13 && bytes[$0..<$0 + 4].elementsEqual(mark) }
}

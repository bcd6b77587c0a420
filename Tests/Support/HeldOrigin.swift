internal import Foundation

/// One request as an origin received it.
public struct OriginRequest: Sendable {
    public var method: String
    public var path: String
    /// By name in lower case.
    public var headers: [String: String]
    /// Its number at this origin, from 1.
    public var number: Int
    public var body: [UInt8]

    public init(method: String, path: String, headers: [String: String], number: Int, body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.headers = headers
        self.number = number
        self.body = body
    }

    /// The path without the query.
    public var route: String { String(path.prefix { $0 != "?" }) }

    /// The query's names and values, or those of a form that was sent; percent-decoded.
    public var parameters: [String: String] {
        let query = path.split(separator: "?", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
        let isForm = headers["content-type"] == "application/x-www-form-urlencoded"
        let pairs = [query, isForm ? String(decoding: body, as: UTF8.self) : ""].joined(separator: "&").split(
            separator: "&"
        )
        var parameters: [String: String] = [:]
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            parameters[parts[0]] = parts.count > 1 ? parts[1].removingPercentEncoding : ""
        }
        return parameters
    }
}

/// What an origin answers: bytes as they are, good HTTP or not, after which the connection is closed.
public enum OriginReply: Sendable {
    /// These bytes and nothing else.
    case bytes([UInt8])
    /// A head, then the same bytes again and again until the other side has had enough.
    case endless(head: [UInt8], chunk: [UInt8])
    /// These bytes, and then silence until the other side goes.
    case hold([UInt8])
    /// These bytes, and then the connection is reset.
    case reset([UInt8])
    /// A head, then a body at a pace.
    case drip(head: [UInt8], body: [UInt8], bytesPerSecond: Int)
    /// What this says once it is called, which may take its time: for long polls.
    indirect case later(@Sendable () -> OriginReply)

    /// Good HTTP with a Content-Length.
    public static func http(_ status: Int, headers: [String: String] = [:], body: [UInt8] = []) -> OriginReply {
        var head = "HTTP/1.1 \(status) Status\r\nConnection: close\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { head += "\(name): \(value)\r\n" }
        return .bytes(Array((head + "\r\n").utf8) + body)
    }

    /// A document with an ETag made of its bytes; 304 where the other side has it already.
    public static func document(_ text: String, to request: OriginRequest) -> OriginReply {
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        let tag = "\"\(String(hash, radix: 16))\""
        if request.headers["if-none-match"] == tag { return .http(304, headers: ["ETag": tag]) }
        return .http(200, headers: ["ETag": tag, "Content-Type": "application/json"], body: Array(text.utf8))
    }
}

/// An origin on a loopback port or a Unix socket, with a thread for each connection. It answers what a test tells it to, when it is
/// told to: the answer is chosen when the request comes, and may then be held back.
public final class HeldOrigin: @unchecked Sendable {
    /// Its port; 0 for a Unix socket.
    public let port: UInt16

    private let listener: StreamSocket
    private let condition = NSCondition()
    private var respond: @Sendable (OriginRequest) -> OriginReply
    private var received: [OriginRequest] = []
    private var accepted = 0
    private var holding = false
    private var permits = 0
    private var waiting = 0
    private var stopped = false

    public init(
        on endpoint: Endpoint = .loopback(0),
        _ respond: @escaping @Sendable (OriginRequest) -> OriginReply = { _ in .http(404) }
    ) throws {
        listener = try StreamSocket.listen(on: endpoint)
        port = endpoint.isLoopback ? listener.localPort : 0
        self.respond = respond
        let thread = Thread { [weak self, listener] in
            while let connection = listener.accept() {
                guard let self else { return }
                self.condition.withLock { self.accepted += 1 }
                let worker = Thread { self.serve(connection) }
                worker.stackSize = 512 * 1024
                worker.start()
            }
        }
        thread.start()
    }

    deinit {
        listener.shutDown()
    }

    /// Lets go of everything held, and of the port.
    public func stop() {
        listener.shutDown()
        condition.withLock {
            stopped = true
            condition.broadcast()
        }
    }

    /// An address at this origin.
    public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Changes what later requests are answered.
    public func answer(_ respond: @escaping @Sendable (OriginRequest) -> OriginReply) {
        condition.withLock { self.respond = respond }
    }

    /// All requests so far, also those still held.
    public var requests: [OriginRequest] { condition.withLock { received } }
    /// How many connections there were, whatever came over them.
    public var connections: Int { condition.withLock { accepted } }
    /// How many requests wait to be let go.
    public var held: Int { condition.withLock { waiting } }

    /// From now on answers wait for ``release(_:)`` or ``releaseAll()``.
    public func hold() {
        condition.withLock { holding = true }
    }

    /// Lets as many answers go, now or when they come.
    public func release(_ count: Int = 1) {
        condition.withLock {
            permits += count
            condition.broadcast()
        }
    }

    /// Lets everything go, and holds nothing from now on.
    public func releaseAll() {
        condition.withLock {
            holding = false
            permits = 0
            condition.broadcast()
        }
    }

    private func serve(_ connection: StreamSocket) {
        connection.setTimeout(.seconds(60))
        guard var reply = try? receive(connection) else { return }
        while case .later(let wait) = reply { reply = wait() }
        switch reply {
        case .later: break
        case .hold(let bytes):
            try? connection.write(bytes)
            while let part = try? connection.read(), !part.isEmpty {}
        case .bytes(let bytes):
            try? connection.write(bytes)
        case .reset(let bytes):
            try? connection.write(bytes)
            connection.resetOnClose()
        // The other side may have had enough.
        case .endless(let head, let chunk):
            try? connection.write(head)
            while !condition.withLock({ stopped }), (try? connection.write(chunk)) != nil {}
        case .drip(let head, let body, let bytesPerSecond):
            try? connection.write(head)
            var rest = body[...]
            while !rest.isEmpty, !condition.withLock({ stopped }) {
                let part = rest.prefix(max(1, bytesPerSecond / 20))
                rest = rest.dropFirst(part.count)
                guard (try? connection.write(part)) != nil else { return }
                pauseThread(.milliseconds(50))
            }
        }
    }

    private func receive(_ connection: StreamSocket) throws -> OriginReply? {
        var bytes: [UInt8] = []
        while headEnd(bytes) == nil {
            let part = try connection.read()
            if part.isEmpty { return nil }
            bytes += part
        }
        let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ").map(String.init)
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { break }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            headers[line[..<colon].lowercased()] = value
        }
        var body = headEnd(bytes).map { Array(bytes[($0 + 4)...]) } ?? []
        while body.count < headers["content-length"].flatMap({ Int($0) }) ?? 0 {
            let part = try connection.read()
            if part.isEmpty { return nil }
            body += part
        }
        let whole = body
        return condition.withLock {
            let request = OriginRequest(
                method: words.first ?? "",
                path: words.count > 1 ? words[1] : "",
                headers: headers,
                number: received.count + 1,
                body: whole
            )
            received.append(request)
            let reply = respond(request)
            if holding {
                waiting += 1
                while holding && permits == 0 && !stopped { condition.wait() }
                waiting -= 1
                if holding && permits > 0 { permits -= 1 }
            }
            return stopped ? nil : reply
        }
    }
}

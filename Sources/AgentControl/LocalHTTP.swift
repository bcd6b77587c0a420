internal import AgentAPI
internal import ConfigSnapshot
internal import NIOCore
internal import NIOHTTP1

/// One local request, as far as the agent looks at it.
struct LocalRequest {
    let method: HTTPMethod
    /// Percent-decoded, without the query.
    let path: String
    let query: [String: String]
    let headers: HTTPHeaders

    /// - Returns: `nil` when the target cannot be read as a path.
    init?(_ head: HTTPRequestHead) {
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, first.hasPrefix("/"), let path = PercentEncoding.decode(first, allowsZero: true)
        else { return nil }
        var query: [String: String] = [:]
        for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(sides[0], allowsZero: true),
                let value = sides.count == 2 ? PercentEncoding.decode(sides[1], allowsZero: true) : ""
            else { return nil }
            query[name] = value
        }
        method = head.method
        self.path = path
        self.query = query
        headers = head.headers
    }
}

/// One answer.
struct LocalResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType = "application/json"
    var headers: [(String, String)] = []
    var body: [UInt8]
    /// In place of `body`: bytes that all who ask for them at the same time share.
    var sharedBody: ByteBuffer?
    /// Set when the same request gets the same answer for as long as this generation is the newest.
    var ofGeneration: UInt64?

    init(_ status: HTTPResponseStatus, body: [UInt8], contentType: String = "application/json") {
        self.status = status
        self.body = body
        self.contentType = contentType
    }

    static func json(_ value: some Encodable, status: HTTPResponseStatus = .ok) -> LocalResponse {
        do {
            return LocalResponse(status, body: try WireJSON.encode(value) + [UInt8(ascii: "\n")])
        } catch {
            return LocalResponse(.internalServerError, body: Array("{\"error\":{\"code\":\"internal\"}}\n".utf8))
        }
    }

    static func error(
        _ status: HTTPResponseStatus,
        _ code: String,
        _ message: String,
        hint: String? = nil,
        nearest: [String]? = nil
    ) -> LocalResponse {
        json(
            ErrorReport(error: ErrorDetail(code: code, message: message, hint: hint, nearest: nearest)),
            status: status
        )
    }
}

/// An answer that is there, one that comes later on the same event loop, or one that never ends.
enum LocalAnswer {
    case now(LocalResponse)
    case later(EventLoopFuture<LocalResponse>, abandon: () -> Void)
    /// Events about a topic, for a client that knows everything up to a generation, or nothing.
    case watch(WatchTopic, known: UInt64?)
}

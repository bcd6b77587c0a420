public import ConfigSnapshot

/// What the fetch stage has to know of a source.
public struct SourceSpec: Sendable, Equatable {
    /// A header of our own in each request.
    public struct Header: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public enum Kind: String, Sendable {
        case http, https, file
        /// HTTP over a Unix socket.
        case unix
    }

    public var name: SourceName
    public var kind: Kind
    public var url: String
    public var unixSocket: String?
    public var headers: [Header] = []
    public var maxRedirects = 0
    public var allowsLinkLocal = false
    public var timeoutMilliseconds = 30_000
    public var connectTimeoutMilliseconds = 5_000
    public var caFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    /// The bounds of the time between two polls, in nanoseconds; each wait is drawn between them.
    public var poll: ClosedRange<UInt64>
    /// After the n-th failure in a row the wait is drawn from 0 to `retryBase · 2ⁿ⁻¹`, at most `retryMax`. Nanoseconds.
    public var retryBase: UInt64 = 1_000_000_000
    public var retryMax: UInt64 = 60_000_000_000
    /// Bounds the document after decompression.
    public var maxBytes = 16 << 20
    /// Told apart from the same source under an earlier plan, when it meant something else.
    public var version: UInt64 = 0

    public init(name: SourceName, kind: Kind, url: String, poll: ClosedRange<UInt64>) {
        self.name = name
        self.kind = kind
        self.url = url
        self.poll = poll
    }

    /// The URL as it may be shown: without a query's values and without a user.
    public var redactedURL: String {
        let parts = URLParts(url)
        return parts.schemeAndSlashes + parts.authorityWithoutUser + parts.path + (parts.hasMore ? "?…" : "")
    }
}

/// A URL cut into the parts that matter here; nothing is decoded or checked.
struct URLParts {
    /// `https://`, in lower case; empty when there is none.
    let schemeAndSlashes: String
    /// Host and port, in lower case.
    let authorityWithoutUser: String
    let path: String
    /// Whether a query or a fragment follows.
    let hasMore: Bool

    init(_ url: String) {
        let bytes = Array(url.utf8)
        let end = bytes.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? bytes.count
        hasMore = end < bytes.count
        var start = 0
        if let colon = bytes[..<end].firstIndex(of: UInt8(ascii: ":")), bytes[colon..<end].starts(with: "://".utf8) {
            start = colon + 3
        }
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        schemeAndSlashes = text(0..<start).lowercased()
        let slash = bytes[start..<end].firstIndex(of: UInt8(ascii: "/")) ?? end
        let authorityEnd = start == 0 ? 0 : slash
        let userEnd = bytes[start..<authorityEnd].lastIndex(of: UInt8(ascii: "@")).map { $0 + 1 }
        authorityWithoutUser = text((userEnd ?? start)..<authorityEnd).lowercased()
        path = text(authorityEnd..<end)
    }

    /// Scheme, host and port.
    var origin: String { schemeAndSlashes + authorityWithoutUser }
}

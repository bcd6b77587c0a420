public import ConfigSnapshot

/// What the fetch stage has to know of a source.
public struct SourceSpec: Sendable {
    public enum Kind: String, Sendable {
        case http, https, file
        /// HTTP over a Unix socket.
        case unix
    }

    public var name: SourceName
    public var kind: Kind
    public var url: String
    public var unixSocket: String?
    public var headers: [(name: String, value: String)] = []
    public var maxRedirects = 0
    public var allowsLinkLocal = false
    public var timeoutMilliseconds = 30_000
    public var connectTimeoutMilliseconds = 5_000
    public var caFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    /// The bounds of the time between two polls, in nanoseconds; each wait is drawn between them.
    public var poll: ClosedRange<UInt64>
    /// After the n-th failure in a row the wait is drawn from 0 to `retryBase · 2ⁿ`, at most `retryMax`. Nanoseconds.
    public var retryBase: UInt64 = 1_000_000_000
    public var retryMax: UInt64 = 60_000_000_000
    /// Bounds the document after decompression.
    public var maxBytes = 16 << 20

    public init(name: SourceName, kind: Kind, url: String, poll: ClosedRange<UInt64>) {
        self.name = name
        self.kind = kind
        self.url = url
        self.poll = poll
    }

    /// The URL as it may be shown: without a query's values and without a user.
    public var redactedURL: String {
        let base = url.prefix { $0 != "?" && $0 != "#" }
        let hasQuery = base.endIndex < url.endIndex
        guard let scheme = base.range(of: "://"), let at = base[scheme.upperBound...].firstIndex(of: "@") else {
            return String(base) + (hasQuery ? "?…" : "")
        }
        return String(base[..<scheme.upperBound]) + String(base[base.index(after: at)...]) + (hasQuery ? "?…" : "")
    }
}

extension Substring {
    /// The standard library has no plain substring search without Foundation.
    fileprivate func range(of needle: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            start = index(after: start)
        }
        return nil
    }
}

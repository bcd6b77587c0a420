public import ConfigSnapshot
public import ConfigTrust

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

    /// A file in PEM form, and what was in it when the plan was made; `nil` where that could not be read.
    public struct PEM: Sendable, Equatable {
        public var path: String
        public var bytes: [UInt8]?

        public init(path: String, bytes: [UInt8]? = nil) {
            self.path = path
            self.bytes = bytes
        }
    }

    /// Through whom requests go.
    public struct Proxy: Sendable, Equatable {
        public var url: String
        public var user: String?
        public var password: String?

        public init(url: String, user: String? = nil, password: String? = nil) {
            self.url = url
            self.user = user
            self.password = password
        }
    }

    /// Who we are to the source. Each kind takes of it what it knows.
    public struct Auth: Sendable, Equatable {
        public struct AWSKeys: Sendable, Equatable {
            public var id: String
            public var secret: String
            public var sessionToken: String?

            public init(id: String, secret: String, sessionToken: String? = nil) {
                self.id = id
                self.secret = secret
                self.sessionToken = sessionToken
            }
        }

        public var user: String?
        public var password: String?
        public var token: String?
        public var awsKeys: AWSKeys?

        public init() {}

        /// For HTTP: basic or bearer.
        var httpHeaders: [(name: String, value: String)] {
            if let token { return [("Authorization", "Bearer \(token)")] }
            guard let user else { return [] }
            return [("Authorization", "Basic \(APIJSON.base64(Array("\(user):\(password ?? "")".utf8)))")]
        }
    }

    public var name: SourceName
    public var kind: SourceKind
    public var url: String
    /// Other places of the same document, asked when the ones before do not do well.
    public var mirrors: [String] = []
    /// With mirrors: whether the place that answers soonest is asked, and not the first that does well.
    public var prefersQuickest = false
    /// With mirrors: a place that takes longer than this until it begins to answer is slow. Nanoseconds.
    public var maxLatency: UInt64 = 200_000_000
    public var unixSocket: String?
    public var headers: [Header] = []
    public var auth = Auth()
    /// For AWS: where the bucket or the service is.
    public var region: String?
    /// For AWS: another server than Amazon's, as `https://host:port`.
    public var endpoint: String?
    /// Whether the source is asked to tell of changes, where its kind can.
    public var isWatched = true
    /// How long one request of a watch is to wait for a change, in nanoseconds; `nil` for what is usual for the kind, and
    /// over plain HTTP for no watch.
    public var watchWait: UInt64?
    public var maxRedirects = 0
    public var allowsLinkLocal = false
    public var timeoutMilliseconds = 30_000
    public var connectTimeoutMilliseconds = 5_000
    public var ca: PEM?
    public var certificate: PEM?
    public var key: PEM?
    /// Public keys of which the source has to have one, each as `sha256//` and the digest in base64; none for any.
    public var pins: [String] = []
    public var proxy: Proxy?
    /// The bounds of the time between two polls, in nanoseconds; each wait is drawn between them.
    public var poll: ClosedRange<UInt64>
    /// After the n-th failure in a row the wait is drawn from 0 to `retryBase · 2ⁿ⁻¹`, at most `retryMax`. Nanoseconds.
    public var retryBase: UInt64 = 1_000_000_000
    public var retryMax: UInt64 = 60_000_000_000
    /// A source that says "not modified" is believed for so long; then the document is fetched and compared. Nanoseconds.
    public var auditInterval: UInt64 = 3_600_000_000_000
    /// Bounds the document after decompression.
    public var maxBytes = 16 << 20
    /// What its signature has to be: for the stages behind, and for whoever judges what is in use. `nil` where none is
    /// required.
    public var policy: SignaturePolicy?
    /// Whether a signature lies beside the document, under its name with `.sig` behind it, and is fetched with it.
    public var hasSignatureBeside = false
    /// How long nobody has read the document before the source falls asleep, in nanoseconds; `nil` for a source that never
    /// does. One that may sleep is not asked before somebody wants its document.
    public var idle: UInt64?
    /// Told apart from the same source under an earlier plan, when it meant something else.
    public var version: UInt64 = 0

    public init(name: SourceName, kind: SourceKind, url: String, poll: ClosedRange<UInt64>) {
        self.name = name
        self.kind = kind
        self.url = url
        self.poll = poll
    }

    /// The bytes that one answer may have: a document may carry its signature.
    var maxAnswerBytes: Int { maxBytes + (policy == nil ? 0 : SignedDocument.largestSignature) }

    /// Whether it is loaded only for those who read it.
    public var isOnDemand: Bool { idle != nil }

    /// The URLs of all its places as they may be shown.
    public var redactedPlaces: [String] { places.map(\.redactedURL) }

    /// Where it is, in full: documents and ETags of other locations mean something else.
    public var location: String { [url, region, endpoint].compactMap(\.self).joined(separator: " ") }

    /// Itself at each of its places.
    var places: [SourceSpec] {
        [self]
            + mirrors.map { mirror in
                var place = self
                place.url = mirror
                return place
            }
    }

    /// The limit of a request that waits for a change: what the source may take by its own rules, and a request's time.
    var watchTimeoutMilliseconds: Int {
        let wait = watchWait ?? 300_000_000_000
        return Int(clamping: (wait + wait / 16) / 1_000_000) + timeoutMilliseconds
    }

    /// Whose turn a request takes: all sources with the same one share what may be under way to one host. All files
    /// together are one, and so is a host behind each proxy: it is one of the two that fails.
    var host: String { proxy.map { "\(origin) by way of \($0.url)" } ?? origin }

    private var origin: String { kind.client?.host(of: self) ?? FetchLoop.files }

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

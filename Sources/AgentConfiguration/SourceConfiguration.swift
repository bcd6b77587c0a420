public import ConfigSnapshot

/// Where a document comes from, how often, and what it may cost.
public struct SourceConfiguration: Sendable, Equatable {
    public enum Scheme: String, Sendable, CaseIterable {
        case http, https, file
    }

    /// Files in PEM form; `nil` for the system's certificates, or for no client certificate.
    public struct TLS: Sendable, Equatable {
        public var ca: String?
        public var certificate: String?
        public var key: String?

        public init(ca: String? = nil, certificate: String? = nil, key: String? = nil) {
            self.ca = ca
            self.certificate = certificate
            self.key = key
        }
    }

    /// The bounds of the time between two polls.
    public struct Poll: Sendable, Equatable {
        public var min: TimeSpan
        public var max: TimeSpan

        public init(min: TimeSpan, max: TimeSpan) {
            self.min = min
            self.max = max
        }

        /// `span` give or take a tenth, so that many agents started at once do not ask at once for ever; never less
        /// than ``shortest``.
        public init(around span: TimeSpan) {
            let tenth = span.nanoseconds / 10
            self.min = Swift.max(TimeSpan(nanoseconds: span.nanoseconds - tenth), Self.shortest)
            self.max = TimeSpan(nanoseconds: span.nanoseconds + tenth)
        }

        public static let shortest = TimeSpan.seconds(1)
    }

    /// The bounds of the time before a failed fetch is tried again.
    public struct Retry: Sendable, Equatable {
        public var base = TimeSpan.seconds(1)
        public var max = TimeSpan.seconds(60)

        public init() {}
    }

    /// What a document may cost.
    public struct Limits: Sendable, Equatable {
        public var maxBytes = 16 << 20
        public var maxDepth = 64
        public var maxKeys = 1_000_000

        public init() {}
    }

    public var name: SourceName
    public var url: String
    public var scheme: Scheme
    /// For a file: its path, percent-decoded. For HTTP: the path in the URL, without the query.
    public var path: String
    /// The Unix socket to which the request goes instead of the URL's host.
    public var unixSocket: String?
    /// `nil` to go by the content type, then by the URL's suffix.
    public var format: DocumentFormat?
    public var headers: [HeaderField] = []
    public var maxRedirects = 0
    /// Whether addresses such as 169.254.169.254 may be asked.
    public var allowLinkLocal = false
    public var timeout = TimeSpan.seconds(30)
    public var connectTimeout = TimeSpan.seconds(5)
    public var tls = TLS()
    public var poll = Poll(around: .seconds(30))
    public var retry = Retry()
    /// `guard` in the file.
    public var limits = Limits()
    /// Whether the agent is ready only once it has this source's document.
    public var required = true

    public init(name: SourceName, url: String, scheme: Scheme, path: String) {
        self.name = name
        self.url = url
        self.scheme = scheme
        self.path = path
    }
}

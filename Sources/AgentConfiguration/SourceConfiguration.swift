package import ConfigGuard
public import ConfigSnapshot
public import ConfigTrust

/// Where a document comes from, how often, and what it may cost.
public struct SourceConfiguration: Sendable, Equatable {
    /// Who the agent is to the source. Each kind of source takes of it what it knows.
    public struct Auth: Sendable, Equatable {
        public var user: String?
        public var password: String?
        public var token: String?
        /// AWS: the keys' id, the secret, and for keys of a session its token.
        public var accessKey: String?
        public var secretKey: String?
        public var sessionToken: String?

        public init() {}
    }

    /// A file in PEM form.
    public struct PEM: Sendable, Equatable {
        public var path: String
        /// What was in it when the configuration was read; `nil` where that did not go.
        public var bytes: [UInt8]?

        public init(path: String, bytes: [UInt8]? = nil) {
            self.path = path
            self.bytes = bytes
        }
    }

    /// `nil` for the system's certificates, or for no client certificate.
    public struct TLS: Sendable, Equatable {
        public var ca: PEM?
        public var certificate: PEM?
        public var key: PEM?
        /// Public keys of which the source has to have one, each as `sha256//` and the digest in base64; none for any.
        public var pins: [String] = []

        public init(ca: PEM? = nil, certificate: PEM? = nil, key: PEM? = nil) {
            self.ca = ca
            self.certificate = certificate
            self.key = key
        }

        public var files: [String] { [ca, certificate, key].compactMap(\.self?.path) }
    }

    /// Through whom requests go.
    public struct Proxy: Sendable, Equatable {
        public var url: String
        public var user: String?
        public var password: String?

        public init(url: String) { self.url = url }
    }

    /// What makes one place of a document better than another.
    public enum Preference: String, Sendable, CaseIterable {
        /// Where it stands in the list.
        case order
        /// How soon it answers.
        case latency
    }

    /// Whose signature its documents have to have, and where it is.
    public struct Verification: Sendable, Equatable {
        public enum Place: String, Sendable, CaseIterable {
            /// Under the document's name, with `.sig` behind it.
            case beside
            /// In the document, before all else.
            case carried
        }

        public var policy: SignaturePolicy
        public var signature: Place

        public init(policy: SignaturePolicy, signature: Place) {
            self.policy = policy
            self.signature = signature
        }
    }

    /// The bounds of the time between two polls.
    public struct Poll: Sendable, Equatable {
        public var min: TimeSpan
        public var max: TimeSpan
        /// How long a source that can tell of changes is asked to wait for one; `nil` for what is usual for its kind.
        public var wait: TimeSpan?

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
    public var kind: SourceKind
    /// For a file: its path, percent-decoded. For HTTP: the path in the URL, without the query.
    public var path: String
    /// The Unix socket to which the request goes instead of the URL's host.
    public var unixSocket: String?
    /// `nil` to go by the content type, then by the URL's suffix.
    public var format: DocumentFormat?
    /// Other places of the same document, in the order in which they are tried.
    public var mirrors: [String] = []
    /// With mirrors: which of the places is asked while all do well.
    public var prefer = Preference.order
    /// A place that takes longer until it begins to answer is slow, and left where there are others.
    public var maxLatency = TimeSpan.milliseconds(200)
    public var headers: [HeaderField] = []
    public var auth = Auth()
    public var region: String?
    /// For AWS: another server than Amazon's, as `https://host:port`.
    public var endpoint: String?
    /// Whether the source is asked to tell of changes, where its kind can.
    public var watch = true
    public var maxRedirects = 0
    /// Whether addresses such as 169.254.169.254 may be asked.
    public var allowLinkLocal = false
    public var timeout = TimeSpan.seconds(30)
    public var connectTimeout = TimeSpan.seconds(5)
    public var tls = TLS()
    public var proxy: Proxy?
    public var poll = Poll(around: .seconds(30))
    public var retry = Retry()
    /// `verify` in the file; `nil` where no signature is required.
    public var verification: Verification?
    /// `guard` in the file: what its documents may cost.
    public var limits = Limits()
    /// `guard` in the file: what they have to fulfil.
    package var rules = GuardRules()
    /// Whether the agent is ready only once it has this source's document.
    public var required = true
    /// How long nobody has read the document of an on-demand source before it is dropped; `nil` for a source that is
    /// always loaded.
    public var idle: TimeSpan?

    /// The group that alone reads its document, at a socket of its own; `nil` for all who read values.
    public var readers: String?

    public init(name: SourceName, url: String, kind: SourceKind, path: String) {
        self.name = name
        self.url = url
        self.kind = kind
        self.path = path
    }
}

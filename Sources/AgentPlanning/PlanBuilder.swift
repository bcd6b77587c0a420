internal import AgentAPI
public import AgentConfiguration
public import ConfigAgent
internal import ConfigDecode
public import ConfigFetch
internal import ConfigPublish

extension AgentPlan {
    /// The plan that a configuration asks for.
    public init(_ configuration: AgentConfiguration) {
        self.init(
            sources: configuration.sources.map(AgentPlan.Source.init),
            stateDirectory: configuration.stateDirectory,
            retention: Retention(
                count: configuration.history.generations,
                age: configuration.history.age.nanoseconds
            ),
            checkSocket: AgentPaths(runtimeDirectory: configuration.runtimeDirectory).checkSocket
        )
    }
}

extension SourceSpec {
    /// What has to be fetched for a configured source, and how.
    public init(_ source: SourceConfiguration) {
        self.init(
            name: source.name,
            kind: source.kind,
            url: source.url,
            poll: source.poll.min.nanoseconds...source.poll.max.nanoseconds
        )
        self.unixSocket = source.unixSocket
        self.headers = source.headers.map { SourceSpec.Header($0.name, $0.value) }
        self.auth = SourceSpec.Auth(source.auth)
        self.mirrors = source.mirrors
        self.prefersQuickest = source.prefer == .latency
        self.maxLatency = source.maxLatency.nanoseconds
        self.region = source.region
        self.endpoint = source.endpoint
        self.isWatched = source.watch
        self.watchWait = source.poll.wait?.nanoseconds
        self.maxRedirects = source.maxRedirects
        self.allowsLinkLocal = source.allowLinkLocal
        self.timeoutMilliseconds = source.timeout.milliseconds
        self.connectTimeoutMilliseconds = source.connectTimeout.milliseconds
        self.ca = source.tls.ca.map { PEM(path: $0.path, bytes: $0.bytes) }
        self.certificate = source.tls.certificate.map { PEM(path: $0.path, bytes: $0.bytes) }
        self.key = source.tls.key.map { PEM(path: $0.path, bytes: $0.bytes) }
        self.pins = source.tls.pins
        self.proxy = source.proxy.map { Proxy(url: $0.url, user: $0.user, password: $0.password) }
        self.retryBase = source.retry.base.nanoseconds
        self.retryMax = source.retry.max.nanoseconds
        self.maxBytes = source.limits.maxBytes
        if let verification = source.verification {
            self.policy = verification.policy
            self.hasSignatureBeside = verification.signature == .beside
        }
        self.idle = source.idle?.nanoseconds
    }
}

extension SourceSpec.Auth {
    fileprivate init(_ auth: SourceConfiguration.Auth) {
        self.init()
        user = auth.user
        password = auth.password
        token = auth.token
        if let id = auth.accessKey, let secret = auth.secretKey {
            awsKeys = AWSKeys(id: id, secret: secret, sessionToken: auth.sessionToken)
        }
    }
}

extension AgentPlan.Source {
    /// A configured source with the rules for its documents.
    public init(_ source: SourceConfiguration) {
        self.init(
            fetch: SourceSpec(source),
            format: source.format,
            limits: DocumentDecoder.Limits(maxDepth: source.limits.maxDepth, maxKeys: source.limits.maxKeys),
            isRequired: source.required,
            readers: source.readers
        )
        rules = source.rules
    }
}

extension TimeSpan {
    /// Rounded up: a limit of a microsecond is not "no limit".
    fileprivate var milliseconds: Int { Int(clamping: nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0)) }
}

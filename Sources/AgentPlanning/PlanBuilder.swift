public import AgentConfiguration
public import ConfigAgent
internal import ConfigDecode
public import ConfigFetch

extension AgentPlan {
    /// The plan that a configuration asks for.
    public init(_ configuration: AgentConfiguration) {
        self.init(
            sources: configuration.sources.map(AgentPlan.Source.init),
            stateDirectory: configuration.stateDirectory
        )
    }
}

extension SourceSpec {
    /// What has to be fetched for a configured source, and how.
    public init(_ source: SourceConfiguration) {
        let kind: SourceSpec.Kind =
            switch source.scheme {
            case .file: .file
            case .https: source.unixSocket == nil ? .https : .unix
            case .http: source.unixSocket == nil ? .http : .unix
            }
        self.init(
            name: source.name,
            kind: kind,
            url: source.url,
            poll: source.poll.min.nanoseconds...source.poll.max.nanoseconds
        )
        self.unixSocket = source.unixSocket
        self.headers = source.headers.map { SourceSpec.Header($0.name, $0.value) }
        self.maxRedirects = source.maxRedirects
        self.allowsLinkLocal = source.allowLinkLocal
        self.timeoutMilliseconds = source.timeout.milliseconds
        self.connectTimeoutMilliseconds = source.connectTimeout.milliseconds
        self.caFile = source.tls.ca
        self.certificateFile = source.tls.certificate
        self.keyFile = source.tls.key
        self.retryBase = source.retry.base.nanoseconds
        self.retryMax = source.retry.max.nanoseconds
        self.maxBytes = source.limits.maxBytes
    }
}

extension AgentPlan.Source {
    /// A configured source with the rules for its documents.
    public init(_ source: SourceConfiguration) {
        self.init(
            fetch: SourceSpec(source),
            format: source.format,
            limits: DocumentDecoder.Limits(maxDepth: source.limits.maxDepth, maxKeys: source.limits.maxKeys),
            isRequired: source.required
        )
    }
}

extension TimeSpan {
    /// Rounded up: a limit of a microsecond is not "no limit".
    fileprivate var milliseconds: Int { Int(clamping: nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0)) }
}

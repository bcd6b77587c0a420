internal import AgentConfiguration
internal import ConfigAgent
internal import ConfigDecode
internal import ConfigFetch

extension AgentPlan {
    /// The plan that a configuration asks for.
    init(_ configuration: AgentConfiguration) {
        self.init(
            sources: configuration.sources.map(AgentPlan.Source.init),
            stateDirectory: configuration.stateDirectory
        )
    }
}

extension AgentPlan.Source {
    init(_ source: SourceConfiguration) {
        let kind: SourceSpec.Kind =
            switch source.scheme {
            case .file: .file
            case .https: source.unixSocket == nil ? .https : .unix
            case .http: source.unixSocket == nil ? .http : .unix
            }
        var spec = SourceSpec(
            name: source.name,
            kind: kind,
            url: source.url,
            poll: source.poll.min.nanoseconds...source.poll.max.nanoseconds
        )
        spec.unixSocket = source.unixSocket
        spec.headers = source.headers.map { ($0.name, $0.value) }
        spec.maxRedirects = source.maxRedirects
        spec.allowsLinkLocal = source.allowLinkLocal
        spec.timeoutMilliseconds = source.timeout.milliseconds
        spec.connectTimeoutMilliseconds = source.connectTimeout.milliseconds
        spec.caFile = source.tls.ca
        spec.certificateFile = source.tls.certificate
        spec.keyFile = source.tls.key
        spec.retryBase = source.retry.base.nanoseconds
        spec.retryMax = source.retry.max.nanoseconds
        spec.maxBytes = source.limits.maxBytes
        self.init(
            fetch: spec,
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

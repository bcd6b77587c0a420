public import ConfigDecode
public import ConfigFetch
public import ConfigSnapshot

/// What an agent is to do.
public struct AgentPlan: Sendable {
    public struct Source: Sendable {
        public var fetch: SourceSpec
        /// `nil`: by media type, else by the URL's suffix, else JSON.
        public var format: DocumentFormat?
        public var limits: DocumentDecoder.Limits
        /// Whether nothing is published before this source has given a document.
        public var isRequired: Bool

        public init(
            fetch: SourceSpec,
            format: DocumentFormat? = nil,
            limits: DocumentDecoder.Limits = .init(),
            isRequired: Bool = true
        ) {
            self.fetch = fetch
            self.format = format
            self.limits = limits
            self.isRequired = isRequired
        }
    }

    /// In layer order: later ones win.
    public var sources: [Source]
    public var stateDirectory: String

    public init(sources: [Source], stateDirectory: String) {
        self.sources = sources
        self.stateDirectory = stateDirectory
    }
}

public import ConfigDecode
public import ConfigFetch
package import ConfigGuard
public import ConfigPublish
public import ConfigSnapshot

/// What an agent is to do.
public struct AgentPlan: Sendable, Equatable {
    public struct Source: Sendable, Equatable {
        public var fetch: SourceSpec
        /// `nil`: by media type, else by the URL's suffix, else JSON.
        public var format: DocumentFormat?
        public var limits: DocumentDecoder.Limits
        /// What its documents have to fulfil.
        package var rules = GuardRules()
        /// Whether nothing is published before this source has given a document.
        public var isRequired: Bool
        /// The group that alone reads its document; `nil` for all who read values. For a source on demand.
        public var readers: String?

        public init(
            fetch: SourceSpec,
            format: DocumentFormat? = nil,
            limits: DocumentDecoder.Limits = .init(),
            isRequired: Bool = true,
            readers: String? = nil
        ) {
            self.readers = readers
            self.fetch = fetch
            self.format = format
            self.limits = limits
            self.isRequired = isRequired
        }
    }

    /// In layer order: later ones win. Those on demand are no layers.
    public var sources: [Source]
    public var stateDirectory: String
    /// How far back generations are kept.
    public var retention: Retention
    /// The socket at which commands are run that check documents; `nil` where there is none, and every check fails.
    public var checkSocket: String?

    public init(
        sources: [Source],
        stateDirectory: String,
        retention: Retention = Retention(),
        checkSocket: String? = nil
    ) {
        self.checkSocket = checkSocket
        self.sources = sources
        self.stateDirectory = stateDirectory
        self.retention = retention
    }

    /// By source: the group that alone reads its document.
    var readers: [SourceName: String] {
        Dictionary(sources.compactMap { source in source.readers.map { (source.fetch.name, $0) } }) { first, _ in first
        }
    }

    /// By source: the command that has the last word over its documents.
    var checks: [SourceName: Check] {
        Dictionary(sources.compactMap { source in source.rules.check.map { (source.fetch.name, $0) } }) { $1 }
    }

    /// Whether documents are checked by commands.
    public var hasChecks: Bool { sources.contains { $0.rules.check != nil } }

    /// The sources whose documents make up the configuration: a copy.
    public var layers: [Source] { sources.filter { !$0.fetch.isOnDemand } }
}

extension AgentPlan {
    /// This plan as the successor of `old`: a source that means the same as before keeps its version, any other gets
    /// `version`.
    func following(_ old: AgentPlan, version: UInt64) -> AgentPlan {
        var plan = self
        // Only what it needs for its files and locks at the start.
        plan.stateDirectory = old.stateDirectory
        plan.checkSocket = old.checkSocket
        let known = Dictionary(uniqueKeysWithValues: old.sources.map { ($0.fetch.name, $0) })
        for index in plan.sources.indices {
            let before = known[plan.sources[index].fetch.name]
            plan.sources[index].fetch.version = before?.fetch.version ?? version
            if let before, !plan.sources[index].asks(theSameAs: before) {
                plan.sources[index].fetch.version = version
            }
        }
        return plan
    }
}

extension AgentPlan.Source {
    /// Whether a document of the other source would do for this one, and comes in the same way.
    fileprivate func asks(theSameAs other: AgentPlan.Source) -> Bool {
        fetch == other.fetch && format == other.format && limits == other.limits && rules == other.rules
    }
}

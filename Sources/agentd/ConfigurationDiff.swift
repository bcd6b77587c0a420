internal import AgentAPI
internal import AgentConfiguration
internal import ConfigSnapshot

/// What differs between two configurations of the agent: names only, since values may be secrets.
struct ConfigurationDiff: Equatable {
    var added: [String] = []
    var removed: [String] = []
    var changed: [ChangedSource] = []
    var unchanged = 0
    /// The agent's own settings that differ and can be taken over while it runs.
    var settings: [String] = []
    /// Those that take effect at a start only.
    var fixed: [String] = []

    init(from old: AgentConfiguration, to new: AgentConfiguration) {
        let known = Dictionary(uniqueKeysWithValues: old.sources.map { ($0.name, $0) })
        for source in new.sources {
            guard let before = known[source.name] else {
                added.append(source.name.text)
                continue
            }
            let settings = Self.differing(Self.sourceSettings, before, source)
            if settings.isEmpty {
                unchanged += 1
            } else {
                changed.append(ChangedSource(name: source.name.text, settings: settings))
            }
        }
        let stay = Set(new.sources.map(\.name))
        removed = old.sources.map(\.name).filter { !stay.contains($0) }.map(\.text)
        settings = Self.differing(Self.agentSettings, old, new)
        let layers = old.layers.map(\.name)
        let kept = new.layers.map(\.name).filter { known[$0]?.idle == nil && known[$0] != nil }
        let inBoth = Set(kept)
        if kept != layers.filter({ inBoth.contains($0) }) { settings.append("layers") }
        fixed = Self.differing(Self.fixedSettings, old, new)
    }

    private typealias Comparison<Whole> = (name: String, isSame: @Sendable (Whole, Whole) -> Bool)

    private static func differing<Whole>(_ settings: [Comparison<Whole>], _ old: Whole, _ new: Whole) -> [String] {
        settings.filter { !$0.isSame(old, new) }.map(\.name)
    }

    private static let sourceSettings: [Comparison<SourceConfiguration>] = [
        ("url", { $0.url == $1.url }), ("unix_socket", { $0.unixSocket == $1.unixSocket }),
        ("format", { $0.format == $1.format }), ("headers", { $0.headers == $1.headers }),
        ("mirrors", { $0.mirrors == $1.mirrors }), ("prefer", { $0.prefer == $1.prefer }),
        ("max_latency", { $0.maxLatency == $1.maxLatency }),
        ("auth", { $0.auth == $1.auth }), ("region", { $0.region == $1.region }),
        ("endpoint", { $0.endpoint == $1.endpoint }), ("watch", { $0.watch == $1.watch }),
        ("max_redirects", { $0.maxRedirects == $1.maxRedirects }),
        ("allow_link_local", { $0.allowLinkLocal == $1.allowLinkLocal }), ("timeout", { $0.timeout == $1.timeout }),
        ("connect_timeout", { $0.connectTimeout == $1.connectTimeout }), ("tls", { $0.tls == $1.tls }),
        ("proxy", { $0.proxy == $1.proxy }),
        ("poll", { $0.poll == $1.poll }), ("retry", { $0.retry == $1.retry }),
        ("verify", { $0.verification == $1.verification }),
        ("guard", { $0.limits == $1.limits && $0.rules == $1.rules }),
        ("required", { $0.required == $1.required }), ("load", { ($0.idle == nil) == ($1.idle == nil) }),
        ("readers", { $0.readers == $1.readers }),
        ("idle", { $0.idle == $1.idle || $0.idle == nil || $1.idle == nil }),
    ]

    private static let agentSettings: [Comparison<AgentConfiguration>] = [
        ("locks", { $0.locks == $1.locks }), ("history", { $0.history == $1.history }),
    ]

    private static let fixedSettings: [Comparison<AgentConfiguration>] = [
        ("runtime_dir", { $0.runtimeDirectory == $1.runtimeDirectory }),
        ("state_dir", { $0.stateDirectory == $1.stateDirectory }), ("workers", { $0.workers == $1.workers }),
        ("limits", { $0.limits == $1.limits }),
    ]

    /// Whether nothing changes that can be taken over.
    var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty && settings.isEmpty }

    /// `1 source added (x), 1 changed (app: url, poll)`; `nothing changed`.
    var summary: String {
        var parts: [String] = []
        if !added.isEmpty { parts.append("added \(added.joined(separator: ", "))") }
        if !removed.isEmpty { parts.append("removed \(removed.joined(separator: ", "))") }
        parts += changed.map { "changed \($0.name) (\($0.settings.joined(separator: ", ")))" }
        if !settings.isEmpty { parts.append("changed \(settings.joined(separator: ", "))") }
        return parts.isEmpty ? "nothing changed" : parts.joined(separator: "; ")
    }
}

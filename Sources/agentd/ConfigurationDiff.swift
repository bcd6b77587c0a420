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
        for source in new.sources {
            guard let before = old.sources.first(where: { $0.name == source.name }) else {
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
        removed = old.sources.map(\.name).filter { name in !new.sources.contains { $0.name == name } }.map(\.text)
        settings = Self.differing(Self.agentSettings, old, new)
        let kept = new.sources.map(\.name).filter { name in old.sources.contains { $0.name == name } }
        if kept != old.sources.map(\.name).filter({ kept.contains($0) }) { settings.append("layers") }
        fixed = Self.differing(Self.fixedSettings, old, new)
    }

    private typealias Comparison<Whole> = (name: String, isSame: @Sendable (Whole, Whole) -> Bool)

    private static func differing<Whole>(_ settings: [Comparison<Whole>], _ old: Whole, _ new: Whole) -> [String] {
        settings.filter { !$0.isSame(old, new) }.map(\.name)
    }

    private static let sourceSettings: [Comparison<SourceConfiguration>] = [
        ("url", { $0.url == $1.url }), ("unix_socket", { $0.unixSocket == $1.unixSocket }),
        ("format", { $0.format == $1.format }), ("headers", { $0.headers == $1.headers }),
        ("max_redirects", { $0.maxRedirects == $1.maxRedirects }),
        ("allow_link_local", { $0.allowLinkLocal == $1.allowLinkLocal }), ("timeout", { $0.timeout == $1.timeout }),
        ("connect_timeout", { $0.connectTimeout == $1.connectTimeout }), ("tls", { $0.tls == $1.tls }),
        ("poll", { $0.poll == $1.poll }), ("retry", { $0.retry == $1.retry }), ("guard", { $0.limits == $1.limits }),
        ("required", { $0.required == $1.required }),
    ]

    private static let agentSettings: [Comparison<AgentConfiguration>] = [("locks", { $0.locks == $1.locks })]

    private static let fixedSettings: [Comparison<AgentConfiguration>] = [
        ("runtime_dir", { $0.runtimeDirectory == $1.runtimeDirectory }),
        ("state_dir", { $0.stateDirectory == $1.stateDirectory }), ("workers", { $0.workers == $1.workers }),
        ("limits", { $0.limits == $1.limits }),
    ]

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

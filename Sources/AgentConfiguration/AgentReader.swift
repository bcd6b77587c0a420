internal import ConfigSnapshot

/// The agent's own settings.
extension SettingsReader {
    mutating func agent(_ root: Setting) -> AgentConfiguration {
        var agent = AgentConfiguration()
        let members = members(root, known: ["runtime_dir", "state_dir", "workers", "sources", "layers", "locks"])
        // The sockets' names follow, and a socket's path has room for 107 bytes.
        agent.runtimeDirectory = path(members["runtime_dir"], maxBytes: 80) ?? agent.runtimeDirectory
        agent.stateDirectory = path(members["state_dir"]) ?? agent.stateDirectory
        agent.workers = readInteger(members["workers"], default: agent.workers, in: AgentConfiguration.workerRange)
        readLocks(members["locks"], into: &agent.locks)
        let written = items(ofSection: members["sources"])
        if written.isEmpty, members["sources"].map({ $0.isSection }) ?? true {
            note(
                members["sources"]?.namePlace ?? root.place,
                "sources",
                "no source is configured",
                "add one, as in 'sources: {app: {url: https://example.com/app.json}}'"
            )
        }
        let sources = written.compactMap { source($0) }
        agent.sources = inLayerOrder(sources, written, members["layers"])
        return agent
    }

    private mutating func readLocks(_ setting: Setting?, into locks: inout AgentConfiguration.Locks) {
        let members = members(setting, known: ["report", "warn_wait"])
        locks.report = readSpan(members["report"], default: locks.report, in: .milliseconds(100)...(.days(1)))
        let waits = TimeSpan(nanoseconds: 1000)...TimeSpan.hours(1)
        locks.warnWait = readSpan(members["warn_wait"], default: locks.warnWait, in: waits)
    }

    /// The sources in the order of `layers`, or as they were written where there is no such list.
    private mutating func inLayerOrder(
        _ sources: [SourceConfiguration],
        _ written: [Setting],
        _ layers: Setting?
    ) -> [SourceConfiguration] {
        guard let layers else { return sources }
        let names = written.map(\.name)
        var ordered: [String] = []
        for item in items(ofList: layers) {
            guard let name = text(item) else { continue }
            if ordered.contains(name) {
                note(item, SettingProblem("\(shown(name)) stands here twice", "remove one of them"))
            } else if !names.contains(name) {
                let advice = Self.advice(for: name, among: names)
                note(item, SettingProblem("there is no source \(shown(name))", advice))
            }
            ordered.append(name)
        }
        if layers.isList {
            for source in written where !ordered.contains(source.name) {
                note(
                    source.namePlace,
                    source.key,
                    "never read: not among the layers",
                    "add it to 'layers' or remove it"
                )
            }
        }
        return ordered.compactMap { name in sources.first { $0.name.text == name } }
    }
}

extension Setting {
    var isSection: Bool { if case .section = value { true } else { false } }
    var isList: Bool { if case .list = value { true } else { false } }
}

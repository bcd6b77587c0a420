internal import ConfigDecode
internal import ConfigSnapshot

/// The agent's own settings.
extension SettingsReader {
    mutating func agent(_ root: Setting) -> AgentConfiguration {
        var agent = AgentConfiguration()
        let members = members(
            root,
            known: ["runtime_dir", "state_dir", "workers", "sources", "layers", "history", "locks", "limits"]
        )
        // The sockets' names follow, and a socket's path has room for 107 bytes.
        agent.runtimeDirectory = path(members["runtime_dir"], maxBytes: 80) ?? agent.runtimeDirectory
        agent.stateDirectory = path(members["state_dir"]) ?? agent.stateDirectory
        agent.workers = readInteger(members["workers"], default: agent.workers, in: AgentConfiguration.workerRange)
        readHistory(members["history"], into: &agent.history)
        readLocks(members["locks"], into: &agent.locks)
        readLimits(members["limits"], into: &agent.limits)
        let written = items(ofSection: members["sources"])
        if written.isEmpty, members["sources"].map({ $0.isSection }) ?? true {
            note(
                members["sources"]?.namePlace ?? root.place,
                "sources",
                "no source is configured",
                "add one, as in 'sources: {app: {url: https://example.com/app.json}}'"
            )
        }
        let sources = written.compactMap { setting in
            begin(setting)
            return source(setting)
        }
        agent.sources = inLayerOrder(sources, written, members["layers"])
        return agent
    }

    private mutating func readHistory(_ setting: Setting?, into history: inout AgentConfiguration.History) {
        let members = members(setting, known: ["generations", "age"])
        history.generations = readInteger(members["generations"], default: history.generations, in: 1...1_000)
        history.age = readSpan(members["age"], default: history.age, in: .minutes(1)...(.days(3_650)))
    }

    private mutating func readLocks(_ setting: Setting?, into locks: inout AgentConfiguration.Locks) {
        let members = members(setting, known: ["report", "warn_wait"])
        locks.report = readSpan(members["report"], default: locks.report, in: .milliseconds(100)...(.days(1)))
        let waits = TimeSpan(nanoseconds: 1000)...TimeSpan.hours(1)
        locks.warnWait = readSpan(members["warn_wait"], default: locks.warnWait, in: waits)
    }

    private mutating func readLimits(_ setting: Setting?, into limits: inout AgentConfiguration.Limits) {
        let known = [
            "connections", "connections_per_peer", "header_bytes", "body_bytes", "idle", "request_time",
            "answer_time", "heartbeat",
        ]
        let members = members(setting, known: known)
        let counts = 1...1_000_000
        limits.connections = members["connections"].map { readInteger($0, default: 1, in: counts) }
        limits.connectionsPerPeer = members["connections_per_peer"].map { readInteger($0, default: 1, in: counts) }
        limits.headerBytes = readSize(members["header_bytes"], default: limits.headerBytes, in: 256...(64 << 10))
        limits.bodyBytes = readSize(members["body_bytes"], default: limits.bodyBytes, in: 0...(1 << 20))
        let times = TimeSpan.milliseconds(10)...TimeSpan.hours(1)
        limits.idle = readSpan(members["idle"], default: limits.idle, in: times)
        limits.requestTime = readSpan(members["request_time"], default: limits.requestTime, in: times)
        limits.answerTime = readSpan(members["answer_time"], default: limits.answerTime, in: times)
        limits.heartbeat = readSpan(members["heartbeat"], default: limits.heartbeat, in: times)
    }

    /// The sources in the order of `layers`, or as they were written where there is no such list.
    private mutating func inLayerOrder(
        _ sources: [SourceConfiguration],
        _ written: [Setting],
        _ layers: Setting?
    ) -> [SourceConfiguration] {
        guard let layers else { return sources }
        let names = written.map(\.name)
        let onDemand = written.filter(\.isOnDemand).map(\.name)
        var ordered: [String] = []
        for item in items(ofList: layers) {
            guard let name = text(item) else { continue }
            if ordered.contains(name) {
                note(item, SettingProblem("\(shown(name)) stands here twice", "remove one of them"))
            } else if !names.contains(name) {
                let advice = Self.advice(for: name, among: names)
                note(item, SettingProblem("there is no source \(shown(name))", advice))
            } else if onDemand.contains(name) {
                let advice = "remove it here, or 'load: on_demand' there"
                note(item, SettingProblem("\(shown(name)) is loaded on demand, and so is no layer", advice))
            }
            ordered.append(name)
        }
        if layers.isList {
            for source in written where !ordered.contains(source.name) && !onDemand.contains(source.name) {
                note(
                    source.namePlace,
                    source.key,
                    "never read: not among the layers",
                    "add it to 'layers' or remove it"
                )
            }
        }
        let inOrder = ordered.compactMap { name in sources.first { $0.name.text == name } }
        return inOrder + sources.filter { $0.idle != nil && !ordered.contains($0.name.text) }
    }
}

extension Setting {
    /// Whether a source says so, whatever else is wrong with it.
    fileprivate var isOnDemand: Bool {
        guard case .section(let members) = value, let load = members.first(where: { $0.name == "load" }),
            case .scalar(let scalar) = load.value, case .string(let way) = scalar
        else { return false }
        return way.elementsEqual("on_demand".utf8)
    }

    var isSection: Bool { if case .section = value { true } else { false } }
    var isList: Bool { if case .list = value { true } else { false } }
}

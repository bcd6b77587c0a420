internal import AgentAPI
internal import AgentConfiguration
internal import ConfigSnapshot

/// The units, as systemd sees them.
enum UnitChecks {
    static let systemctl = ["/usr/bin/systemctl", "/bin/systemctl"]
    static let units = [
        "agent.service", "agent-status.socket", "agent-config.socket", "agent-control.socket", "agent-check.socket",
    ]
    static let properties =
        "Id,LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,FragmentPath,DropInPaths,NeedDaemonReload,"
        + "PrivateTmp,ProtectHome"

    static func run(_ scene: Scene) -> [Check] {
        guard scene.isOfService else {
            let found = "an agent with its sockets in \(scene.paths.runtimeDirectory) is not the one of the units"
            return [Check("unit.systemd", nil, .skip, found)]
        }
        guard (try? FileFacts.look(at: "/run/systemd/system"))?.kind == .directory else {
            return [
                Check("unit.systemd", nil, .skip, "systemd does not run this host, so there are no units to look at")
            ]
        }
        guard let output = Command(systemctl, ["show", "--no-pager", "-p", properties] + units).run(),
            output.status == 0
        else {
            let advice = "see what it says: systemctl show agent.service"
            return [Check("unit.systemd", nil, .warn, "systemctl gives no answer about the units", advice: advice)]
        }
        let units = parse(output.text)
        let service = units.first { $0["Id"] == "agent.service" } ?? [:]
        return units.flatMap { judge($0) } + paths(scene).compactMap { judgeHidden($0, from: service) }
    }

    /// All files that the agent has to reach by its configuration.
    private static func paths(_ scene: Scene) -> [String] {
        let sources = scene.configuration?.sources ?? []
        let files = sources.flatMap { source in
            [source.kind == .file ? source.path : nil, source.unixSocket] + source.tls.files
        }
        let secrets = scene.references.map { reference -> String? in
            if case .file(let path) = reference.place { path } else { nil }
        }
        return (files + secrets).compactMap(\.self)
    }

    /// What root sees here, the service may not see: its unit gives it directories of its own.
    static func judgeHidden(_ path: String, from service: [String: String]) -> Check? {
        let hidden = [
            ("PrivateTmp", ["yes"], ["/tmp/", "/var/tmp/"]),
            ("ProtectHome", ["yes", "tmpfs"], ["/home/", "/root/", "/run/user/"]),
        ]
        for (property, values, directories) in hidden {
            guard let value = service[property], values.contains(value),
                let directory = directories.first(where: { path.hasPrefix($0) })
            else { continue }
            return Check(
                "unit.hidden_path",
                path,
                .fail,
                "the unit hides \(directory) from the agent (\(property)=\(value))",
                advice: "move it to /etc/agent, or: systemctl edit agent, with [Service] and \(property)=no"
            )
        }
        return nil
    }

    /// One block of `NAME=VALUE` lines for each unit, with an empty line between them.
    static func parse(_ text: String) -> [[String: String]] {
        var blocks: [[String: String]] = [[:]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                if blocks.last?.isEmpty == false { blocks.append([:]) }
            } else if let equals = line.firstIndex(of: "=") {
                blocks[blocks.count - 1][String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
        }
        return blocks.filter { !$0.isEmpty }
    }

    static func judge(_ unit: [String: String]) -> [Check] {
        let name = unit["Id"] ?? "?"
        if unit["LoadState"] != "loaded" {
            let state = unit["LoadState"] ?? "unknown"
            let advice = "install it: make install, or the package; then: systemctl daemon-reload"
            return [Check("unit.installed", name, .fail, "its unit is not there (LoadState \(state))", advice: advice)]
        }
        var checks: [Check] = []
        if unit["ActiveState"] == "failed" {
            checks.append(failed(name, result: unit["Result"] ?? "unknown"))
        }
        if name.hasSuffix(".service"), unit["UnitFileState"] != "enabled" {
            let state = unit["UnitFileState"] ?? ""
            let found = "it does not start with the host (\(state.isEmpty ? "no state" : state))"
            checks.append(Check("unit.enabled", name, .warn, found, advice: "systemctl enable \(name)"))
        }
        if let restarts = unit["NRestarts"].flatMap({ Int($0) }), restarts >= 3 {
            let found = "systemd has restarted it \(restarts) times"
            let advice =
                "see why it ended: journalctl -u \(name) -p warning; once mended: systemctl reset-failed \(name)"
            checks.append(Check("unit.restarts", name, .warn, found, advice: advice))
        }
        if unit["NeedDaemonReload"] == "yes" {
            let found = "its unit file was changed after systemd had read it"
            let advice = "systemctl daemon-reload, then: systemctl restart agent"
            checks.append(Check("unit.reload", name, .warn, found, advice: advice))
        }
        if !checks.isEmpty { return checks }
        let dropIns = unit["DropInPaths"].map { $0.isEmpty ? "" : ", changed by \($0)" } ?? ""
        let state = "\(unit["ActiveState"] ?? "unknown"), from \(unit["FragmentPath"] ?? "?")\(dropIns)"
        return [Check("unit.state", name, .ok, state)]
    }

    private static func failed(_ name: String, result: String) -> Check {
        let look = "journalctl -u \(name) -n 50"
        let advice =
            name.hasSuffix(".service")
            ? "see why: \(look); check the configuration: agentd --check-config; then: systemctl restart agent"
            : "see why: \(look); remove what lies at the socket's path, then: systemctl restart \(name) agent.service"
        return Check("unit.failed", name, .fail, "it has failed (\(result))", advice: advice)
    }
}

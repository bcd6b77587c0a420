internal import AgentAPI
internal import AgentConfiguration
internal import Glibc

/// Versions that go together, and descriptors enough.
enum VersionChecks {
    static func run(_ scene: Scene) -> [Check] {
        guard scene.isRunning else { return [] }
        var checks: [Check] = []
        if let status = scene.status {
            checks.append(judge(running: status.agent.version, installed: installed(), replaced: isReplaced(scene.pid)))
        }
        if let pid = scene.pid { checks += limits(pid, sources: scene.configuration?.sources.count ?? 1) }
        return checks
    }

    /// The agentd that a restart would start: the one beside this program, else the usual one.
    static var agentd: [String] {
        var candidates = ["/usr/bin/agentd", "/usr/local/bin/agentd"]
        if let own = link("/proc/self/exe"), let slash = own.lastIndex(of: "/") {
            candidates.insert(own[..<slash] + "/agentd", at: 0)
        }
        return candidates
    }

    /// The version of the installed agentd.
    static func installed() -> String? {
        guard let output = Command(agentd, ["--version"]).run(), output.status == 0 else { return nil }
        return output.text.split(whereSeparator: \.isWhitespace).last.map(String.init)
    }

    /// Whether the running program's file is another one by now.
    private static func isReplaced(_ pid: Int32?) -> Bool {
        pid.flatMap { link("/proc/\($0)/exe") }?.hasSuffix(" (deleted)") ?? false
    }

    private static func link(_ path: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        // SAFETY: `readlink` writes no more than the buffer holds.
        let count = bytes.withUnsafeMutableBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { buffer in
                buffer.baseAddress.map { readlink(path, $0, buffer.count) } ?? -1
            }
        }
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    static func judge(running: String, installed: String?, replaced: Bool) -> Check {
        let restart = "restart to use the installed version: systemctl restart agent"
        if let installed, installed != running {
            let found = "agentd \(running) runs, and \(installed) is installed"
            return Check("version.agentd", nil, .warn, found, advice: restart)
        }
        if replaced {
            let found = "the program of the running agent (\(running)) was replaced on disk"
            return Check("version.agentd", nil, .warn, found, advice: restart)
        }
        if running != Version.text {
            let found = "agentd is \(running), and this agentctl is \(Version.text)"
            return Check("version.agentd", nil, .warn, found, advice: "install both from the same package")
        }
        let found =
            installed == nil ? "agentd \(running) runs; none is installed where one would be" : "\(running) everywhere"
        return Check("version.agentd", nil, .ok, found)
    }

    private static func limits(_ pid: Int32, sources: Int) -> [Check] {
        guard let text = SmallFile.text("/proc/\(pid)/limits") else {
            return [Check("limit.descriptors", nil, .skip, "cannot read /proc/\(pid)/limits", advice: Doctor.asRoot)]
        }
        guard let descriptors = openFiles(in: text) else { return [] }
        return [judge(descriptors: descriptors, sources: sources)]
    }

    /// The soft limit of open files in the text of `/proc/PID/limits`.
    static func openFiles(in text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        let first = line?.dropFirst("Max open files".count).split(separator: " ").first
        return first.flatMap { $0 == "unlimited" ? .max : Int($0) }
    }

    /// Two for each source on its way, some for the agent's own, and the rest shared among the sockets' clients.
    static func judge(descriptors: Int, sources: Int) -> Check {
        let needed = 256 + 2 * min(sources, 128)
        let advice = "set LimitNOFILE=65536 in the unit: systemctl edit agent; then: systemctl restart agent"
        if descriptors < needed {
            let found =
                "it may open \(descriptors) files; with \(SystemText.plural(sources, "source")) it needs \(needed)"
            return Check("limit.descriptors", nil, .fail, found, advice: advice)
        }
        if descriptors < 1_024 {
            let found = "it may open \(descriptors) files, which leaves few for clients"
            return Check("limit.descriptors", nil, .warn, found, advice: advice)
        }
        return Check("limit.descriptors", nil, .ok, "it may open \(descriptors) files")
    }
}

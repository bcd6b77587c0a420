internal import AgentAPI

/// Where the agent's records go.
enum JournalChecks {
    static func run(_ scene: Scene) -> [Check] {
        let socket = "/run/systemd/journal/socket"
        let exists = (try? FileFacts.look(at: socket))?.kind == .socket
        return [judge(exists: exists, socket: socket)]
            + (scene.status.map { judge($0.journal).map { [$0] } ?? [] } ?? [])
    }

    static func judge(exists: Bool, socket: String) -> Check {
        if exists { return Check("journal.socket", nil, .ok, "journald takes records at \(socket)") }
        return Check(
            "journal.socket",
            nil,
            .warn,
            "there is no \(socket): records go to standard error only",
            advice: "with systemd: systemctl start systemd-journald.socket; without: keep what agentd writes to "
                + "standard error"
        )
    }

    static func judge(_ counts: JournalCounts) -> Check? {
        guard counts.dropped > 0 else { return nil }
        return Check(
            "journal.dropped",
            nil,
            .warn,
            "\(counts.dropped) records were lost because \(counts.destination.rawValue) did not keep up",
            advice: counts.destination == .journald
                ? "see whether journald is short of disk or CPU: journalctl --disk-usage; systemctl status systemd-journald"
                : "see what reads the standard error of agentd, and why it does not go on"
        )
    }
}

internal import AgentAPI
internal import Curl
internal import Glibc

/// What the host knows of the agent: its records, its units, versions and limits.
enum HostFacts {
    static func entries(pid: Int32?) -> [SupportBundle.Entry] {
        [journal(), unitProperties(), unitFiles(), versions(), limits(pid)]
    }

    private static func journal() -> SupportBundle.Entry {
        let what = "the last 2000 records of agent.service"
        var command = Command(
            ["/usr/bin/journalctl", "/bin/journalctl"],
            ["-u", "agent", "-n", "2000", "-o", "short-iso-precise", "--no-pager", "-q"]
        )
        command.timeoutMilliseconds = 20_000
        command.maxBytes = SupportBundle.maxJournal
        command.takesErrors = true
        guard let output = command.run() else {
            return SupportBundle.missing("journal.txt", what, "there is no journalctl")
        }
        var entry = SupportBundle.Entry(
            name: "journal.txt",
            what: what,
            bytes: Array(Redaction.urls(in: output.text).utf8)
        )
        if output.isCut { entry.note = "cut off after \(SystemText.size(UInt64(SupportBundle.maxJournal)))" }
        return entry
    }

    private static func unitProperties() -> SupportBundle.Entry {
        unit("systemd-show.txt", "what systemd knows of the units", ["show", "--no-pager"])
    }

    private static func unitFiles() -> SupportBundle.Entry {
        unit("systemd-cat.txt", "the units' files", ["cat", "--no-pager"])
    }

    private static func unit(_ name: String, _ what: String, _ arguments: [String]) -> SupportBundle.Entry {
        var command = Command(UnitChecks.systemctl, arguments + UnitChecks.units)
        command.takesErrors = true
        guard let output = command.run() else { return SupportBundle.missing(name, what, "there is no systemctl") }
        return SupportBundle.Entry(name: name, what: what, bytes: Array(Redaction.unit(output.text).utf8))
    }

    private static func versions() -> SupportBundle.Entry {
        let lines = [
            "agentctl: \(Version.text)",
            "agentd: \(VersionChecks.installed() ?? "none found at \(VersionChecks.agentd.joined(separator: ", "))")",
            "libcurl: \(CurlGlobal.version)",
            "kernel: \(kernel)",
            "",
            SmallFile.text("/etc/os-release") ?? "no /etc/os-release",
        ]
        return SupportBundle.Entry(
            name: "versions.txt",
            what: "the versions of programs, libraries and the system",
            bytes: Array((lines.joined(separator: "\n") + "\n").utf8)
        )
    }

    private static var kernel: String {
        var name = utsname()
        guard uname(&name) == 0 else { return "unknown" }
        let parts = [SystemText.text(name.sysname), SystemText.text(name.release), SystemText.text(name.version)]
        return (parts + [SystemText.text(name.machine)]).joined(separator: " ")
    }

    private static func limits(_ pid: Int32?) -> SupportBundle.Entry {
        let what = "the limits of the running agent"
        guard let pid else { return SupportBundle.missing("limits.txt", what, "no agent runs") }
        guard let text = SmallFile.text("/proc/\(pid)/limits") else {
            return SupportBundle.missing("limits.txt", what, "cannot read /proc/\(pid)/limits")
        }
        return SupportBundle.Entry(name: "limits.txt", what: what, bytes: Array(text.utf8))
    }
}

public import AgentAPI

/// What `agentctl reload --wait` shows.
public enum ReloadText {
    public static func render(_ report: ReloadReport) -> String {
        var lines = report.added.map { "added    \(Printable.clean($0))" }
        lines += report.removed.map { "removed  \(Printable.clean($0))" }
        lines += report.changed.map { source in
            "changed  \(Printable.clean(source.name)): \(Printable.clean(source.settings.joined(separator: ", ")))"
        }
        lines += report.settings.map { "changed  \(Printable.clean($0))" }
        if lines.isEmpty { lines = ["nothing changed"] }
        return (lines + ["in force at generation \(report.generation)"]).joined(separator: "\n") + "\n"
    }
}

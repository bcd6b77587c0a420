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
        let awaited = report.awaited.map { Printable.clean($0) }.joined(separator: ", ")
        let place = "generation \(report.generation)"
        lines.append(
            awaited.isEmpty
                ? "in force at \(place)" : "taken over; the layers of \(place) stay until \(awaited) is there"
        )
        return lines.joined(separator: "\n") + "\n"
    }
}

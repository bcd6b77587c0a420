public import AgentAPI

/// Why a key has its value.
public enum ExplainText {
    public static func render(_ report: ExplainReport, now: WireTime) -> String {
        func clean(_ json: String?) -> String { json.map { Printable.clean($0) } ?? "not there" }
        var lines = ["\(Printable.clean(report.key)) = \(clean(report.value))"]
        for owner in report.owners {
            lines.append(
                "  from source \(owner.source), layer \(owner.layer), revision \(Printable.clean(owner.revision))"
            )
        }
        if let since = report.since, let at = report.sinceAt {
            let least = report.mayBeOlder ? " or longer: nothing older is kept" : ""
            lines.append("  since generation \(since), published \(Durations.ago(at, now: now))\(least)")
        }
        if !report.mayBeOlder { lines.append("  before that: \(clean(report.before))") }
        if report.owners.count == 1, let owner = report.owners.first {
            lines.append("  without source \(owner.source): \(clean(report.without))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

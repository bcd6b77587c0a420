public import AgentAPI

/// What would become of documents: a line for each source, what is wrong with it, and what would change.
public enum TrialText {
    public static func render(_ report: TrialReport, style: TextStyle) -> String {
        var lines = report.sources.flatMap { Self.lines($0, style) }
        if !report.changes.isEmpty || report.total != 0 {
            lines += ["", DiffText.changes(report.changes, total: report.total, style: style)]
        }
        if !report.notes.isEmpty { lines += [""] + report.notes.map { "note: \(Printable.clean($0))" } }
        return lines.joined(separator: "\n") + "\n"
    }

    public static func exitStatus(_ report: TrialReport) -> ExitStatus { report.isRefused ? .failure : .success }

    private static func lines(_ info: TrialInfo, _ style: TextStyle) -> [String] {
        switch info.outcome {
        case .accepted: return ["\(info.source): \(style.paint("would be accepted", .good))"]
        case .unchanged: return ["\(info.source): is in use already"]
        case .refused:
            let stage = info.stage.map { " at \($0)" } ?? ""
            var lines = ["\(info.source): \(style.paint("would be refused", .bad))\(stage) (\(info.code ?? "?"))"]
            let reasons = info.reasons.isEmpty ? [info.message ?? ""] : info.reasons
            lines += reasons.map { "  " + Printable.clean($0) }
            if info.count > reasons.count { lines.append("  and \(info.count - reasons.count) more") }
            if let hint = info.hint { lines.append("  do: \(Printable.clean(hint))") }
            return lines
        }
    }
}

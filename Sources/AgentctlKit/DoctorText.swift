public import AgentAPI

/// What `agentctl doctor` shows.
public enum DoctorText {
    /// One line for each check, what to do below it, and a sum at the end.
    public static func render(_ report: DoctorReport, style: TextStyle) -> String {
        let widest = report.checks.map(\.id.count).max() ?? 0
        var lines: [String] = []
        for check in report.checks {
            let id = check.id + String(repeating: " ", count: widest - check.id.count)
            let result = style.paint(check.result.rawValue, tone(check.result))
            let padding = String(repeating: " ", count: 4 - check.result.rawValue.count)
            let place = check.subject.map { "\($0): " } ?? ""
            let margin = 4 + 2 + widest + 2
            let found = Wrapping.indented(place + check.found, by: margin, style: style)
            lines.append("\(result)\(padding)  \(id)  \(found.first?.dropFirst(margin) ?? "")")
            lines += found.dropFirst()
            guard let advice = check.advice else { continue }
            let remedy = Wrapping.indented(advice, by: margin + 4, style: style)
            lines.append(String(repeating: " ", count: margin) + "do: \(remedy.first?.dropFirst(margin + 4) ?? "")")
            lines += remedy.dropFirst()
        }
        lines += ["", sum(report, style)]
        return lines.joined(separator: "\n") + "\n"
    }

    /// What to exit with: a warning is no failure.
    public static func exitStatus(_ report: DoctorReport) -> ExitStatus {
        report.result == .fail ? .failure : .success
    }

    private static func sum(_ report: DoctorReport, _ style: TextStyle) -> String {
        let counts = report.counts
        let all = counts.ok + counts.warn + counts.fail + counts.skip
        var parts = ["\(counts.ok) ok"]
        if counts.warn > 0 { parts.append(style.paint("\(counts.warn) warn", .doubtful)) }
        if counts.fail > 0 { parts.append(style.paint("\(counts.fail) fail", .bad)) }
        if counts.skip > 0 { parts.append(style.paint("\(counts.skip) skipped", .faint)) }
        return "\(all) check\(all == 1 ? "" : "s"): \(parts.joined(separator: ", "))"
    }

    private static func tone(_ result: CheckResult) -> TextStyle.Tone {
        switch result {
        case .ok: .good
        case .warn: .doubtful
        case .fail: .bad
        case .skip: .faint
        }
    }
}

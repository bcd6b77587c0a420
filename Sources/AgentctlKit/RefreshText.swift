public import AgentAPI

/// What `agentctl refresh` shows.
public enum RefreshText {
    /// One line for each source, each failure with its reason, then the generation.
    public static func render(_ report: RefreshReport, style: TextStyle) -> String {
        var lines: [String] = []
        for (name, source) in report.sources.sorted(by: { $0.key < $1.key }) {
            var facts: [String] = []
            if let error = source.error { facts.append("\(error.stage)/\(error.code)") }
            if let generation = source.generation { facts.append("generation \(generation)") }
            if let revision = source.revision { facts.append("revision \(revision)") }
            let microseconds = UInt64(max(0, min(source.durationMilliseconds * 1000, 1e15)))
            facts.append("took \(Durations.microseconds(microseconds))")
            if source.folded { facts.append("shared with others") }
            let outcome = style.paint(source.outcome.rawValue, tone(source.outcome))
            let details = facts.map { Printable.clean($0) }.joined(separator: ", ")
            lines.append("\(Printable.clean(name)): \(outcome) (\(details))")
            lines += ErrorText.lines(source.error, indent: 4, style)
        }
        lines.append(report.generation == 0 ? "no generation yet" : "generation \(report.generation)")
        return lines.joined(separator: "\n") + "\n"
    }

    /// What to exit with: a failure when any source failed.
    public static func exitStatus(_ report: RefreshReport) -> ExitStatus {
        report.sources.values.contains { $0.outcome == .failed } ? .failure : .success
    }

    private static func tone(_ outcome: RefreshOutcome) -> TextStyle.Tone? {
        switch outcome {
        case .published: .good
        case .held, .unchanged: nil
        case .failed: .bad
        }
    }
}

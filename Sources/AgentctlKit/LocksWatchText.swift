public import AgentAPI

/// What `agentctl locks --watch` shows: the totals first, then what changes, over restarts of the agent.
public struct LocksWatchText {
    private var before: (report: LocksReport, at: UInt64)?
    private var isAway = false

    public init() {}

    /// The next table, and what its figures are: totals, or what has changed.
    ///
    /// - Parameter milliseconds: by a clock that is never set.
    public mutating func table(
        _ report: LocksReport,
        at milliseconds: UInt64,
        style: TextStyle
    ) -> (what: String, text: String) {
        defer { before = (report, milliseconds) }
        isAway = false
        let totals = "totals since \(report.since.forPeople)"
        guard let before else { return (totals, LocksText.render(report, histograms: false, style: style)) }
        let seconds = Double(milliseconds - min(before.at, milliseconds)) / 1_000
        let changes = LocksChanges(from: before.report, to: report, seconds: seconds)
        // What a new run has counted so far did not happen in the last interval.
        guard !changes.isRestart else {
            let table = LocksText.render(report, histograms: false, style: style)
            return (totals, "the agent has restarted and counts from the start\n" + table)
        }
        return ("changes in each second", changes.render(style: style))
    }

    /// What is said when the agent does not answer; `nil` when it was said before.
    public mutating func away(_ problem: Problem) -> String? {
        guard !isAway else { return nil }
        isAway = true
        return "the agent does not answer, asking again: \(Printable.clean(problem.message))\n"
    }
}

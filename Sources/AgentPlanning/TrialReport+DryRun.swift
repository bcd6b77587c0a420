public import AgentAPI
internal import ConfigSnapshot

extension TrialReport {
    /// What a trial has come to.
    ///
    /// - Parameter notes: what was not looked at, beyond what the trial itself knows of.
    public init(_ trial: DryRun, notes: [String] = []) {
        let diff = SnapshotDiff(from: trial.before, to: trial.after)
        var notes = notes
        if let why = trial.unknownState {
            notes.append("what is in use is not known (\(why)): all of it is shown as new")
        }
        self.init(
            sources: trial.verdicts.map { TrialInfo($0) },
            changes: diff.changes.map { KeyChange(key: $0.key, old: $0.old, new: $0.new) },
            total: diff.total,
            notes: notes
        )
    }
}

extension TrialInfo {
    fileprivate init(_ verdict: DryRun.Verdict) {
        let source = verdict.source.text
        switch verdict.outcome {
        case .accepted: self.init(source: source, outcome: .accepted)
        case .unchanged: self.init(source: source, outcome: .unchanged)
        case .refused(let failure):
            self.init(
                source: source,
                outcome: .refused,
                stage: failure.stage.rawValue,
                code: failure.code,
                message: failure.message,
                // It is not refused yet, so nobody can accept it. Where its check was not run, it has done nothing.
                hint: failure.isRefusal ? "mend the document, or the rules" : failure.hint,
                reasons: verdict.reasons,
                count: verdict.count
            )
        }
    }
}

public import AgentConfiguration
internal import ConfigGuard

extension AgentConfiguration {
    /// What is wrong with the programs that check documents, as they are now: no fault of the configuration, for they
    /// may be on another machine, or still to come.
    public var doubtfulChecks: [String] {
        sources.compactMap { source in
            source.rules.check?.problem.map { "source \(source.name): no document will pass: guard.check: \($0)" }
        }
    }
}

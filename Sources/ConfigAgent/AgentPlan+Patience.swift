internal import ConfigFetch
internal import ConfigGuard

extension AgentPlan {
    /// Nanoseconds within which every source that answers at all has been asked once, and its document gone through all
    /// stages.
    public var patience: UInt64 {
        let request = sources.map { UInt64(max(0, $0.fetch.timeoutMilliseconds)) }.max() ?? 0
        let checks = sources.compactMap(\.rules.check)
        // Some wait until others have ended.
        let rounds = (checks.count + DocumentChecks.most - 1) / DocumentChecks.most
        let check = (checks.map(\.timeoutMilliseconds).max() ?? 0) + CheckClient.slackMilliseconds
        return (request + UInt64(rounds * check) + Self.stagesMilliseconds) * 1_000_000
    }

    /// For the stages without commands.
    private static let stagesMilliseconds: UInt64 = 10_000
}

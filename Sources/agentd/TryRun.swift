internal import AgentAPI
internal import AgentConfiguration
internal import AgentPlanning
internal import AgentctlKit
internal import ConfigAgent
internal import LockLadder

/// `--check-config --try`: every source is asked once, and what would come of it is told; nothing is published or stored.
enum TryRun {
    /// - Returns: the exit status: 1 when anything would be refused.
    static func run(_ configuration: AgentConfiguration) -> Int32 {
        do throws(DryRun.Failure) {
            let plan = AgentPlan(configuration)
            let deadline = MonotonicTime.now.advanced(byNanoseconds: plan.patience)
            let report = TrialReport(try DryRun.run(plan, until: deadline))
            print(TrialText.render(report, style: TextStyle()), terminator: "")
            return TrialText.exitStatus(report).rawValue
        } catch {
            Process.complain("\(error)")
            return 1
        }
    }
}

internal import AgentAPI
internal import AgentPlanning
internal import AgentTelemetry
internal import ConfigAgent

/// Sees to it that checks of documents have a place to be run, where no unit of systemd is that: for the main thread.
final class CheckKeeper {
    private let socket: String
    private let runtimeDirectory: String
    private let journal: Journal
    private let hasUnits: Bool
    private var helper: CheckHelper?
    /// What was told last.
    private var problem: String?

    /// - Parameter hasUnits: whether systemd has given the agent its sockets: then it has one for checks, too.
    init(_ plan: AgentPlan, _ paths: AgentPaths, _ journal: Journal, hasUnits: Bool) {
        socket = paths.checkSocket
        runtimeDirectory = paths.runtimeDirectory
        self.journal = journal
        self.hasUnits = hasUnits
        keep(plan)
    }

    /// Starts the helper where one is needed and none is there.
    func keep(_ plan: AgentPlan) {
        guard !hasUnits, plan.hasChecks, helper?.isRunning != true else { return }
        do throws(CheckHelper.Failure) {
            helper = try CheckHelper(socket: socket, hiding: [plan.stateDirectory, runtimeDirectory])
            problem = nil
        } catch {
            guard problem != error.description else { return }
            problem = error.description
            let event = [("AGENT_EVENT", "checks_unavailable"), ("AGENT_STAGE", "guard")]
            journal.log(JournalRecord(.error, nil, "documents cannot be checked by commands: \(error)", event))
        }
    }

    func stop() { helper?.stop() }
}

internal import AgentAPI
internal import AgentConfiguration
internal import AgentPlanning
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder

/// `--once`: every source is asked once and the stored copies are brought up to date; no sockets, no polling.
enum OnceRun {
    static let unchanged: Int32 = 0
    static let failed: Int32 = 1
    static let changed: Int32 = 2

    /// - Returns: the exit status.
    static func run(_ configuration: AgentConfiguration, journal: Journal) -> Int32 {
        let lock: InstanceLock?
        do throws(InstanceLocks.Refusal) {
            lock = try InstanceLocks.takeState(configuration)
        } catch {
            Process.complain("\(error.message)")
            return failed
        }
        defer { withExtendedLifetime(lock) {} }
        guard journal.start() else { return failed }
        defer { journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 1_000_000_000)) }
        do throws(Agent.StartError) {
            var plan = AgentPlan(configuration)
            // Not in the runtime directory, which may be another agent's.
            let helper = checker(for: &plan, configuration)
            defer { helper?.stop() }
            let agent = try Agent(plan) { journal.log(EventRecords.record($0)) }
            return try ask(agent)
        } catch {
            Process.complain("cannot start: \(error)")
            return failed
        }
    }

    private static func checker(for plan: inout AgentPlan, _ configuration: AgentConfiguration) -> CheckHelper? {
        do throws(CheckHelper.Failure) {
            let directory = configuration.stateDirectory
            return try CheckHelper.serve(&plan, in: directory, hiding: [configuration.runtimeDirectory])
        } catch {
            Process.complain("cannot run checks: \(error)")
            return nil
        }
    }

    private static func ask(_ agent: Agent) throws(Agent.StartError) -> Int32 {
        let before = try agent.start()
        let failures = Mutex("once.failures", [String]())
        let isDone = WakeSignal()
        // What is loaded on demand nobody has asked for here.
        let left = Mutex("once.left", agent.plan.layers.count)
        if agent.plan.layers.isEmpty { isDone.raise() }
        for source in agent.plan.layers {
            let name = source.fetch.name
            let done: @Sendable (String?) -> Void = { failure in
                if let failure { failures.withLock { $0.append("source \(name): \(failure)") } }
                let isLast = left.withLock { left in
                    left -= 1
                    return left == 0
                }
                if isLast { isDone.raise() }
            }
            do throws(Fetcher.Flights.Refusal) {
                // Any flight will do: the agent's own first poll is one.
                _ = try agent.fetch(name, .shared) { done($0.failure.map { "\($0)" }) }
            } catch {
                done("\(error)")
            }
        }
        let answered = isDone.wait(until: MonotonicTime.now.advanced(byNanoseconds: agent.plan.patience))
        let ended = agent.stop(until: MonotonicTime.now.advanced(byNanoseconds: 30_000_000_000))
        var problems = failures.withLock { $0 }
        if !answered { problems.append("not every source answered in time") }
        if !ended { problems.append("not everything ended in time") }
        if let failure = agent.storeState.failure { problems.append("\(failure.error)") }
        if agent.publisher.generation == 0 { problems.append("there is no configuration") }
        guard problems.isEmpty else {
            for problem in problems { Process.complain("\(problem)") }
            return failed
        }
        let after = agent.publisher.digest
        print(after == before ? "unchanged" : "changed", "digest=\(after.short)")
        return after == before ? unchanged : changed
    }
}

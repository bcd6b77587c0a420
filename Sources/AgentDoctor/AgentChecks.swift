internal import AgentAPI
internal import Curl

/// The agent itself: does it run, does it answer, and what does it say?
enum AgentChecks {
    static func run(_ scene: Scene) -> [Check] {
        let running = running(scene)
        guard scene.isRunning else { return [running] }
        return [running, answers(scene)] + (scene.status.map { health($0.health) } ?? [])
            + (scene.status.flatMap { sameConfiguration($0, scene) }.map { [$0] } ?? [])
    }

    private static func running(_ scene: Scene) -> Check {
        let file = scene.paths.lockFile
        switch scene.probe {
        case .held(let pid):
            return Check("agent.running", nil, .ok, "the agent runs\(pid.map { " as process \($0)" } ?? "")")
        case .free, .missing:
            return Check(
                "agent.running",
                nil,
                .fail,
                "the agent is not running (nobody holds \(file))",
                advice: "start it: systemctl start agent; if it does not stay up: journalctl -u agent"
            )
        case .noPermission:
            return Check("agent.running", nil, .skip, "no permission to read \(file)", advice: Doctor.asRoot)
        case .failed(let operation, let code):
            return Check(
                "agent.running",
                nil,
                .fail,
                "cannot tell whether it runs: \(operation) of \(file): \(SystemText.error(code))",
                advice: "see whether the file system of \(scene.paths.runtimeDirectory) is in order"
            )
        }
    }

    private static func answers(_ scene: Scene) -> Check {
        let socket = scene.paths.statusSocket
        let look =
            "its threads may wait for a lock: agentctl locks, and journalctl -u agent AGENT_EVENT=lock_stuck; if not, look "
            + "at its other records: journalctl -u agent; if there is no reason in them: systemctl restart agent"
        switch scene.health {
        case .success(let status)?:
            guard scene.status != nil else {
                return Check(
                    "agent.answers",
                    nil,
                    .fail,
                    "its answer to \(Routes.status) makes no sense to agentctl \(Version.text)",
                    advice: "see whether agentd has the same version: agentd --version"
                )
            }
            let word = status == 200 ? "yes" : "status \(status)"
            return Check("agent.answers", nil, .ok, "it answers at \(socket); \(Routes.healthz) says \(word)")
        case .failure(.noPermission)?:
            return Check("agent.answers", nil, .skip, "no permission to use \(socket)", advice: Doctor.asRoot)
        case .failure(let failure)?:
            return Check("agent.answers", nil, .fail, "\(words(failure)) at \(socket)", advice: look)
        case nil:
            return Check("agent.answers", nil, .skip, "it was not asked")
        }
    }

    static func words(_ failure: LocalClient.Failure) -> String {
        switch failure {
        case .noSuchSocket: "there is no socket"
        case .refused: "nobody listens"
        case .noPermission: "no permission"
        case .timeout: "no answer in time"
        case .tooLarge: "too large an answer"
        case .hungUp(let text), .other(let text): text
        }
    }

    /// Each of the agent's own reasons becomes a check of its own.
    static func health(_ health: HealthState) -> [Check] {
        guard !health.reasons.isEmpty else {
            return [Check("agent.health", nil, .ok, "the agent calls itself healthy")]
        }
        return health.reasons.map { reason in
            let isFatal = health.level == .failed && reason.source == nil
            return Check(
                "agent.health",
                reason.source.map { "source \($0)" },
                isFatal ? .fail : .warn,
                reason.message,
                advice: advice(for: reason)
            )
        }
    }

    private static func advice(for reason: HealthReason) -> String {
        switch reason.code {
        case "no_snapshot": "see the checks of the sources below: each required one has to give a document once"
        case "not_durable": "see the checks of state_dir below; what is served is right, but not on disk"
        case "settings_refused": "mend what it names: it is taken up by itself"
        case "no_group_socket":
            "make the group, or let the agent's user be in it: systemctl edit agent; then systemctl restart agent"
        case "worker_behind":
            "look at the records: journalctl -u agent; restart it if it stays: systemctl restart agent"
        case "pinned": "if it is not meant to be so any more: agentctl unpin"
        case "frozen": "if it is not meant to be so any more: agentctl thaw"
        case "source_expired": "sign the document anew, with agentctl sign; then: agentctl refresh"
        case "source_distrusted": "sign the document with trusted keys, with agentctl sign; then: agentctl refresh"
        default: "see the checks of this source below; once it answers well: agentctl refresh"
        }
    }

    private static func sameConfiguration(_ status: StatusReport, _ scene: Scene) -> Check? {
        let inUse = status.agent.configFile
        // A path that is not absolute was meant from where the agent was started.
        guard inUse.hasPrefix("/"), !FileFacts.areSame(inUse, scene.options.configuration) else { return nil }
        return Check(
            "config.in_use",
            nil,
            .warn,
            "the running agent was started with \(inUse), and this looked at \(scene.options.configuration)",
            advice: "look at the same one: agentctl doctor --config \(inUse)"
        )
    }
}

internal import AgentAPI
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import NIOCore
internal import NIOHTTP1

/// `GET /v1/wait` on the status socket: answered once a generation is in use, or each source has confirmed what is.
struct WaitRoute {
    let agent: Agent
    let loop: any EventLoop
    let health: @Sendable () -> HealthReport

    private static let interval = TimeAmount.milliseconds(50)

    private enum Goal {
        case generation(UInt64)
        /// All that is in use is confirmed, from this moment on: nanoseconds since 1970.
        case fresh(Int64)
    }

    func answer(_ request: LocalRequest) -> LocalAnswer {
        let (range, usual) = Routes.waitTimeout
        guard let seconds = request.query["timeout"].map({ Int($0) }) ?? usual, range.contains(seconds) else {
            let bounds = "\(range.lowerBound) to \(range.upperBound)"
            return .now(
                .error(.badRequest, "bad_timeout", "timeout has to be a whole number of seconds from \(bounds)")
            )
        }
        let goal: Goal
        switch (request.query["generation"], request.query["fresh"]) {
        case (let text?, nil):
            guard let generation = UInt64(text) else {
                return .now(.error(.badRequest, "bad_generation", "generation is '\(text)'; it has to be a number"))
            }
            goal = .generation(generation)
        case (nil, "true"): goal = .fresh(WallClock.nowNanoseconds)
        default:
            return .now(
                .error(.badRequest, "bad_wait", "give what is to be waited for: generation=N or fresh=true")
            )
        }
        return wait(goal, seconds: seconds)
    }

    private func wait(_ goal: Goal, seconds: Int) -> LocalAnswer {
        if lacks(goal) == nil { return .now(.json(health())) }
        let answer = NIOLoopBound(LateAnswer(loop), eventLoop: loop)
        let deadline = NIODeadline.now() + .seconds(Int64(seconds))
        let route = self
        // Looked at again and again, on this worker's loop: a look is a few loads.
        let task = loop.scheduleRepeatedTask(initialDelay: Self.interval, delay: Self.interval) { task in
            let lacking = route.lacks(goal)
            guard lacking == nil || NIODeadline.now() >= deadline else { return }
            task.cancel()
            answer.value.keep(lacking.map { Self.late(route.inDetail(goal) ?? $0, seconds) } ?? .json(route.health()))
        }
        return .later(answer.value.future) {
            task.cancel()
            answer.value.keep(Self.late("nobody waits any more", seconds))
        }
    }

    /// What is still to come, in words; `nil` once nothing is.
    private func lacks(_ goal: Goal) -> String? {
        switch goal {
        case .generation(let wanted):
            let newest = agent.publisher.generation
            return newest >= wanted ? nil : "the newest generation is \(newest)"
        case .fresh(let since):
            return agent.areConfirmed(since: since) ? nil : "not all is confirmed"
        }
    }

    private func inDetail(_ goal: Goal) -> String? {
        guard case .fresh(let since) = goal else { return nil }
        return "not confirmed: " + agent.unconfirmed(since: since).map(\.text).joined(separator: ", ")
    }

    private static func late(_ lacking: String, _ seconds: Int) -> LocalResponse {
        .error(
            .gatewayTimeout,
            "deadline",
            "what is waited for has not come within \(seconds) s: \(lacking)",
            hint: "see agentctl status; agentctl refresh asks the sources at once"
        )
    }
}

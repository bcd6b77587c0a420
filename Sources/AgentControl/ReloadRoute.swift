internal import AgentAPI
internal import NIOCore
internal import NIOHTTP1

/// `POST /v1/reload`: has the agent read its own configuration anew, and waits for what comes of it.
enum ReloadRoute {
    /// A little less than agentctl waits, so that it hears why.
    private static let deadline = TimeAmount.seconds(55)

    /// - Parameter request: with `wait=false` it is answered at once.
    static func answer(
        _ request: LocalRequest,
        _ reload: ControlServer.Reload?,
        _ loop: any EventLoop
    ) -> LocalAnswer {
        guard let reload else {
            return .now(.error(.notImplemented, "no_reload", "this agent has no configuration to reload"))
        }
        guard request.query["wait"] != "false" else {
            reload { _ in }
            return .now(LocalResponse(.accepted, body: Array("{}\n".utf8)))
        }
        let answer = NIOLoopBound(LateAnswer(loop), eventLoop: loop)
        let timeout = loop.scheduleTask(in: deadline) { answer.value.keep(late) }
        reload { result in
            loop.execute {
                timeout.cancel()
                switch result {
                case .success(let report): answer.value.keep(.json(report))
                case .failure(let refusal):
                    answer.value.keep(.json(ErrorReport(error: refusal.error), status: .unprocessableEntity))
                }
            }
        }
        return .later(answer.value.future, abandon: {})
    }

    private static var late: LocalResponse {
        .error(
            .gatewayTimeout,
            "deadline",
            "the reload was not over within 55 s; it goes on",
            hint: "see what came of it: journalctl -u agent"
        )
    }
}

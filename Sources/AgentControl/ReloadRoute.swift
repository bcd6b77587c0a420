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
        let collector = NIOLoopBound(Collector(loop), eventLoop: loop)
        let timeout = loop.scheduleTask(in: deadline) { collector.value.giveUp() }
        reload { result in
            loop.execute {
                timeout.cancel()
                collector.value.got(result)
            }
        }
        return .later(collector.value.promise.futureResult, abandon: {})
    }

    /// Keeps the promise once.
    private final class Collector {
        let promise: EventLoopPromise<LocalResponse>
        private var isKept = false

        init(_ loop: any EventLoop) { promise = loop.makePromise() }

        func got(_ result: Result<ReloadReport, ControlServer.ReloadRefusal>) {
            switch result {
            case .success(let report): keep(.json(report))
            case .failure(let refusal):
                keep(.json(ErrorReport(error: refusal.error), status: .unprocessableEntity))
            }
        }

        func giveUp() {
            keep(
                .error(
                    .gatewayTimeout,
                    "deadline",
                    "the reload was not over within 55 s; it goes on",
                    hint: "see what came of it: journalctl -u agent"
                )
            )
        }

        private func keep(_ response: LocalResponse) {
            if isKept { return }
            isKept = true
            promise.succeed(response)
        }
    }
}

internal import AgentAPI
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// Which request goes where, for the socket that it came in by.
struct Router {
    let right: Right
    let worker: Worker
    let reports: ReportBuilder
    let agent: Agent

    func answer(_ request: LocalRequest) -> LocalAnswer {
        switch right {
        case .status: .now(status(request))
        case .config: config(request)
        case .control: control(request)
        }
    }

    // MARK: status.sock

    private func status(_ request: LocalRequest) -> LocalResponse {
        guard Self.isRead(request) else { return Self.wrongMethod(request, allowed: "GET, HEAD") }
        switch request.path {
        case Routes.status: return .json(reports.status(worker))
        case Routes.locks: return .json(reports.locks())
        case Routes.sources: return .json(reports.sources())
        case Routes.metrics:
            let text = MetricsText.render(reports.status(worker), reports.sources())
            return LocalResponse(.ok, body: Array(text.utf8), contentType: "text/plain; version=0.0.4; charset=utf-8")
        case Routes.healthz:
            let report = reports.health()
            return .json(report, status: report.status == .failed ? .serviceUnavailable : .ok)
        case Routes.readyz:
            let report = reports.readiness()
            return .json(report, status: report.status == .ok ? .ok : .serviceUnavailable)
        default: return unknownPath(request)
        }
    }

    // MARK: config.sock

    private func config(_ request: LocalRequest) -> LocalAnswer {
        // By bytes: a key may begin with a mark that makes one character with the slash before it.
        let path = request.path.utf8
        guard path.elementsEqual(Routes.config.utf8) || path.starts(with: (Routes.config + "/").utf8) else {
            return .now(unknownPath(request))
        }
        guard Self.isRead(request) else { return .now(Self.wrongMethod(request, allowed: "GET, HEAD")) }
        let key = String(decoding: path.dropFirst(Routes.config.utf8.count + 1), as: UTF8.self)
        let ifNoneMatch = request.headers.first(name: "If-None-Match")
        let worker = worker
        guard let wanted = request.query["max_age"] else {
            return .now(ValueRoute.read(key, ifNoneMatch: ifNoneMatch, worker))
        }
        guard let seconds = Int(wanted), seconds >= 1 else {
            return .now(
                .error(
                    .badRequest,
                    "bad_max_age",
                    "max_age is '\(wanted)'; it has to be a whole number of seconds, at least 1",
                    hint: "for a value requested from now on, use POST \(Routes.refresh) first"
                )
            )
        }
        let old = reports.unconfirmed(forSeconds: seconds)
        if old.isEmpty { return .now(ValueRoute.read(key, ifNoneMatch: ifNoneMatch, worker)) }
        // A source that fails is left in peace until its next try: reads must not become its load.
        if let failing = old.first(where: \.isBackingOff) { return .now(Self.notConfirmed([failing.name.text])) }
        let collector = RefreshCollector(agent: agent, loop: worker.loop, reports: reports)
        let done = collector.start(old.map(\.name), freshness: .shared).map { report in
            let failed = report.sources.filter { $0.value.outcome == .failed }.keys.sorted()
            return failed.isEmpty
                ? ValueRoute.read(key, ifNoneMatch: ifNoneMatch, worker) : Self.notConfirmed(failed)
        }
        return .later(done, abandon: { collector.abandon() })
    }

    /// Whoever asks for a confirmed value is not given another one in silence.
    private static func notConfirmed(_ sources: [String]) -> LocalResponse {
        .error(
            .serviceUnavailable,
            "not_confirmed",
            "the value could not be confirmed: \(sources.joined(separator: ", ")) \(sources.count == 1 ? "fails" : "fail")",
            hint: "without max_age the last good value is answered; see agentctl status"
        )
    }

    // MARK: control.sock

    private func control(_ request: LocalRequest) -> LocalAnswer {
        guard request.path == Routes.refresh else { return .now(unknownPath(request)) }
        guard request.method == .POST else { return .now(Self.wrongMethod(request, allowed: "POST")) }
        var names = agent.plan.sources.map(\.fetch.name)
        if let wanted = request.query["source"] {
            guard let name = names.first(where: { $0.text == wanted }) else {
                let nearest = NearestKeys.nearest(to: wanted, among: names.map(\.text), limit: 3)
                return .now(
                    .error(
                        .notFound,
                        "unknown_source",
                        "there is no source '\(wanted)'",
                        hint: "the sources are: \(names.map(\.text).joined(separator: ", "))",
                        nearest: nearest
                    )
                )
            }
            names = [name]
        }
        let collector = RefreshCollector(agent: agent, loop: worker.loop, reports: reports)
        let done = collector.start(names, freshness: .requestedAfterNow).map { LocalResponse.json($0) }
        return .later(done, abandon: { collector.abandon() })
    }

    // MARK: Errors

    private static func isRead(_ request: LocalRequest) -> Bool { request.method == .GET || request.method == .HEAD }

    private static func wrongMethod(_ request: LocalRequest, allowed: String) -> LocalResponse {
        var response = LocalResponse.error(
            .methodNotAllowed,
            "method_not_allowed",
            "\(request.path) does not take \(request.method.rawValue)",
            hint: "it takes \(allowed)"
        )
        response.headers.append(("Allow", allowed))
        return response
    }

    private func unknownPath(_ request: LocalRequest) -> LocalResponse {
        let elsewhere: [(Right, [String])] = [
            (.status, [Routes.status, Routes.locks, Routes.sources, Routes.metrics, Routes.healthz, Routes.readyz]),
            (.config, [Routes.config]),
            (.control, [Routes.refresh]),
        ]
        for (other, paths) in elsewhere where other != right {
            if paths.contains(where: { request.path == $0 || request.path.hasPrefix($0 + "/") }) {
                return .error(
                    .notFound,
                    "wrong_socket",
                    "\(request.path) is not answered on \(right.rawValue).sock",
                    hint: "ask on \(other.rawValue).sock"
                )
            }
        }
        let mine = elsewhere.first { $0.0 == right }?.1 ?? []
        return .error(
            .notFound,
            "unknown_path",
            "there is no \(request.path) here",
            hint: "\(right.rawValue).sock answers \(mine.joined(separator: ", "))",
            nearest: NearestKeys.nearest(to: request.path, among: mine, limit: 1)
        )
    }
}

internal import AgentAPI
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// Which request goes where, for the socket that it came in by.
struct Router {
    let right: Right
    /// Of the config socket: the group whose own it is; `nil` for everybody's.
    let group: String?
    let worker: Worker
    let reports: ReportBuilder
    let agent: Agent
    let peer: PeerProcess
    let reload: ControlServer.Reload?

    func answer(_ request: LocalRequest) -> LocalAnswer {
        switch right {
        case .status: slowStatus(request) ?? .now(status(request))
        case .config: config(request)
        case .control: control(request)
        }
    }

    // MARK: status.sock

    private func status(_ request: LocalRequest) -> LocalResponse {
        if let elsewhere = wrongSocket(request) { return elsewhere }
        guard Self.isRead(request) else { return Self.wrongMethod(request, allowed: "GET, HEAD") }
        switch request.path {
        case Routes.status: return .json(reports.status(worker))
        case Routes.locks: return .json(reports.locks())
        case Routes.sources: return .json(reports.sources())
        case Routes.metrics:
            let text = MetricsText.render(
                reports.status(worker),
                reports.sources(),
                eventsEncoded: reports.eventsEncoded,
                liveSnapshots: reports.liveSnapshots
            )
            return LocalResponse(.ok, body: Array(text.utf8), contentType: PrometheusText.contentType)
        case Routes.healthz:
            let report = reports.health()
            return .json(report, status: report.status == .failed ? .serviceUnavailable : .ok)
        case Routes.readyz:
            let report = reports.readiness()
            return .json(report, status: report.status == .ok ? .ok : .serviceUnavailable)
        default: return unknownPath(request)
        }
    }

    /// What takes a while; `nil` for another path.
    private func slowStatus(_ request: LocalRequest) -> LocalAnswer? {
        guard [Routes.wait, Routes.history, Routes.quarantine].contains(request.path) else { return nil }
        guard Self.isRead(request) else { return .now(Self.wrongMethod(request, allowed: "GET, HEAD")) }
        let agent = agent
        if request.path == Routes.history { return SlowAnswer.make(worker.loop) { _ in .json(HistoryReport(agent)) } }
        if request.path == Routes.quarantine { return .now(.json(QuarantineReport(agent.quarantined))) }
        return WaitRoute(agent: agent, loop: worker.loop, health: { [reports] in reports.health() }).answer(request)
    }

    // MARK: config.sock

    private func config(_ request: LocalRequest) -> LocalAnswer {
        if group == nil, let key = Self.key(in: request, after: Routes.watch) { return watch(request, key) }
        if let target = Self.key(in: request, after: Routes.documents) {
            guard Self.isRead(request) else { return .now(Self.wrongMethod(request, allowed: "GET, HEAD")) }
            return DocumentRoute(agent: agent, worker: worker, group: group).answer(request, target)
        }
        guard group == nil else { return .now(unknownPath(request)) }
        if let answer = history(request) { return answer }
        guard let keyBytes = Self.key(in: request, after: Routes.config) else { return .now(unknownPath(request)) }
        guard Self.isRead(request) else { return .now(Self.wrongMethod(request, allowed: "GET, HEAD")) }
        let key = String(decoding: keyBytes, as: UTF8.self)
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
        let limit = ReportBuilder.time(secondsAgo: seconds)
        let old = reports.unconfirmed(since: limit)
        if old.isEmpty { return .now(Self.once(ValueRoute.read(key, ifNoneMatch: ifNoneMatch, worker))) }
        // A source that fails is left in peace until its next try: reads must not become its load.
        if let failing = old.first(where: \.isBackingOff) { return .now(Self.notConfirmed(failing: [failing.name])) }
        let collector = RefreshCollector(agent: agent, loop: worker.loop, reports: reports)
        let agent = agent
        let done = collector.start(old.map(\.name), freshness: .shared).map { report in
            // Whatever came of asking: a source that answers may still say otherwise than what is in use.
            let left = agent.unconfirmed(since: limit)
            let failing = left.filter { report.sources[$0.text]?.outcome == .failed }
            if !failing.isEmpty { return Self.notConfirmed(failing: failing) }
            return left.isEmpty ? ValueRoute.read(key, ifNoneMatch: ifNoneMatch, worker) : Self.contradicted(by: left)
        }
        return .later(done.map { Self.once($0) }, abandon: { collector.abandon() })
    }

    /// - Returns: `nil` for another path.
    private func history(_ request: LocalRequest) -> LocalAnswer? {
        let generation = Self.key(in: request, after: Routes.generations)
        let key = Self.key(in: request, after: Routes.explain)
        guard generation != nil || key != nil || request.path == Routes.diff else { return nil }
        guard Self.isRead(request) else { return .now(Self.wrongMethod(request, allowed: "GET, HEAD")) }
        let route = HistoryRoute(agent: agent, loop: worker.loop)
        return generation.map { route.show($0) } ?? key.map { route.explain($0) } ?? route.diff(request)
    }

    /// With `max_age` an answer depends on the time, too.
    private static func once(_ response: LocalResponse) -> LocalResponse {
        var response = response
        response.ofGeneration = nil
        return response
    }

    /// The key that follows `route` in the path, none for the route itself; `nil` for another path.
    private static func key(in request: LocalRequest, after route: String) -> [UInt8]? {
        // By bytes: a key may begin with a mark that makes one character with the slash before it.
        let path = request.path.utf8
        guard path.elementsEqual(route.utf8) || path.starts(with: (route + "/").utf8) else { return nil }
        return Array(path.dropFirst(route.utf8.count + 1))
    }

    private func watch(_ request: LocalRequest, _ key: [UInt8]) -> LocalAnswer {
        guard request.method == .GET else { return .now(Self.wrongMethod(request, allowed: "GET")) }
        let prefix = request.query["prefix"].map { Array($0.utf8) }
        if prefix != nil, !key.isEmpty {
            return .now(
                .error(
                    .badRequest,
                    "bad_watch",
                    "a key in the path and a prefix do not go together",
                    hint: "\(Routes.watch)/KEY tells of one value, \(Routes.watch)?prefix=KEY of all keys below one"
                )
            )
        }
        let wanted = prefix ?? key
        guard wanted.isEmpty || DottedKey.split(wanted) != nil else {
            return .now(
                .error(
                    .badRequest,
                    "bad_key",
                    "'\(String(decoding: wanted, as: UTF8.self))' is not a key",
                    hint: "a name that holds a dot or a quote is written in quotes: a.\"b.c\""
                )
            )
        }
        let topic = WatchTopic(form: key.isEmpty ? .changes : .value, key: wanted)
        return .watch(topic, known: request.headers.first(name: "Last-Event-ID").flatMap { UInt64($0) })
    }

    /// Whoever asks for a confirmed value is not given another one in silence.
    private static func notConfirmed(failing sources: [SourceName]) -> LocalResponse {
        notConfirmed("\(list(sources)) \(sources.count == 1 ? "fails" : "fail")")
    }

    private static func contradicted(by sources: [SourceName]) -> LocalResponse {
        notConfirmed("what \(list(sources)) \(sources.count == 1 ? "says" : "say") is not what is in use")
    }

    private static func list(_ sources: [SourceName]) -> String {
        sources.map(\.text).sorted().joined(separator: ", ")
    }

    private static func notConfirmed(_ why: String) -> LocalResponse {
        .error(
            .serviceUnavailable,
            "not_confirmed",
            "the value could not be confirmed: \(why)",
            hint: "without max_age the last good value is answered; see agentctl status"
        )
    }

    // MARK: control.sock

    private func control(_ request: LocalRequest) -> LocalAnswer {
        guard Self.controlPaths.contains(request.path) else { return .now(unknownPath(request)) }
        guard request.method == .POST else { return .now(Self.wrongMethod(request, allowed: "POST")) }
        let operatorRoute = OperatorRoute(agent: agent, loop: worker.loop, peer: peer)
        if let answer = operatorRoute.answer(request) { return answer }
        if request.path == Routes.accept { return operatorRoute.accept(request) }
        if let refusal = OperatorRoute.badReason(request) { return .now(refusal) }
        if request.path == Routes.refresh {
            return refresh(request) { operatorRoute.note($0, reason: OperatorRoute.reason(request), refusal: $1) }
        }
        return ReloadRoute.answer(request, reload.map { told($0, operatorRoute, request) }, worker.loop)
    }

    /// A reload of which it is told what has become of it.
    private func told(
        _ reload: @escaping ControlServer.Reload,
        _ route: OperatorRoute,
        _ request: LocalRequest
    ) -> ControlServer.Reload {
        let (note, reason) = (route.note, OperatorRoute.reason(request))
        return { deliver in
            reload { result in
                var refusal: String?
                if case .failure(let why) = result { refusal = why.error.message }
                note(.reload, reason, refusal)
                deliver(result)
            }
        }
    }

    private static let controlPaths = [
        Routes.refresh, Routes.reload, Routes.rollback, Routes.pin, Routes.unpin, Routes.freeze, Routes.thaw,
        Routes.accept,
    ]

    /// - Parameter note: told what becomes of it.
    private func refresh(
        _ request: LocalRequest,
        _ note: (_ action: OperatorAction, _ refusal: String?) -> Void
    ) -> LocalAnswer {
        let action = OperatorAction.refresh(request.query["source"])
        if let freeze = agent.operatorState.freeze {
            let message = "the sources are frozen by \(freeze.by.name)" + (freeze.reason.map { ": \($0)" } ?? "")
            note(action, message)
            return .now(.error(.conflict, "frozen", message, hint: "to have them asked again: agentctl thaw"))
        }
        // What nobody has asked for lately is nobody's worry: it is loaded anew for the next who reads it.
        guard let wanted = request.query["source"] else {
            note(action, nil)
            return refresh(agent.awake)
        }
        let names = agent.plan.sources.map(\.fetch.name)
        if let name = names.first(where: { $0.text == wanted }) {
            note(action, nil)
            return refresh([name])
        }
        note(action, "there is no source '\(wanted)'")
        return .now(
            .error(
                .notFound,
                "unknown_source",
                "there is no source '\(wanted)'",
                hint: "the sources are: \(names.map(\.text).joined(separator: ", "))",
                nearest: NearestKeys.nearest(to: wanted, among: names.map(\.text), limit: 3)
            )
        )
    }

    private func refresh(_ sources: [SourceName]) -> LocalAnswer {
        let collector = RefreshCollector(agent: agent, loop: worker.loop, reports: reports)
        let done = collector.start(sources, freshness: .requestedAfterNow).map { LocalResponse.json($0) }
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

    private static let paths: [(right: Right, paths: [String])] = [
        (
            .status,
            [
                Routes.status, Routes.locks, Routes.sources, Routes.history, Routes.wait, Routes.quarantine,
                Routes.metrics, Routes.healthz, Routes.readyz,
            ]
        ),
        (
            .config,
            [Routes.config, Routes.watch, Routes.documents, Routes.generations, Routes.diff, Routes.explain]
        ),
        (.control, controlPaths),
    ]

    /// - Returns: `nil` for a path that no other socket answers.
    private func wrongSocket(_ request: LocalRequest) -> LocalResponse? {
        for (other, paths) in Self.paths where other != right {
            if paths.contains(where: { request.path == $0 || request.path.hasPrefix($0 + "/") }) {
                return .error(
                    .notFound,
                    "wrong_socket",
                    "\(request.path) is not answered on \(right.rawValue).sock",
                    hint: "ask on \(other.rawValue).sock"
                )
            }
        }
        return nil
    }

    private func unknownPath(_ request: LocalRequest) -> LocalResponse {
        if let elsewhere = wrongSocket(request) { return elsewhere }
        let mine = Self.paths.first { $0.right == right }?.paths ?? []
        return .error(
            .notFound,
            "unknown_path",
            "there is no \(request.path) here",
            hint: "\(right.rawValue).sock answers \(mine.joined(separator: ", "))",
            nearest: NearestKeys.nearest(to: request.path, among: mine, limit: 1)
        )
    }
}

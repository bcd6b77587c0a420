internal import AgentAPI
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// `GET /v1/documents/SOURCE[/KEY]`: a value out of the document of a source that is loaded on demand, as JSON.
///
/// A document that is in use is answered at once. Else the request waits for the load, as long as `wait` says, and shares
/// it with all who wait for the same document.
struct DocumentRoute {
    let agent: Agent
    let worker: Worker
    /// The group at whose own socket it is asked; `nil` at everybody's.
    let group: String?

    /// - Parameter target: what follows the route in the path.
    func answer(_ request: LocalRequest, _ target: [UInt8]) -> LocalAnswer {
        let parts = target.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        let text = String(decoding: parts.first ?? [], as: UTF8.self)
        let key = parts.count > 1 ? String(decoding: parts[1], as: UTF8.self) : ""
        let wanted = request.query["wait"]
        guard let seconds = wanted.map({ Int($0) }) ?? Routes.documentWait.usual,
            Routes.documentWait.range.contains(seconds)
        else {
            return .now(Self.badWait(wanted ?? ""))
        }
        let ifNoneMatch = request.headers.first(name: "If-None-Match")
        if let name = SourceName(text), let refusal = refusal(of: name) { return .now(refusal) }
        if let name = SourceName(text), let document = agent.documents.cached(name) {
            return .now(read(key, in: document, ifNoneMatch))
        }
        guard let source = agent.plan.sources.first(where: { $0.fetch.name.text == text }) else {
            return .now(unknown(text))
        }
        guard source.fetch.isOnDemand else { return .now(Self.isLayer(text, key)) }
        return load(source.fetch.name, key, ifNoneMatch, seconds: seconds)
    }

    /// Who asks at the wrong socket for a document that only some may read, or that all may.
    private func refusal(of source: SourceName) -> LocalResponse? {
        let readers = agent.readers[source]
        guard readers != group else { return nil }
        let place = readers.map { "config.\($0).sock" } ?? "config.sock"
        let whose = readers.map { "only for members of group '\($0)'" } ?? "not at the socket of a group"
        return .error(
            .forbidden,
            "not_permitted",
            "the document of '\(source)' is read \(whose)",
            hint: "ask at \(place)" + (readers.map { ": agentctl get --source \(source) --group \($0)" } ?? "")
        )
    }

    private func load(_ source: SourceName, _ key: String, _ ifNoneMatch: String?, seconds: Int) -> LocalAnswer {
        let documents = agent.documents
        let deadline = MonotonicTime.now.advanced(byNanoseconds: UInt64(seconds) * 1_000_000_000)
        let loop = worker.loop
        let bound = NIOLoopBound((route: self, answer: LateAnswer(loop)), eventLoop: loop)
        let task = Task {
            let result: Result<OnDemandDocuments.Document, any Error>
            do { result = .success(try await documents.read(source, until: deadline)) } catch {
                result = .failure(error)
            }
            loop.execute {
                switch result {
                case .success(let document):
                    bound.value.answer.keep(bound.value.route.read(key, in: document, ifNoneMatch))
                case .failure(let error):
                    bound.value.answer.keep(Self.refusal(error, source, seconds: seconds))
                }
            }
        }
        return .later(bound.value.answer.future) {
            task.cancel()
            bound.value.answer.keep(Self.refusal(CancellationError(), source, seconds: seconds))
        }
    }

    private func read(_ key: String, in document: OnDemandDocuments.Document, _ ifNoneMatch: String?) -> LocalResponse {
        guard let value = document.snapshot.value(at: key) else {
            return ValueRoute.notFound(key, in: document.snapshot, "the document of \(document.revision.source)")
        }
        let headers = [
            (ConfigHeaders.source, document.revision.source.text), (ConfigHeaders.revision, document.revision.label),
            (ConfigHeaders.state, document.isLastGood ? "last_good" : "fresh"),
        ]
        return ValueRoute.answer(value.json, headers, ifNoneMatch) {
            // One that is not in use any more nobody else asks for.
            agent.documents.isInUse(document)
                ? worker.shared($0, key: key, of: document.snapshot) : ByteBuffer(bytes: $0)
        }
    }

    // MARK: Errors

    private static func badWait(_ text: String) -> LocalResponse {
        let (range, _) = Routes.documentWait
        return .error(
            .badRequest,
            "bad_wait",
            "wait is '\(text)'; it has to be a whole number of seconds from \(range.lowerBound) to \(range.upperBound)"
        )
    }

    private func unknown(_ text: String) -> LocalResponse {
        let names = agent.plan.sources.filter(\.fetch.isOnDemand).map(\.fetch.name.text)
        let hint =
            names.isEmpty
            ? "no source is loaded on demand: the configuration is at \(Routes.config)"
            : "loaded on demand are: \(names.joined(separator: ", "))"
        let nearest = NearestKeys.nearest(to: text, among: names, limit: 3)
        return .error(.notFound, "unknown_source", "there is no source '\(text)'", hint: hint, nearest: nearest)
    }

    private static func isLayer(_ text: String, _ key: String) -> LocalResponse {
        .error(
            .notFound,
            "not_on_demand",
            "source '\(text)' is not loaded on demand: its document is a layer of the configuration",
            hint: "ask for \(Routes.config)\(key.isEmpty ? "" : "/\(key)")"
        )
    }

    private static func refusal(_ error: any Error, _ source: SourceName, seconds: Int) -> LocalResponse {
        switch error {
        case OnDemandDocuments.LoadError.failed(let failure, let nextPollAt):
            var response = LocalResponse.error(
                .serviceUnavailable,
                "source_failing",
                "source '\(source)' gives no document, and there is no copy to fall back on: \(failure.message)",
                hint: failure.hint ?? "see agentctl sources"
            )
            let rest = nextPollAt.map { ($0 - WallClock.nowNanoseconds + 999_999_999) / 1_000_000_000 } ?? 1
            response.headers.append(("Retry-After", String(max(1, rest))))
            return response
        case OnDemandDocuments.LoadError.late:
            return .error(
                .gatewayTimeout,
                "deadline",
                "the document of '\(source)' was not there within \(seconds) s; the load goes on",
                hint: "ask again, or wait longer with wait=SECONDS"
            )
        case OnDemandDocuments.LoadError.tooManyReaders:
            return .error(
                .serviceUnavailable,
                "too_many_callers",
                "too many requests wait for '\(source)' already",
                hint: "try again later"
            )
        default:
            return .error(
                .serviceUnavailable,
                "no_document",
                "there is no document of '\(source)' any more: the agent is stopping, or its configuration has changed",
                hint: "ask again"
            )
        }
    }
}

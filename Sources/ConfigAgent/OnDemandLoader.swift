internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder

/// Loads a document for the first who reads it: its stored copy first, then what its source says.
struct OnDemandLoader: Sendable {
    /// A disk that hangs is no reason not to ask the source.
    private static let patienceWithDisk = Duration.seconds(1)

    let documents: OnDemandDocuments
    let fetcher: Fetcher
    let store: Store
    let pipeline: Pipeline
    /// Takes a stored copy into use; on the pipeline's thread.
    let restore: @Sendable (StoredDocument) -> SourceRevision?
    let events: @Sendable (AgentEvent) -> Void

    /// - Throws: ``OnDemandDocuments/LoadError``, or `CancellationError` when nobody waits any more.
    @concurrent
    func load(_ source: SourceName) async throws -> OnDemandDocuments.Document {
        guard let use = documents.use(of: source) else { throw OnDemandDocuments.LoadError.unknown(source) }
        guard let facts = fetcher.readFacts({ $0[source] }) else {
            throw OnDemandDocuments.LoadError.unknown(source)
        }
        // While the source fails, what it gave last is in use; only one that has just woken up is waited for.
        let isFailing = facts.consecutiveFailures > 0
        if let document = documents.held(source), !document.isLastGood || (isFailing && !facts.isAsleep) {
            return document
        }
        fetcher.wake(source, use: use)
        if documents.held(source) == nil, let stored = try await storedCopy(of: source, isNews: !isFailing) {
            fetcher.wake(source, use: use, version: facts.spec.version, stored: stored)
        }
        // A source that fails is left in peace until its next try: reads must not become its load.
        if let failure = facts.failureToRestFrom(at: WallClock.nowNanoseconds) {
            if let lastGood = documents.held(source) { return lastGood }
            throw OnDemandDocuments.LoadError.failed(failure, nextPollAt: facts.nextPollAt)
        }
        // It may have come by way of a poll.
        if let document = documents.held(source), !document.isLastGood { return document }
        return try await ask(source, use)
    }

    /// The revision of the stored copy, which is in use then; `nil` where there is none, or none in time.
    ///
    /// - Parameter isNews: whether it is to be told that it cannot be used: readers of a source that fails look again and
    ///   again.
    private func storedCopy(of source: SourceName, isNews: Bool) async throws -> SourceRevision? {
        guard documents.mayHaveCopy(source) else { return nil }
        let answer = Awaited<SourceRevision?>()
        store.load(source) { [documents, fetcher, pipeline, restore, events] result in
            switch result {
            case .success(let stored?):
                pipeline.ask {
                    // Nobody waits any more: nobody would let go of it either.
                    if answer.isDelivered { return }
                    let revision = restore(stored)
                    // Before anything that the source may have said meanwhile is taken up on this thread.
                    if let revision { fetcher.noteLastGood(source, revision: revision) }
                    answer.deliver(.success(revision))
                }
            case .success(nil):
                documents.noteNoCopy(source)
                answer.deliver(.success(nil))
            case .failure(let fault):
                if fault.wasSetAside { documents.noteNoCopy(source) }
                if isNews { events(.store(.copyUnusable(source, fault))) }
                answer.deliver(.success(nil))
            }
        }
        let limit = Task {
            try await Task.sleep(for: Self.patienceWithDisk)
            answer.deliver(.success(nil))
        }
        defer { limit.cancel() }
        return try await answer.value()
    }

    private func ask(_ source: SourceName, _ use: LastUse) async throws -> OnDemandDocuments.Document {
        var failure = StageFailure(.fetch, "no_document", "the source gave no document", hint: "ask again")
        // Once more where the first answer was about something else: a plan before this one, or a document that
        // nobody read for so long that it was dropped just now.
        for freshness in [Fetcher.Flights.Freshness.shared, .requestedAfterNow] {
            if freshness == .requestedAfterNow { fetcher.wake(source, use: use) }
            let outcome = try await landing(of: source, freshness)
            if let document = documents.held(source) {
                if document.isLastGood { events(.lastGoodUsed(document.revision)) }
                return document
            }
            if let last = outcome.failure { failure = last }
            guard outcome.failure == nil || outcome.isSuperseded else { break }
        }
        throw OnDemandDocuments.LoadError.failed(failure, nextPollAt: fetcher.readFacts { $0[source]?.nextPollAt })
    }

    private func landing(of source: SourceName, _ freshness: Fetcher.Flights.Freshness) async throws -> FlightOutcome {
        let answer = Awaited<FlightOutcome>()
        let ticket: Fetcher.Flights.Ticket
        do throws(Fetcher.Flights.Refusal) {
            ticket = try fetcher.fetch(source, freshness) { answer.deliver(.success($0)) }
        } catch {
            throw OnDemandDocuments.LoadError.tooManyReaders
        }
        do {
            return try await answer.value()
        } catch {
            fetcher.leave(ticket)
            throw error
        }
    }
}

/// What a callback brings, for a task that may be cancelled meanwhile: the first to deliver decides.
private final class Awaited<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case nothing
        case awaited(CheckedContinuation<Value, any Error>)
        case delivered(Result<Value, any Error>)
    }

    private let state = Mutex("documents.awaited", State.nothing)

    var isDelivered: Bool { state.withLock { if case .delivered = $0 { true } else { false } } }

    func deliver(_ result: Result<Value, any Error>) {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .nothing:
                state = .delivered(result)
                return nil
            case .awaited(let continuation):
                state = .delivered(result)
                return continuation
            case .delivered: return nil
            }
        }
        waiting?.resume(with: result)
    }

    /// To be called once.
    ///
    /// - Throws: `CancellationError`.
    func value() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let known: Result<Value, any Error>? = state.withLock { state in
                    if case .delivered(let result) = state { return result }
                    state = .awaited(continuation)
                    return nil
                }
                if let known { continuation.resume(with: known) }
            }
        } onCancel: {
            deliver(.failure(CancellationError()))
        }
    }
}

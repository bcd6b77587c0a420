internal import ConfigFetch
public import ConfigSnapshot
public import LockLadder

/// The documents of the sources that are loaded only for those who read them.
///
/// A read goes through the three stages of a ``ThreeStageRead``: a document that is in use is found without a lock; of
/// all who miss one at once, one loads it and the others share what came of it, each as long as it has time; what was
/// loaded is in use until nobody has read it for the source's idle time. While it is in use its source is polled and
/// watched like any other, and a newer document takes its place.
///
/// A source that does not answer is no reason to have nothing: its stored copy is read before it is asked, and is what
/// readers get when it fails or takes longer than they can wait.
///
/// Thread safety: any number of threads and tasks.
public final class OnDemandDocuments: Sendable {
    /// One document, alone.
    public struct Document: Sendable {
        /// Its content. Its generation says nothing.
        public let snapshot: Snapshot
        public let revision: SourceRevision
        /// Whether the source has not confirmed it: it is the stored copy, or the source fails.
        public let isLastGood: Bool
        fileprivate let use: LastUse
    }

    /// Why there is no document.
    public enum LoadError: Error, Sendable {
        /// No source of this name is loaded on demand.
        case unknown(SourceName)
        /// The source fails, there is no stored copy, and it is not asked again before the given time, in nanoseconds
        /// since 1970.
        case failed(StageFailure, nextPollAt: Int64?)
        /// It was not there in time. The load goes on.
        case late
        /// Too many wait already.
        case tooManyReaders
    }

    private struct State: Sendable {
        var uses: [SourceName: LastUse] = [:]
        /// What is in use. The cache has none but these.
        var held: [SourceName: Document] = [:]
        /// Sources of which nothing usable is stored, as far as is known.
        var withoutCopy: Set<SourceName> = []
    }

    /// As many as are found without a lock. Those beyond give way to one another, and cost their next reader a task.
    private static let mostFoundAtOnce = 4_096

    private let state = Mutex("documents.state", State())
    private let cache: ThreeStageRead<SourceName, Document>
    private let loader: Loader
    private let observers = Mutex("documents.observers", [@Sendable (SourceName) -> Void]())

    /// Set once, by whoever loads: it needs the documents itself.
    private final class Loader: Sendable {
        let load = Mutex<(@Sendable (SourceName) async throws -> Document)?>("documents.loader", nil)
    }

    init() {
        let loader = Loader()
        self.loader = loader
        cache = ThreeStageRead("documents", limit: Self.mostFoundAtOnce) { name in
            guard let load = loader.load.withLock({ $0 }) else { throw LoadError.unknown(name) }
            return try await load(name)
        }
    }

    // MARK: Readers

    /// The document of `source` if it is in use now: no lock, no wait, no request.
    public func cached(_ source: SourceName) -> Document? {
        guard let document = cache.cached(source) else { return nil }
        document.use.note()
        return document
    }

    /// The document of `source`, loaded if need be.
    ///
    /// - Parameter deadline: how long this reader can wait. A stored copy is better than none when it has passed.
    /// - Throws: ``LoadError``, or `CancellationError` when the reader's task was cancelled.
    public func read(_ source: SourceName, until deadline: MonotonicTime) async throws -> Document {
        if let document = cached(source) {
            // Tasks run on many threads, and each would keep the table alive that it has looked into.
            park()
            return document
        }
        guard let use = use(of: source) else { throw LoadError.unknown(source) }
        use.note()
        do {
            let document = try await cache.read(source, until: deadline)
            use.note()
            return document
        } catch SingleFlightError.deadlineExceeded {
            if let lastGood = held(source) { return lastGood }
            throw LoadError.late
        } catch is SingleFlightError {
            throw LoadError.tooManyReaders
        }
    }

    /// Lets go of what the calling thread has found with ``cached(_:)`` last: an idle thread keeps documents alive that
    /// have been replaced or dropped since.
    public func park() { cache.park() }

    /// Has `observer` called when a document is replaced or dropped. It must not wait. Observers stay for good.
    public func observe(_ observer: @escaping @Sendable (SourceName) -> Void) {
        observers.withLock { $0.append(observer) }
    }

    /// Whether readers that come now get this very document.
    public func isInUse(_ document: Document) -> Bool { held(document.revision.source)?.snapshot === document.snapshot }

    // MARK: Whoever loads

    /// - Parameter load: `nil` when the agent ends: whoever loads knows the documents, too.
    func setLoader(_ load: (@Sendable (SourceName) async throws -> Document)?) {
        loader.load.withLock { $0 = load }
    }

    /// Where reads of `source` are noted; `nil` for a source that is not loaded on demand.
    func use(of source: SourceName) -> LastUse? { state.withLock { $0.uses[source] } }

    /// What is in use, be it the stored copy.
    func held(_ source: SourceName) -> Document? { state.withLock { $0.held[source] } }

    func revision(of source: SourceName) -> SourceRevision? { held(source)?.revision }

    // MARK: Whoever has a document

    /// Takes a document into use.
    func hold(_ snapshot: Snapshot, _ revision: SourceRevision, isLastGood: Bool) {
        change(revision.source) { held, use in
            // The first is there for somebody who may have waited for longer than the idle time.
            if held == nil { use.note() }
            held = Document(snapshot: snapshot, revision: revision, isLastGood: isLastGood, use: use)
            return true
        }
    }

    /// The source says that what is in use is still the newest; under `revision`, if it has given it another name.
    func confirm(_ source: SourceName, _ revision: SourceRevision?) {
        change(source) { held, use in
            guard let known = held else { return false }
            let isSame = revision == nil || revision?.validators == known.revision.validators
            let name = isSame ? known.revision : revision ?? known.revision
            held = Document(snapshot: known.snapshot, revision: name, isLastGood: false, use: use)
            return known.isLastGood || !isSame
        }
    }

    /// The source has failed: what is in use stays, and readers are told.
    func noteFailure(_ source: SourceName) {
        change(source) { held, use in
            guard let known = held, !known.isLastGood else { return false }
            held = Document(snapshot: known.snapshot, revision: known.revision, isLastGood: true, use: use)
            return true
        }
    }

    /// Lets go of a document that nobody reads.
    func drop(_ source: SourceName) { replaced(source, state.withLock { $0.held.removeValue(forKey: source) }) }

    /// Nothing usable is stored of `source`: it need not be looked for again.
    func noteNoCopy(_ source: SourceName) {
        state.withLock { state in
            if state.held[source] == nil { state.withoutCopy.insert(source) }
        }
    }

    func mayHaveCopy(_ source: SourceName) -> Bool { state.withLock { !$0.withoutCopy.contains(source) } }

    /// Takes over the sources of a new plan. A document stays in use as long as its source is on demand and in its place.
    ///
    /// - Parameter moved: sources that are somewhere else now.
    func adopt(_ plan: AgentPlan, dropping moved: Set<SourceName> = []) {
        let names = Set(plan.sources.filter(\.fetch.isOnDemand).map(\.fetch.name))
        let stale = state.withLock { state in
            let stale = state.held.keys.filter { !names.contains($0) || moved.contains($0) }
            state.uses = Dictionary(uniqueKeysWithValues: names.map { ($0, state.uses[$0] ?? LastUse()) })
            state.withoutCopy = []
            return stale
        }
        for source in stale { drop(source) }
    }

    /// - Parameter body: says whether it has changed what readers get. Runs under the lock.
    private func change(_ source: SourceName, _ body: (inout Document?, LastUse) -> Bool) {
        let old = state.withLock { state -> Document? in
            guard let use = state.uses[source] else { return nil }
            let old = state.held[source]
            var document = old
            guard body(&document, use) else { return nil }
            state.held[source] = document
            state.withoutCopy.remove(source)
            return old
        }
        replaced(source, old)
    }

    /// - Parameter old: what nobody is to be given any more; freed by the caller, under no lock.
    private func replaced(_ source: SourceName, _ old: Document?) {
        guard old != nil else { return }
        cache.invalidate(source)
        let told = observers.withLock { $0 }
        for observer in told { observer(source) }
    }
}

public import ConfigFetch
public import ConfigPublish
public import ConfigSnapshot
public import LockLadder

internal import struct Synchronization.Atomic

/// The whole pipeline from sources to snapshots, for one process.
///
/// Make one, ``start()`` it, read through ``publisher``, ``stop(until:)`` it. All methods may be called from any
/// thread.
public final class Agent: Sendable {
    /// Why an agent cannot start.
    public enum StartError: Error, Sendable, CustomStringConvertible {
        case libcurl
        case thread(String)

        public var description: String {
            switch self {
            case .libcurl: "libcurl cannot be initialised (no memory or no descriptors left)"
            case .thread(let name): "the system has no thread for '\(name)' (see ulimit -u and TasksMax)"
            }
        }
    }

    public let publisher = Publisher()
    /// What is loaded only for those who read it.
    public let documents = OnDemandDocuments()
    public let startedAt = WallClock.nowNanoseconds
    private let currentPlan: Mutex<AgentPlan>
    private let currentReaders: Mutex<[SourceName: String]>
    private let assembly = Mutex<AssemblyBox?>("agent.assembly", nil)
    private let adoptions = Mutex("agent.adoptions", UInt64(0))
    let store: Store
    let fetcher: Fetcher
    private let pipeline: Pipeline
    let events: @Sendable (AgentEvent) -> Void
    let commanded = Mutex("agent.commanded", OperatorState())
    /// What others know that keeps the agent from being healthy, by its code.
    private let concerns = Mutex("agent.concerns", [String: [Health.Reason]]())
    let quarantine: QuarantineBook
    private let checks: DocumentChecks
    // Relaxed, both: times of day for reports.
    private let firstSnapshotAt = Atomic<Int64>(0)
    private let lastAdoption = Atomic<Int64>(0)

    /// - Parameter events: told what happens, on the thread on which it happens. Must not wait.
    public init(_ plan: AgentPlan, events: @escaping @Sendable (AgentEvent) -> Void) throws(StartError) {
        currentPlan = Mutex("agent.plan", plan)
        currentReaders = Mutex("agent.readers", plan.readers)
        self.events = events
        let pipeline = Pipeline()
        self.pipeline = pipeline
        store = Store(directory: plan.stateDirectory, retention: plan.retention) { failure in
            events(.store(failure.map(StoreEvent.failing) ?? .recovered))
        }
        quarantine = QuarantineBook(store)
        checks = DocumentChecks(socket: plan.checkSocket)
        let documents = documents
        guard
            let fetcher = Fetcher(
                plan.sources.map(\.fetch),
                notices: { notice in
                    if case .asleep(let source) = notice { documents.drop(source) }
                    events(.fetch(notice))
                },
                sink: { pipeline.submit($0, $1, version: $2) }
            )
        else {
            throw .libcurl
        }
        self.fetcher = fetcher
    }

    /// Loads the stored copies, publishes them where they are complete, and begins to poll.
    ///
    /// - Returns: the digest of what the stored copies held; `nil` when they were not enough to publish.
    @discardableResult
    ///
    /// - Parameter progress: called before each stored copy is looked at, for a start that takes long.
    public func start(progress: () -> Void = {}) throws(StartError) -> ContentDigest? {
        publisher.observe { [weak self] _ in
            guard let self else { return }
            // Relaxed: a time of day for reports. Only the first publication sets it.
            _ = self.firstSnapshotAt.compareExchange(expected: 0, desired: WallClock.nowNanoseconds, ordering: .relaxed)
        }
        let plan = plan
        let assembly = Assembly(
            plan: plan,
            publisher: publisher,
            documents: documents,
            store: store,
            quarantine: quarantine,
            checks: checks,
            lastGeneration: store.open(),
            events: events
        )
        documents.adopt(plan)
        let restored = assembly.restore(progress: progress)
        let pasts = assembly.pasts
        let digest = publisher.generation > 0 ? publisher.digest : nil
        for (name, revision) in restored {
            fetcher.noteLastGood(name, revision: assembly.running(name) ?? revision)
        }
        commanded.withLock { $0 = assembly.operatorState }
        assembly.whenPinned = { [weak self] state in self?.commanded.withLock { $0 = state } }
        if assembly.operatorState.freeze != nil { fetcher.freeze(true) }
        let box = AssemblyBox(assembly)
        self.assembly.withLock { $0 = box }
        let (fetcher, checks) = (fetcher, checks)
        let isPipelineRunning = pipeline.start { [pipeline] flight, result, version, order in
            let progress = box.assembly.process(flight.key, result, version: version, order: order)
            checks.settle(order)
            switch progress {
            case .done(let outcome): fetcher.finish(flight, with: outcome)
            case .checking(let question):
                // Meanwhile others have their turn; then the same document comes once more, with what was found.
                checks.ask(question, order: order) { isAnswered in
                    guard isAnswered else {
                        return pipeline.ask { fetcher.finish(flight, with: box.assembly.overtaken(flight.key)) }
                    }
                    pipeline.submit(flight, result.checked(at: Stage.now), version: version, order: order)
                }
            }
        }
        guard isPipelineRunning else { throw .thread("agent-pipeline") }
        let loader = OnDemandLoader(
            documents: documents,
            fetcher: fetcher,
            store: store,
            pipeline: pipeline,
            restore: { box.assembly.restoreAlone($0) },
            events: events
        )
        documents.setLoader(loader.load)
        guard store.start() else { throw .thread("agent-store") }
        guard fetcher.start(inUse: restored, pasts: pasts) else { throw .thread("agent-fetch") }
        return digest
    }

    /// Ends all threads, fetch first, store last so that what was published is kept.
    ///
    /// - Returns: `false` when `deadline` passed before all had ended.
    public func stop(until deadline: MonotonicTime) -> Bool {
        documents.setLoader(nil)
        let fetchEnded = fetcher.stop(until: deadline)
        let checksEnded = checks.stop(until: deadline)
        let pipelineEnded = pipeline.stop(until: deadline)
        let storeEnded = store.stop(until: deadline)
        return fetchEnded && checksEnded && pipelineEnded && storeEnded
    }

    /// What the agent is to do, as of the last ``adopt(_:)``.
    public var plan: AgentPlan { currentPlan.withLock { $0 } }

    /// Takes over a new plan while running. Sources that are the same in both go on undisturbed. The new layers come
    /// into force together, once every required source among them has given a document: until then readers see the
    /// old ones. The state directory stays the one of the start.
    ///
    /// Reads the stored copies of added sources, and waits for the pipeline to finish the document it is at: to be
    /// called on a thread that nobody waits for.
    ///
    /// - Returns: `false` when the agent is not running, or does not get round to it before `deadline`; the plan is
    ///   then taken over later or not at all.
    public func adopt(_ plan: AgentPlan, until deadline: MonotonicTime) -> Bool {
        guard let box = assembly.withLock({ $0 }) else { return false }
        let version = adoptions.withLock { count in
            count += 1
            return count
        }
        let old = self.plan
        let next = plan.following(old, version: version)
        let known = Set(old.layers.map(\.fetch.name))
        var stored: [StoredDocument] = []
        for source in next.layers where !known.contains(source.fetch.name) {
            let (document, fault) = store.loadGood(source.fetch.name)
            if let fault { events(.store(.copyUnusable(source.fetch.name, fault))) }
            if let document { stored.append(document) }
        }
        let done = WakeSignal()
        let added = stored
        pipeline.ask { [self] in
            let (inUse, restored) = box.assembly.adopt(next, stored: added)
            // Nobody waits for a command that was put out of the way.
            checks.keepOnly(next.checks)
            currentPlan.withLock { $0 = next }
            currentReaders.withLock { $0 = next.readers }
            store.keep(next.retention)
            lastAdoption.store(WallClock.nowNanoseconds, ordering: .relaxed)
            let pasts = box.assembly.pasts
            fetcher.adopt(next.sources.map(\.fetch), inUse: inUse, restored: restored, pasts: pasts)
            done.raise()
        }
        return done.wait(until: deadline)
    }

    /// Has `body` run on the pipeline's thread, between two documents.
    ///
    /// - Returns: `false` when the agent has not been started.
    func withAssembly(_ body: @escaping @Sendable (Assembly) -> Void) -> Bool {
        guard let box = assembly.withLock({ $0 }) else { return false }
        pipeline.ask { body(box.assembly) }
        return true
    }

    /// Wants a document of `source`; see ``Fetcher/fetch(_:_:deliver:)``.
    public func fetch(
        _ source: SourceName,
        _ freshness: Fetcher.Flights.Freshness,
        deliver: @escaping @Sendable (FlightOutcome) -> Void
    ) throws(Fetcher.Flights.Refusal) -> Fetcher.Flights.Ticket {
        if let use = documents.use(of: source) { fetcher.wake(source, use: use) }
        return try fetcher.fetch(source, freshness, deliver: deliver)
    }

    /// Stops waiting for a document.
    public func leave(_ ticket: Fetcher.Flights.Ticket) { fetcher.leave(ticket) }

    /// A way to ask each of the agent's threads for a sign of life: the closure given is run there.
    ///
    /// The store is not among them: a disk that hangs is no reason to restart the agent.
    public var lifeSigns: [(thread: String, ask: @Sendable (@escaping @Sendable () -> Void) -> Void)] {
        let fetcher = fetcher
        let pipeline = pipeline
        return [("agent-fetch", { fetcher.ask($0) }), ("agent-pipeline", { pipeline.ask($0) })]
    }

    // MARK: Facts

    /// The sources that are asked: all but those on demand that nobody has read lately.
    public var awake: [SourceName] {
        let names = plan.sources.map(\.fetch.name)
        return fetcher.readFacts { facts in names.filter { facts[$0]?.isAsleep == false } }
    }

    /// Whether all layers have confirmed what is in use since then, in nanoseconds since 1970. Cheap.
    public func areConfirmed(since time: Int64) -> Bool { fetcher.leastRecentConfirmation >= time }

    /// The layers that have not confirmed what is in use since then, in nanoseconds since 1970.
    public func unconfirmed(since time: Int64) -> [SourceName] {
        let names = plan.layers.map(\.fetch.name)
        return fetcher.readFacts { facts in names.filter { (facts[$0]?.confirmedAt ?? .min) < time } }
    }

    /// When all that is in use was last confirmed, in nanoseconds since 1970; `nil` as long as it has not been, or
    /// something that is required is not there.
    public var confirmedAt: Int64? {
        let found = fetcher.overview(at: .min)
        guard publisher.generation > 0, let confirmed = found.confirmedAt else { return nil }
        if found.lacking.isEmpty { return confirmed }
        let lacking = Set(found.lacking)
        return plan.sources.contains { $0.isRequired && lacking.contains($0.fetch.name) } ? nil : confirmed
    }

    /// Has health tell of what is not known here: of all that has this code.
    public func note(_ reasons: [Health.Reason], as code: String) { concerns.withLock { $0[code] = reasons } }

    /// The groups that alone read some source's document.
    public var readers: [SourceName: String] { currentReaders.withLock { $0 } }

    public var sourceFacts: [SourceName: SourceFacts] { fetcher.facts }
    public var flightStatistics: Fetcher.Flights.Statistics { fetcher.statistics }
    public var storeState: Store.State { store.currentState }

    /// What health is judged from.
    ///
    /// - Parameter now: of the judgement, in nanoseconds since 1970.
    public func healthFacts(
        workers: [Health.Facts.Worker],
        now: Int64 = WallClock.nowNanoseconds
    ) -> Health.Facts {
        let first = firstSnapshotAt.load(ordering: .relaxed)
        let sources = plan.sources
        let isPublished = first != 0
        // Judged each second: so only what matters is looked at, not ten thousand sources of which all is well.
        let found = fetcher.overview(at: now)
        let lacking = Set(found.mattering.filter { $0.revision == nil }.map(\.spec.name))
        // While the sources are being replaced by others, nobody is known.
        let isAwaited = isPublished && (!lacking.isEmpty || found.count != sources.count)
        let known = isAwaited ? fetcher.readFacts { facts in Set(facts.keys) } : []
        let awaited =
            !isAwaited
            ? []
            : sources.filter { source in
                source.isRequired && (lacking.contains(source.fetch.name) || !known.contains(source.fetch.name))
            }.map(\.fetch.name)
        return Health.Facts(
            startedAt: startedAt,
            firstSnapshotAt: first == 0 ? nil : first,
            sources: found.mattering,
            sourcesRecoveredAt: found.recoveredAt,
            awaited: awaited,
            awaitedSince: max(startedAt, lastAdoption.load(ordering: .relaxed)),
            store: store.currentState,
            operatorState: operatorState,
            concerns: concerns.withLock { $0.values.flatMap(\.self) },
            workers: workers
        )
    }
}

/// Carries the assembly from thread to thread.
private final class AssemblyBox: @unchecked Sendable {
    // SAFETY: until the pipeline starts only the starting thread touches the assembly, from then on only the pipeline's.
    let assembly: Assembly

    init(_ assembly: Assembly) { self.assembly = assembly }
}

public import ConfigFetch
public import ConfigPublish
public import ConfigSnapshot
public import LockLadder
internal import Synchronization

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

    public let plan: AgentPlan
    public let publisher = Publisher()
    public let startedAt = WallClock.nowNanoseconds
    private let store: Store
    private let fetcher: Fetcher
    private let pipeline: Pipeline
    private let events: @Sendable (AgentEvent) -> Void
    private let firstSnapshotAt = Atomic<Int64>(0)

    /// - Parameter events: told what happens, on the thread on which it happens. Must not wait.
    public init(_ plan: AgentPlan, events: @escaping @Sendable (AgentEvent) -> Void) throws(StartError) {
        self.plan = plan
        self.events = events
        let pipeline = Pipeline()
        self.pipeline = pipeline
        store = Store(directory: plan.stateDirectory) { failure in
            events(failure.map(AgentEvent.storeFailing) ?? .storeRecovered)
        }
        guard let fetcher = Fetcher(plan.sources.map(\.fetch), sink: { pipeline.submit($0, $1) }) else {
            throw .libcurl
        }
        self.fetcher = fetcher
    }

    /// Loads the stored copies, publishes them where they are complete, and begins to poll.
    ///
    /// - Returns: the digest of what the stored copies held; `nil` when they were not enough to publish.
    @discardableResult
    public func start() throws(StartError) -> ContentDigest? {
        publisher.observe { [weak self] _ in
            guard let self else { return }
            // Relaxed: a time of day for reports. Only the first publication sets it.
            _ = self.firstSnapshotAt.compareExchange(expected: 0, desired: WallClock.nowNanoseconds, ordering: .relaxed)
        }
        let assembly = Assembly(
            plan: plan,
            publisher: publisher,
            store: store,
            lastGeneration: store.open(),
            events: events
        )
        let restored = assembly.restore()
        let digest = publisher.generation > 0 ? publisher.digest : nil
        for (name, revision) in restored { fetcher.noteLastGood(name, revision: revision) }
        // SAFETY: from here on only the pipeline's thread touches the assembly.
        nonisolated(unsafe) let owned = assembly
        let fetcher = fetcher
        let isPipelineRunning = pipeline.start { flight, result in
            fetcher.finish(flight, with: owned.process(flight.key, result))
        }
        guard isPipelineRunning else { throw .thread("agent-pipeline") }
        guard store.start() else { throw .thread("agent-store") }
        guard fetcher.start(validators: restored.mapValues(\.validators)) else { throw .thread("agent-fetch") }
        return digest
    }

    /// Ends all threads, fetch first, store last so that what was published is kept.
    ///
    /// - Returns: `false` when `deadline` passed before all had ended.
    public func stop(until deadline: MonotonicTime) -> Bool {
        let fetchEnded = fetcher.stop(until: deadline)
        let pipelineEnded = pipeline.stop(until: deadline)
        let storeEnded = store.stop(until: deadline)
        return fetchEnded && pipelineEnded && storeEnded
    }

    /// Wants a document of `source`; see ``Fetcher/fetch(_:_:deliver:)``.
    public func fetch(
        _ source: SourceName,
        _ freshness: Fetcher.Flights.Freshness,
        deliver: @escaping @Sendable (FlightOutcome) -> Void
    ) throws(Fetcher.Flights.Refusal) -> Fetcher.Flights.Ticket {
        try fetcher.fetch(source, freshness, deliver: deliver)
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

    public var sourceFacts: [SourceName: SourceFacts] { fetcher.facts }
    public var flightStatistics: Fetcher.Flights.Statistics { fetcher.statistics }
    public var storeState: Store.State { store.currentState }

    /// What health is judged from.
    public func healthFacts(workers: [Health.Facts.Worker]) -> Health.Facts {
        let first = firstSnapshotAt.load(ordering: .relaxed)
        let facts = fetcher.facts
        return Health.Facts(
            startedAt: startedAt,
            firstSnapshotAt: first == 0 ? nil : first,
            sources: plan.sources.compactMap { facts[$0.fetch.name] },
            store: store.currentState,
            workers: workers
        )
    }
}

public import ConfigSnapshot
internal import Curl
public import LockLadder

/// The fetch stage: polls its sources on a thread of its own, and folds everyone's wish for a fresh value into one
/// flight per source.
///
/// All methods may be called from any thread; none waits but ``stop(until:)``.
public final class Fetcher: Sendable {
    public typealias Flights = SingleFlight<SourceName, FlightOutcome>
    /// Takes over what a flight brought; called on the fetch thread, must not wait. Whoever takes it over ends the
    /// flight with ``finish(_:with:)``. The number is the version of the source that the result belongs to.
    public typealias Sink = @Sendable (Flights.Flight, FetchResult, UInt64) -> Void

    /// Refreshes that come together leave together: a flight begun by one waits this long for others before its
    /// request leaves. Nanoseconds.
    static let gathering: UInt64 = 3_000_000

    let initialSpecs: [SourceSpec]
    let board: SourceBoard
    let flights: Flights
    private let inbox: FetchInbox
    private let sink: Sink
    private let notices: @Sendable (FetchNotice) -> Void
    // SAFETY: handed over once to the fetch thread by `start`, not touched by anyone else before or after.
    private nonisolated(unsafe) let multi: CurlMulti
    private let thread = Mutex<NamedThread?>("fetch.thread", nil)

    /// - Returns: `nil` when libcurl cannot start.
    ///
    /// - Parameter notices: told on the fetch thread what no outcome tells. Must not wait.
    public init?(
        _ specs: [SourceSpec],
        notices: @escaping @Sendable (FetchNotice) -> Void = { _ in },
        sink: @escaping Sink
    ) {
        guard let multi = CurlMulti() else { return nil }
        let inbox = FetchInbox(waker: multi.waker)
        initialSpecs = specs
        self.multi = multi
        self.inbox = inbox
        self.sink = sink
        self.notices = notices
        board = SourceBoard(specs)
        flights = SingleFlight(
            "fetch.flights",
            begin: { flight, freshness in
                // Whoever commands a refresh wants to know for sure: validators are a source's word only.
                let isRefresh = freshness == .requestedAfterNow
                let start = MonotonicTime.now.advanced(byNanoseconds: isRefresh ? Self.gathering : 0)
                inbox.post(.begin(flight, notBefore: start.nanoseconds, isFull: isRefresh))
            },
            cancel: { inbox.post(.cancel($0)) },
            isFailure: { $0.failure != nil }
        )
    }

    /// Starts the thread and polls every source once, but for those on demand.
    ///
    /// - Parameters:
    ///   - inUse: the revisions already in use, from the stored copies.
    ///   - pasts: of those of them that have mirrors, what was in use before.
    /// - Returns: `false` when the system has no thread to give.
    public func start(inUse: [SourceName: SourceRevision], pasts: [SourceName: SourcePast] = [:]) -> Bool {
        let started = NamedThread("agent-fetch") {
            FetchLoop(multi: self.multi, inbox: self.inbox, fetcher: self, inUse: inUse, pasts: pasts).run()
        }
        thread.withLock { $0 = started }
        return started != nil
    }

    /// Breaks off what is on its way and ends the thread.
    ///
    /// - Returns: `false` when `deadline` passed first.
    public func stop(until deadline: MonotonicTime) -> Bool {
        inbox.post(.stop)
        let running = thread.withLock { $0.take() }
        return running?.join(until: deadline) ?? true
    }

    /// Wants a document of `source`, sharing the flight of whoever wants it too.
    ///
    /// - Parameter deliver: called once when the flight is over, on the pipeline's thread. Must not wait.
    public func fetch(
        _ source: SourceName,
        _ freshness: Flights.Freshness,
        deliver: @escaping @Sendable (FlightOutcome) -> Void
    ) throws(Flights.Refusal) -> Flights.Ticket {
        try flights.join(source, freshness, deliver: deliver)
    }

    /// Stops waiting for a document.
    public func leave(_ ticket: Flights.Ticket) { flights.leave(ticket) }

    /// Ends a flight: tells the callers, keeps the facts, and sets the time of the next poll.
    public func finish(_ flight: Flights.Flight, with outcome: FlightOutcome) {
        let now = WallClock.nowNanoseconds
        // What came of an older plan says nothing about the source as it is now.
        if !outcome.isSuperseded { board.update(flight.key) { $0.note(outcome, at: now) } }
        for source in outcome.released {
            board.update(source) { $0.noteRelease(in: outcome.generation, at: now) }
        }
        inbox.post(.finished(flight, outcome))
        flights.land(flight, with: outcome)
    }

    /// Takes over new sources; those with the version they had go on undisturbed. Called by the one who has already
    /// made up its mind what to do with documents of the old ones.
    ///
    /// - Parameters:
    ///   - inUse: the revisions in use, by source.
    ///   - restored: the sources among them that are served from their stored copies.
    ///   - pasts: of those that have mirrors, what was in use before; places that are the same go on from what they know.
    public func adopt(
        _ specs: [SourceSpec],
        inUse: [SourceName: SourceRevision],
        restored: Set<SourceName>,
        pasts: [SourceName: SourcePast] = [:]
    ) {
        board.adopt(specs, inUse: inUse, restored: restored)
        inbox.post(.adopt(specs, inUse: inUse, pasts: pasts))
    }

    /// Says that somebody wants the document of an on-demand source: if it sleeps, it is asked from now on, until `use`
    /// has not been noted for its idle time.
    ///
    /// - Parameters:
    ///   - version: of the source that the stored copy belongs to.
    ///   - stored: the revision of its stored copy, where that has been taken into use.
    public func wake(_ source: SourceName, use: LastUse, version: UInt64 = 0, stored: SourceRevision? = nil) {
        inbox.post(.wake(source, version: version, stored, use))
    }

    /// Asks no source any more and listens to none, or begins to again. What is on its way comes to its end.
    public func freeze(_ isFrozen: Bool) { inbox.post(.freeze(isFrozen)) }

    /// Documents of these sources, which were held back, have become visible in `generation`.
    public func noteRelease(of sources: [SourceName], in generation: UInt64, running: [SourceName: SourceRevision]) {
        let now = WallClock.nowNanoseconds
        for source in sources {
            board.update(source) { facts in
                facts.noteRelease(in: generation, at: now)
                facts.noteRunning(running[source], at: now)
            }
        }
    }

    /// What is in use of each source has changed by somebody's command.
    public func noteRunning(_ running: [SourceName: SourceRevision]) {
        let now = WallClock.nowNanoseconds
        for (source, revision) in running { board.update(source) { $0.noteRunning(revision, at: now) } }
    }

    /// Has `answer` run on the fetch thread when it gets round to it.
    public func ask(_ answer: @escaping @Sendable () -> Void) { inbox.post(.answer(answer)) }

    /// Records that what is in use of `source` comes from its stored copy.
    public func noteLastGood(_ source: SourceName, revision: SourceRevision) {
        board.update(source) {
            $0.revision = revision
            $0.isLastGood = true
        }
    }

    /// All facts, copied.
    public var facts: [SourceName: SourceFacts] { board.all }

    /// A look at all of them, cheap enough for each second.
    ///
    /// - Parameter now: nanoseconds since 1970.
    public func overview(at now: Int64) -> SourcesOverview { board.overview(at: now) }

    /// The oldest of the layers' last confirmations, in nanoseconds since 1970; the least of all numbers while one has had
    /// none.
    public var leastRecentConfirmation: Int64 { board.leastRecentConfirmation }

    /// Lends all facts out under a lock that the fetch thread takes too: `body` must be short and must not wait.
    public func readFacts<Result: Sendable>(_ body: ([SourceName: SourceFacts]) -> Result) -> Result {
        board.read(body)
    }
    public var statistics: Flights.Statistics { flights.statistics }

    // MARK: For the fetch thread

    /// A poll waits for nothing, and any flight will do.
    ///
    /// - Parameter time: when it was due, by which the loop knows it again once it is answered.
    /// - Returns: `false` when it was refused because too many callers wait for this source.
    func poll(_ source: SourceName, dueAt time: UInt64) -> Bool {
        let inbox = inbox
        do throws(Flights.Refusal) {
            try flights.join(source, .shared, deliver: { _ in inbox.post(.polled(source, at: time)) })
            return true
        } catch {
            return false
        }
    }

    func notify(_ notice: FetchNotice) { notices(notice) }

    func deliver(_ flight: Flights.Flight, _ result: FetchResult, version: UInt64) { sink(flight, result, version) }
}

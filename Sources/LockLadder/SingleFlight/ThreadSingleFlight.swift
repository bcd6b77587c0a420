/// A flight as its work sees it.
public struct RunningFlight: Sendable {
    /// `nil`: its caller does the work itself, and so never leaves.
    @usableFromInline let node: FlightNode?

    /// Whether all callers have left: the result will be thrown away, so the work may stop.
    @inlinable
    public var isCancelled: Bool { node?.isCancelled ?? false }

    @inlinable
    init(node: FlightNode?) {
        self.node = node
    }
}

/// Folds simultaneous calls of threads for the same thing into one piece of work.
///
/// Without a deadline the caller that causes a flight does the work itself, on its own thread, as cheaply as can be.
/// With a deadline the work is done on a thread of the group's, so that the caller can leave in time. The others sleep
/// until the flight lands.
///
/// - Use it in front of expensive work whose result all callers may share, on threads that may block. Do not use it in
///   tasks, whose threads must not block (``AsyncSingleFlight``), nor where each caller needs work of its own.
/// - A caller whose deadline passes is answered with an error at once; the work goes on for the others. When the last
///   one has left, the flight is removed in the same step, and its work can see that it is in vain
///   (``RunningFlight/isCancelled``). Every caller is answered exactly once.
/// - Keys, callers and the group's threads are bounded; what goes past a bound is refused at once. A thread counts
///   until its work returns, wanted or not.
/// - A call out of the work of a flight that waits for that very flight, directly or through others and other groups,
///   throws ``SingleFlightError/cycle(path:)`` instead of waiting for ever. The work is what its thread does: a task
///   that it starts is on its own.
/// - Cost: a caller that meets nobody takes the group's mutex twice, and allocates nothing.
/// - Progress: blocking. A mutex around a table, under which neither work nor callbacks run; then a futex.
/// - Memory order: what the work did before it returned is seen by all whom it answers.
/// - Thread safety: any number of threads.
public final class ThreadSingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable, FlightOwner {
    public typealias Freshness = FlightFreshness
    public typealias Limits = FlightLimits
    public typealias Statistics = FlightStatistics

    /// A caller that sleeps.
    @usableFromInline
    final class Call: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: `news` is written once, by the one that took the call out of the table or
        // gave it the work, before it raises the signal; and read after the signal was seen.
        @usableFromInline let signal = WakeSignal()
        @usableFromInline let canLeave: Bool
        @usableFromInline var news: News?

        @inlinable
        init(canLeave: Bool) { self.canLeave = canLeave }

        @inlinable
        func tell(_ news: News) {
            self.news = news
            signal.raise()
        }
    }

    @usableFromInline
    enum News: Sendable {
        case result(Result<Value, any Error>)
        /// The rerun begins, and this caller does its work.
        case work(Table.Run)
    }

    /// `nil` for a caller that does the work on its own thread: it needs nobody to tell it the result.
    @usableFromInline typealias Table = FlightTable<Key, Call?, FlightNode>

    @usableFromInline
    struct State: Sendable {
        @usableFromInline var table: Table
        @usableFromInline var negatives: NegativeCache<Key, Value>
        /// Threads of the group that run now.
        @usableFromInline var threads = 0

        @inlinable
        init(table: Table, negatives: NegativeCache<Key, Value>) {
            self.table = table
            self.negatives = negatives
        }
    }

    @usableFromInline
    enum Entrance: Sendable {
        case answered(Result<Value, any Error>)
        case aboard(Table.Boarding)
        /// There is a flight, and the caller came without what it needs to sleep.
        case occupied
    }

    @usableFromInline let name: StaticString
    @usableFromInline let state: Mutex<State>
    @usableFromInline let accounting: FlightAccounting
    @usableFromInline let threadLimit: Int
    @usableFromInline let negative: NegativePolicy<Value>
    @usableFromInline let work: @Sendable (Key, RunningFlight) throws -> Value

    /// - Parameters:
    ///   - name: names the group's mutex, its threads (15 bytes are kept), and the group in the path of a cycle.
    ///   - threads: how many flights of callers with a deadline may run at once.
    ///   - negative: which results are kept for a while.
    ///   - work: makes the value for a key.
    @inlinable
    public init(
        _ name: StaticString,
        limits: Limits = Limits(),
        threads: Int = 16,
        negative: NegativePolicy<Value> = .none,
        work: @escaping @Sendable (Key, RunningFlight) throws -> Value
    ) {
        let table = Table(limits: limits) { KeyedFlightNode(group: name, key: $0.key) }
        state = Mutex(name, State(table: table, negatives: NegativeCache(limit: negative.entries)))
        accounting = FlightAccounting(name)
        self.name = name
        threadLimit = threads
        self.negative = negative
        self.work = work
    }

    /// The value for `key`, from the flight on its way or from one that this call causes.
    ///
    /// - Parameters:
    ///   - freshness: with `requestedAfterNow` only work that begins after this call will do, and no kept result.
    ///   - deadline: how long this caller waits at most. Without one it waits as long as the work takes.
    /// - Throws: the error of the work, or ``SingleFlightError``.
    @inlinable
    public func value(
        for key: Key,
        _ freshness: Freshness = .shared,
        until deadline: MonotonicTime? = nil,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function
    ) throws -> Value {
        if deadline == nil, !negative.keepsAny, CurrentFlight.isNone {
            let site = CallSite(fileID: fileID, line: line)
            let solo = state.withLock(fileID: fileID, line: line) { state -> Table.Solo? in
                guard let solo = state.table.beginAlone(key, nil) else { return nil }
                accounting.noteCall(at: site, causesWork: true)
                return solo
            }
            if let solo { return try flyAlone(key, solo) }
        }
        return try join(key, freshness, until: deadline, (fileID, line, function))
    }

    /// The work of a flight that nobody else may ever come to know, done by its caller.
    @inlinable
    func flyAlone(_ key: Key, _ solo: Table.Solo) throws -> Value {
        var frame = FlightFrame(owner: self, id: solo.id, place: solo.place, inside: nil)
        let result = frame.perform { Result { try work(key, RunningFlight(node: nil)) } }
        let isFailure = if case .failure = result { true } else { false }
        let isOver = state.withLock { $0.table.landAlone(solo, isFailure: isFailure) }
        if !isOver { land(solo.flight(key), with: result) }
        return try result.get()
    }

    @usableFromInline typealias Site = (fileID: StaticString, line: UInt, function: StaticString)

    @inlinable
    @inline(never)
    func join(_ key: Key, _ freshness: Freshness, until deadline: MonotonicTime?, _ site: Site) throws -> Value {
        if let deadline, deadline <= .now { throw SingleFlightError.deadlineExceeded }
        let now = freshness == .shared ? negative.time : nil
        var call: Call?
        if deadline != nil { call = Call(canLeave: true) }
        // At most twice: the second time there is a call to sleep with.
        while true {
            let entrance = state.withLock(fileID: site.fileID, line: site.line) { [call] state in
                enter(call, key, freshness, at: now, in: &state, site)
            }
            switch entrance {
            case .answered(let result): return try result.get()
            case .aboard(let boarding):
                let site = (CallSite(fileID: site.fileID, line: site.line), site.function)
                return try fly(boarding, call, until: deadline, site)
            case .occupied: call = Call(canLeave: false)
            }
        }
    }

    @inlinable
    func enter(
        _ call: Call?,
        _ key: Key,
        _ freshness: Freshness,
        at now: MonotonicTime?,
        in state: inout State,
        _ site: Site
    ) -> Entrance {
        if let now, let kept = state.negatives.result(for: key, at: now) {
            state.table.statistics.negativeHits += 1
            return .answered(kept)
        }
        if call == nil, state.table.hasFlight(for: key) { return .occupied }
        // A caller without a deadline does the work at once.
        switch state.table.join(key, freshness, call, hasDeparted: call?.canLeave != true) {
        case .success(let boarding):
            accounting.noteCall(at: CallSite(fileID: site.fileID, line: site.line), causesWork: boarding.isToBegin)
            return .aboard(boarding)
        case .failure(let refusal): return .answered(.failure(SingleFlightError.refused(refusal)))
        }
    }

    @inlinable
    func fly(
        _ boarding: Table.Boarding,
        _ call: Call?,
        until deadline: MonotonicTime?,
        _ site: (CallSite, StaticString)
    ) throws -> Value {
        guard let current = CurrentFlight.node else { return try complete(boarding, call, until: deadline, site) }
        let wait = FlightGraph.Wait(waiter: current, target: boarding.run.context, behind: boarding.behind?.context)
        do throws(SingleFlightError) {
            try FlightGraph.enter(wait)
        } catch {
            leave(boarding.ticket)
            throw error
        }
        defer { FlightGraph.leave(wait) }
        return try complete(boarding, call, until: deadline, site)
    }

    @inlinable
    func complete(
        _ boarding: Table.Boarding,
        _ call: Call?,
        until deadline: MonotonicTime?,
        _ site: (CallSite, StaticString)
    ) throws -> Value {
        if boarding.isToBegin, deadline == nil { return try perform(boarding.run, hasDeparted: true).get() }
        if boarding.isToBegin { startThread(for: boarding.run) }
        guard let call else { preconditionFailure("a caller that does not do the work itself has a call") }
        return try sleep(call, boarding.ticket, until: deadline, site)
    }

    @inlinable
    func sleep(
        _ call: Call,
        _ ticket: FlightTicket<Key>,
        until deadline: MonotonicTime?,
        _ site: (CallSite, StaticString)
    ) throws -> Value {
        // Whoever caused the work and has it done on another thread waits for nobody else's.
        let wait = ticket.isFolded ? accounting.beginWait(at: site.0, in: site.1) : nil
        let isTold = call.signal.wait(until: deadline)
        let hasLeft = !isTold && leave(ticket)
        if let wait { accounting.end(wait, isAnswered: !hasLeft) }
        if hasLeft { throw SingleFlightError.deadlineExceeded }
        // Without a deadline: whoever took the call out of the table is about to raise the signal, and waits for
        // nothing in between.
        if !isTold { _ = call.signal.wait(until: nil) }
        switch call.news {
        case .result(let result): return try result.get()
        case .work(let run): return try perform(run).get()
        case nil: preconditionFailure("a call is told its news before it is woken")
        }
    }

    /// Takes a caller out.
    ///
    /// - Returns: `false` when its answer is on its way.
    @discardableResult
    @inlinable
    func leave(_ ticket: FlightTicket<Key>) -> Bool {
        let (leaving, worker) = state.withLock { state -> (Table.Leaving, Call?) in
            let leaving = state.table.leave(ticket)
            return (leaving, Self.worker(for: leaving.next, in: state.table))
        }
        leaving.abandoned?.context.end(isCancelled: true)
        if let next = leaving.next { begin(next, worker) }
        return leaving.waiter != nil
    }

    /// Who of those that wait for a rerun does its work: one that cannot leave before it is done.
    @inlinable
    static func worker(for run: Table.Run?, in table: Table) -> Call? {
        guard let run, let waiters = table.waiters(of: run.flight) else { return nil }
        for case let waiter? in waiters.all where !waiter.canLeave { return waiter }
        return nil
    }

    @inlinable
    func begin(_ run: Table.Run, _ worker: Call?) {
        if let worker { worker.tell(.work(run)) } else { startThread(for: run) }
    }

    @inlinable
    func startThread(for run: Table.Run) {
        let isAllowed = state.withLock { state -> Bool in
            guard state.threads < threadLimit else { return false }
            state.threads += 1
            return true
        }
        guard isAllowed else {
            land(run.flight, with: .failure(SingleFlightError.tooManyThreads(limit: threadLimit)))
            return
        }
        let thread = NamedThread("\(name)") { [self] in perform(run, isOnOwnThread: true) }
        if thread == nil { land(run.flight, with: .failure(SingleFlightError.noThread), endsThread: true) }
    }

    /// Does the work of a flight on this thread.
    @discardableResult
    @inlinable
    func perform(
        _ run: Table.Run,
        hasDeparted: Bool = false,
        isOnOwnThread: Bool = false
    ) -> Result<Value, any Error> {
        let isWanted = hasDeparted || depart(run, isOnOwnThread: isOnOwnThread)
        // Only a thread of the group's comes too late, and nobody looks at what it returns.
        guard isWanted else { return .failure(CancellationError()) }
        let flight = run.flight
        var frame = FlightFrame(owner: self, id: flight.id, place: flight.place, inside: CurrentFlight.identityOfTask)
        let result = frame.perform { Result { try work(flight.key, RunningFlight(node: run.context)) } }
        land(flight, with: result, endsThread: isOnOwnThread)
        return result
    }

    @inlinable
    func depart(_ run: Table.Run, isOnOwnThread: Bool) -> Bool {
        state.withLock { state in
            if state.table.depart(run.flight) { return true }
            if isOnOwnThread { state.threads -= 1 }
            return false
        }
    }

    @inlinable
    func land(_ flight: Table.Flight, with result: Result<Value, any Error>, endsThread: Bool = false) {
        typealias Step = (landing: Table.Landing?, worker: Call?, dropped: [NegativeCache<Key, Value>.Entry])
        let isFailure = if case .failure = result { true } else { false }
        let expiry = negative.expiry(of: result)
        let step = state.withLock { state -> Step in
            // In the same step, so that a caller who is answered finds the thread free.
            if endsThread { state.threads -= 1 }
            guard let landing = state.table.land(flight, isFailure: isFailure) else { return (nil, nil, []) }
            let worker = Self.worker(for: landing.next, in: state.table)
            return (landing, worker, state.negatives.note(result, for: flight.key, until: expiry))
        }
        guard let landing = step.landing else { return }
        landing.run.context.end(isCancelled: false)
        let sleepers = landing.waiters.all.compactMap { $0 }
        if !sleepers.isEmpty { accounting.noteLanding() }
        for sleeper in sleepers { sleeper.tell(.result(result)) }
        if let next = landing.next { begin(next, step.worker) }
        // Under no lock: what was kept is somebody else's.
        withExtendedLifetime(step.dropped) {}
    }

    @inlinable
    func node(of id: UInt64, at place: Int) -> FlightNode? {
        state.withLock { $0.table.context(of: id, at: place) }
    }

    @inlinable
    public var statistics: Statistics { state.withLock { $0.table.statistics } }

    /// Threads of the group that run now.
    @inlinable
    public var threads: Int { state.withLock { $0.threads } }
}

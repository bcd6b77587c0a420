/// Folds simultaneous calls of tasks for the same thing into one piece of work.
///
/// The work runs in a task of the group's own: no caller's cancellation, priority or task-local values rule the
/// others. Its result, or its error, reaches all who wait for it.
///
/// - Use it in front of expensive work whose result all callers may share: a download, a query. Do not use it where
///   each caller needs work of its own, nor around what takes less than a few microseconds: the task costs more.
/// - A caller that is cancelled, or whose deadline passes, is answered with an error at once; the work goes on for the
///   others. When the last one has left, the work's task is cancelled, in the same step in which the flight is
///   removed: nobody can join a cancelled one. Every caller is answered exactly once.
/// - Keys and callers are bounded; what goes past a bound is refused at once.
/// - A call out of the work of a flight that waits for that very flight, directly or through others and other groups,
///   throws ``SingleFlightError/cycle(path:)`` instead of waiting for ever.
/// - Progress: a mutex around a table; neither work nor callbacks run under it. Deadlines are kept by one thread
///   for the whole process.
/// - Memory order: what the work did before it returned is seen by all whom it answers.
/// - Thread safety: any number of tasks, in any isolation.
public final class AsyncSingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    public typealias Freshness = FlightFreshness
    public typealias Limits = FlightLimits
    public typealias Statistics = FlightStatistics

    @usableFromInline
    struct Context: Sendable {
        @usableFromInline let node: FlightNode
        /// The work's task, once it is made.
        @usableFromInline var task: Task<Void, Never>?

        @inlinable
        init(node: FlightNode) {
            self.node = node
        }
    }

    /// One caller, from its coming to its answer.
    @safe
    @usableFromInline
    final class Call: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: the first three are touched under the group's mutex, or by the one that took
        // the call out of the table; the others by the caller alone.
        @usableFromInline var continuation: UnsafeContinuation<Value, any Error>?
        @usableFromInline var ticket: FlightTicket<Key>?
        @usableFromInline var hasLeft = false
        @usableFromInline var alarm: DeadlineTimer.Alarm?
        @usableFromInline var wait: FlightGraph.Wait?
        /// For a caller that shares another one's flight.
        @usableFromInline var slept: FlightAccounting.Wait?

        @inlinable
        init() {}
    }

    @usableFromInline typealias Table = FlightTable<Key, Call, Context>

    @usableFromInline
    struct State: Sendable {
        @usableFromInline var table: Table
        @usableFromInline var negatives: NegativeCache<Key, Value>

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
    }

    @usableFromInline let state: Mutex<State>
    @usableFromInline let accounting: FlightAccounting
    @usableFromInline let negative: NegativePolicy<Value>
    @usableFromInline let work: @Sendable (Key) async throws -> Value

    /// - Parameters:
    ///   - name: names the group's mutex, and the group in the path of a cycle.
    ///   - negative: which results are kept for a while.
    ///   - work: makes the value for a key. Its task is cancelled when nobody waits for it any more.
    @inlinable
    public init(
        _ name: StaticString,
        limits: Limits = Limits(),
        negative: NegativePolicy<Value> = .none,
        work: @escaping @Sendable (Key) async throws -> Value
    ) {
        let table = Table(limits: limits) { Context(node: KeyedFlightNode(group: name, key: $0.key)) }
        state = Mutex(name, State(table: table, negatives: NegativeCache(limit: negative.entries)))
        accounting = FlightAccounting(name)
        self.negative = negative
        self.work = work
    }

    /// The value for `key`, from the flight on its way or from one that this call causes.
    ///
    /// - Parameters:
    ///   - freshness: with `requestedAfterNow` only work that begins after this call will do, and no kept result.
    ///   - deadline: how long this caller waits at most.
    /// - Throws: the error of the work; `CancellationError` when the caller was cancelled; ``SingleFlightError``.
    @inlinable
    public func value(
        for key: Key,
        _ freshness: Freshness = .shared,
        until deadline: MonotonicTime? = nil,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function
    ) async throws -> Value {
        try Task.checkCancellation()
        if let deadline, deadline <= .now { throw SingleFlightError.deadlineExceeded }
        let call = Call()
        defer {
            if let alarm = call.alarm { DeadlineTimer.shared.cancel(alarm) }
            if let wait = call.wait { FlightGraph.leave(wait) }
            if let slept = call.slept { accounting.end(slept, isAnswered: !call.hasLeft) }
        }
        return try await withTaskCancellationHandler {
            // SAFETY: a continuation is resumed by the one that takes it out of its call, and at most one does: either
            // the call never came into the table, or one takes it out of there.
            try await unsafe withUnsafeThrowingContinuation { continuation in
                let site = (fileID, line)
                let entrance = unsafe enter(call, continuation, key, freshness, site)
                switch entrance {
                case .answered(let result): unsafe continuation.resume(with: result)
                case .aboard(let boarding):
                    let site = CallSite(fileID: fileID, line: line)
                    if boarding.ticket.isFolded { call.slept = accounting.beginWait(at: site, in: function) }
                    board(call, boarding, until: deadline)
                }
            }
        } onCancel: {
            leave(call, with: CancellationError())
        }
    }

    @inlinable
    func enter(
        _ call: Call,
        _ continuation: UnsafeContinuation<Value, any Error>,
        _ key: Key,
        _ freshness: Freshness,
        _ site: (fileID: StaticString, line: UInt)
    ) -> Entrance {
        let now = freshness == .shared ? negative.time : nil
        return state.withLock(fileID: site.fileID, line: site.line) { state -> Entrance in
            // Cancelled between the first look and here.
            if call.hasLeft { return .answered(.failure(CancellationError())) }
            if let now, let kept = state.negatives.result(for: key, at: now) {
                state.table.statistics.negativeHits += 1
                return .answered(kept)
            }
            switch state.table.join(key, freshness, call) {
            case .failure(let refusal): return .answered(.failure(SingleFlightError.refused(refusal)))
            case .success(let boarding):
                unsafe call.continuation = unsafe continuation
                call.ticket = boarding.ticket
                accounting.noteCall(
                    at: CallSite(fileID: site.fileID, line: site.line),
                    causesWork: boarding.isToBegin
                )
                return .aboard(boarding)
            }
        }
    }

    /// What a call in the table needs besides: its place in the graph, its alarm, and its flight's beginning.
    @inlinable
    func board(_ call: Call, _ boarding: Table.Boarding, until deadline: MonotonicTime?) {
        if let current = FlightNode.ofCaller {
            let behind = boarding.behind?.context.node
            let wait = FlightGraph.Wait(waiter: current, target: boarding.run.context.node, behind: behind)
            do throws(SingleFlightError) {
                try FlightGraph.enter(wait)
                call.wait = wait
            } catch {
                leave(call, with: error)
            }
        }
        if let deadline {
            let alarm = DeadlineTimer.Alarm(at: deadline) { [self] in
                leave(call, with: SingleFlightError.deadlineExceeded, isOnTimer: true)
            }
            call.alarm = alarm
            if !DeadlineTimer.shared.set(alarm) { leave(call, with: SingleFlightError.noThread) }
        }
        if boarding.isToBegin { begin(boarding.run) }
    }

    /// Takes a caller out, unless its answer is on its way.
    ///
    /// - Parameter isOnTimer: cancellation handlers are the work's own code, and may take their time; the timer's
    ///   thread has none.
    @inlinable
    func leave(_ call: Call, with error: any Error, isOnTimer: Bool = false) {
        let (leaving, isTaken) = state.withLock { state -> (Table.Leaving, Bool) in
            call.hasLeft = true
            guard let ticket = call.ticket else { return (Table.Leaving(), false) }
            let leaving = state.table.leave(ticket)
            return (leaving, leaving.waiter != nil)
        }
        if let abandoned = leaving.abandoned {
            abandoned.context.node.end(isCancelled: true)
            if let task = abandoned.context.task {
                if isOnTimer { Task.detached { task.cancel() } } else { task.cancel() }
            }
        }
        if let next = leaving.next { begin(next) }
        if isTaken { unsafe call.continuation.take()?.resume(throwing: error) }
    }

    @inlinable
    func begin(_ run: Table.Run) {
        let task = Task.detached { [self] in await fly(run) }
        let isWanted = state.withLock { $0.table.update(run.flight) { $0.task = task } }
        // Landed, or everybody left before there was a task to cancel.
        if !isWanted { task.cancel() }
    }

    @inlinable
    func fly(_ run: Table.Run) async {
        guard state.withLock({ $0.table.depart(run.flight) }) else { return }
        let result: Result<Value, any Error>
        do {
            result = .success(
                try await run.context.node.perform(work, run.flight.key)
            )
        } catch {
            result = .failure(error)
        }
        land(run, with: result)
    }

    @inlinable
    func land(_ run: Table.Run, with result: Result<Value, any Error>) {
        let isFailure = if case .failure = result { true } else { false }
        let expiry = negative.expiry(of: result)
        let (landing, dropped) = state.withLock { state -> (Table.Landing?, [NegativeCache<Key, Value>.Entry]) in
            guard let landing = state.table.land(run.flight, isFailure: isFailure) else { return (nil, []) }
            return (landing, state.negatives.note(result, for: run.flight.key, until: expiry))
        }
        guard let landing else { return }
        accounting.noteLanding()
        run.context.node.end(isCancelled: false)
        for call in landing.waiters.all { unsafe call.continuation.take()?.resume(with: result) }
        // Under no lock: what was kept is somebody else's.
        withExtendedLifetime(dropped) {
            if let next = landing.next { begin(next) }
        }
    }

    @inlinable
    public var statistics: Statistics { state.withLock { $0.table.statistics } }
}

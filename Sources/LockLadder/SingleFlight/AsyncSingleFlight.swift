public import Synchronization

/// Folds simultaneous calls of tasks for the same thing into one piece of work.
///
/// The work runs in a task of the group's own: no caller's cancellation, priority or task-local values rule the
/// others. Its result, or its error, reaches all who wait for it. ``FlightTask/callers`` chooses a cheaper way.
///
/// - Use it in front of expensive work whose result all callers may share: a download, a query. Do not use it where
///   each caller needs work of its own, nor around what takes less than a microsecond: the task costs more.
/// - A caller that is cancelled, or whose deadline passes, is answered with an error at once; the work goes on for the
///   others. When the last one has left, the work's task is cancelled, in the same step in which the flight is
///   removed: nobody can join a cancelled one. Every caller is answered exactly once.
/// - What the work does before it first waits, it does on the thread of the caller that causes the flight, when that
///   has no deadline: such a caller cannot be answered before the work has come so far.
/// - Keys and callers are bounded; what goes past a bound is refused at once.
/// - A call out of the work of a flight that waits for that very flight, directly or through others and other groups,
///   throws ``SingleFlightError/cycle(path:)`` instead of waiting for ever.
/// - Progress: a mutex around a table; neither work nor callbacks run under it. Deadlines are kept by one thread
///   for the whole process.
/// - Memory order: what the work did before it returned is seen by all whom it answers.
/// - Thread safety: any number of tasks, in any isolation.
public final class AsyncSingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable, FlightOwner {
    public typealias Freshness = FlightFreshness
    public typealias Limits = FlightLimits
    public typealias Statistics = FlightStatistics

    @usableFromInline
    struct Context: Sendable {
        @usableFromInline let node: FlightNode
        /// The work's task, if it is the group's own, once it is made.
        @usableFromInline var task: Task<Void, Never>?

        @inlinable
        init(node: FlightNode) {
            self.node = node
        }
    }

    @usableFromInline
    enum News: Sendable {
        case result(Result<Value, any Error>)
        /// Cancelled, out of time, or refused by the graph.
        case left(any Error)
        /// The flight's work is to be done, by this caller.
        case work
    }

    /// One caller that may have to wait, from its coming to its answer.
    @safe
    @usableFromInline
    final class Call: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: `news` is written once, by the one that took the call out of the table or gave
        // it the work, before `step` says so, and read afterwards; `continuation` the other way round.
        // `isAppointed` is touched under the group's mutex, and by whoever took the call out of the table.
        @usableFromInline let canWork: Bool
        @usableFromInline var isAppointed = false
        @usableFromInline var news: News?
        @usableFromInline var continuation: UnsafeContinuation<Void, Never>?
        /// 0: nothing yet; 1: the caller sleeps; 2: it is told.
        @usableFromInline let step = Atomic<UInt8>(0)

        /// - Parameter canWork: whether the caller can be given the work.
        @inlinable
        init(canWork: Bool) { self.canWork = canWork }

        // Acquiring: pairs with the release in `tell`.
        @inlinable var isTold: Bool { step.load(ordering: .acquiring) == 2 }

        /// To be called once, by whoever took the call out of the table or appointed it.
        @inlinable
        func tell(_ news: News) {
            self.news = news
            // Acquiring and releasing: hands the news over, and takes the continuation.
            guard step.exchange(2, ordering: .acquiringAndReleasing) == 1 else { return }
            unsafe continuation.take()?.resume()
        }

        /// What the caller was told.
        @inlinable
        func answer() throws -> Value {
            switch news {
            case .result(let result): return try result.get()
            case .left(let error): throw error
            case .work, nil: preconditionFailure("a call without an answer")
            }
        }

        /// Waits until it is told.
        @inlinable
        nonisolated(nonsending) func sleep() async {
            await unsafe withUnsafeContinuation { continuation in
                // SAFETY: resumed here when the news is there already, else by the one that tells it.
                unsafe self.continuation = unsafe continuation
                let attempt = step.compareExchange(
                    expected: 0,
                    desired: 1,
                    // Releasing: hands the continuation over. Acquiring: the news is seen.
                    successOrdering: .releasing,
                    failureOrdering: .acquiring
                )
                if !attempt.exchanged { unsafe continuation.resume() }
            }
        }
    }

    /// `nil` for a caller that does the work in its own task: it needs nobody to tell it the result.
    @usableFromInline typealias Table = FlightTable<Key, Call?, Context>

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

    @usableFromInline typealias Site = (fileID: StaticString, line: UInt, function: StaticString)

    @usableFromInline let state: Mutex<State>
    @usableFromInline let accounting: FlightAccounting
    @usableFromInline let negative: NegativePolicy<Value>
    @usableFromInline let task: FlightTask
    @usableFromInline let work: @Sendable (Key) async throws -> Value

    /// - Parameters:
    ///   - name: names the group's mutex, and the group in the path of a cycle.
    ///   - negative: which results are kept for a while.
    ///   - task: whose task does the work.
    ///   - work: makes the value for a key. A task of the group's own is cancelled when nobody waits for it any more.
    @inlinable
    public init(
        _ name: StaticString,
        limits: Limits = Limits(),
        negative: NegativePolicy<Value> = .none,
        task: FlightTask = .groupsOwn,
        work: @escaping @Sendable (Key) async throws -> Value
    ) {
        let table = Table(limits: limits) { Context(node: KeyedFlightNode(group: name, key: $0.key)) }
        state = Mutex(name, State(table: table, negatives: NegativeCache(limit: negative.entries)))
        accounting = FlightAccounting(name)
        self.negative = negative
        self.task = task
        self.work = work
    }

    /// The value for `key`, from the flight on its way or from one that this call causes.
    ///
    /// - Parameters:
    ///   - freshness: with `requestedAfterNow` only work that begins after this call will do, and no kept result.
    ///   - deadline: how long this caller waits at most.
    /// - Throws: the error of the work; `CancellationError` when the caller was cancelled; ``SingleFlightError``.
    @inlinable
    public nonisolated(nonsending) func value(
        for key: Key,
        _ freshness: Freshness = .shared,
        until deadline: MonotonicTime? = nil,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function
    ) async throws -> Value {
        if Task.isCancelled { throw CancellationError() }
        let site = (fileID: fileID, line: line, function: function)
        guard deadline == nil, !negative.keepsAny, CurrentFlight.isNone else {
            return try await join(key, freshness, until: deadline, site)
        }
        switch task {
        case .callers:
            guard let solo = beginAlone(key, nil, site) else { break }
            return try await flyAlone(key, solo)
        case .groupsOwn:
            let call = Call(canWork: false)
            guard let solo = beginAlone(key, call, site) else { break }
            return try await flyHere(key, solo, call, site)
        }
        return try await join(key, freshness, until: nil, site)
    }

    // MARK: Alone

    @inlinable
    @inline(__always)
    func beginAlone(_ key: Key, _ call: Call?, _ site: Site) -> Table.Solo? {
        state.withLock(fileID: site.fileID, line: site.line) { state in
            guard let solo = state.table.beginAlone(key, call) else { return nil }
            accounting.noteCall(at: CallSite(fileID: site.fileID, line: site.line), causesWork: true)
            return solo
        }
    }

    /// The work of a flight that nobody else may ever come to know, done by its caller.
    @inlinable
    @inline(__always)
    nonisolated(nonsending) func flyAlone(_ key: Key, _ solo: Table.Solo) async throws -> Value {
        let value: Value
        do {
            value = try await CurrentFlight(owner: self, id: solo.id, place: solo.place).perform(work, key)
        } catch {
            fail(solo.flight(key), solo.ticket(key), error)
            throw error
        }
        if !state.withLock({ $0.table.landAlone(solo, isFailure: false) }) {
            land(solo.flight(key), with: .success(value))
        }
        return value
    }

    /// The same, done by a task of the group's own, which begins on this thread.
    @inlinable
    nonisolated(nonsending) func flyHere(
        _ key: Key,
        _ solo: Table.Solo,
        _ call: Call,
        _ site: Site
    ) async throws -> Value {
        let task = Task.immediateDetached { [self] in
            let result: Result<Value, any Error>
            do {
                let flight = CurrentFlight(owner: self, id: solo.id, place: solo.place)
                result = .success(try await flight.perform(work, key))
            } catch {
                result = .failure(error)
            }
            let isFailure = if case .failure = result { true } else { false }
            if state.withLock({ $0.table.landAlone(solo, isFailure: isFailure) }) {
                call.tell(.result(result))
            } else {
                land(solo.flight(key), with: result)
            }
        }
        if !call.isTold {
            keep(task, for: solo.flight(key))
            await sleep(call, solo.ticket(key), until: nil, site)
        }
        return try call.answer()
    }

    // MARK: In the caller's task

    /// The work of a flight that others may know, done by one of its callers.
    @inlinable
    nonisolated(nonsending) func fly(_ flight: Table.Flight, _ ticket: FlightTicket<Key>) async throws -> Value {
        let value: Value
        do {
            value = try await CurrentFlight(owner: self, id: flight.id, place: flight.place).perform(work, flight.key)
        } catch {
            fail(flight, ticket, error)
            throw error
        }
        land(flight, with: .success(value))
        return value
    }

    /// The work has thrown: for everybody, unless it is to be done anew because its caller's task was cancelled.
    @inlinable
    @inline(never)
    func fail(_ flight: Table.Flight, _ ticket: FlightTicket<Key>, _ error: any Error) {
        if Task.isCancelled { handOver(flight, ticket) } else { land(flight, with: .failure(error)) }
    }

    /// A caller that did the work leaves, and the flight goes on for the others.
    @inlinable
    func handOver(_ flight: Table.Flight, _ ticket: FlightTicket<Key>) {
        let (leaving, worker) = state.withLock { state -> (Table.Leaving, Call?) in
            let leaving = state.table.leave(ticket)
            return (leaving, Self.appoint(for: leaving.next?.flight ?? flight, in: state.table))
        }
        leaving.abandoned?.context.node.end(isCancelled: true)
        if let next = leaving.next {
            begin(next.flight, worker)
        } else if leaving.abandoned == nil {
            begin(flight, worker)
        }
    }

    /// Gives the work of a flight to one that waits for it, if it can be given to any.
    @inlinable
    static func appoint(for flight: Table.Flight?, in table: Table) -> Call? {
        guard let flight, let waiters = table.waiters(of: flight) else { return nil }
        for case let call? in waiters.all where call.canWork && !call.isAppointed {
            call.isAppointed = true
            return call
        }
        return nil
    }

    // MARK: With others

    @inlinable
    @inline(never)
    nonisolated(nonsending) func join(
        _ key: Key,
        _ freshness: Freshness,
        until deadline: MonotonicTime?,
        _ site: Site
    ) async throws -> Value {
        if let deadline, deadline <= .now { throw SingleFlightError.deadlineExceeded }
        let call = Call(canWork: task == .callers && deadline == nil)
        let boarding: Table.Boarding
        switch enter(call, key, freshness, isToBeginHere: deadline == nil, site) {
        case .answered(let result): return try result.get()
        case .aboard(let new): boarding = new
        }
        let wait = try nest(boarding, call)
        defer { if let wait { FlightGraph.leave(wait) } }
        let flight = boarding.run.flight
        if boarding.isToBegin {
            if call.canWork { return try await fly(flight, boarding.ticket) }
            if deadline == nil { beginHere(flight, call) } else { begin(flight, nil) }
        }
        if !call.isTold { await sleep(call, boarding.ticket, until: deadline, site) }
        guard case .work = call.news else { return try call.answer() }
        // For the rerun: those who come from here on and want a later one are too late for it.
        _ = state.withLock { $0.table.depart(boarding.ticket.flight) }
        return try await fly(boarding.ticket.flight, boarding.ticket)
    }

    @usableFromInline
    enum Entrance: Sendable {
        case answered(Result<Value, any Error>)
        case aboard(Table.Boarding)
    }

    @inlinable
    func enter(
        _ call: Call,
        _ key: Key,
        _ freshness: Freshness,
        isToBeginHere: Bool,
        _ site: Site
    ) -> Entrance {
        let now = freshness == .shared ? negative.time : nil
        return state.withLock(fileID: site.fileID, line: site.line) { state -> Entrance in
            if let now, let kept = state.negatives.result(for: key, at: now) {
                state.table.statistics.negativeHits += 1
                return .answered(kept)
            }
            // A caller that cannot leave before has the work begun at once.
            switch state.table.join(key, freshness, call, hasDeparted: isToBeginHere) {
            case .failure(let refusal): return .answered(.failure(SingleFlightError.refused(refusal)))
            case .success(let boarding):
                accounting.noteCall(at: CallSite(fileID: site.fileID, line: site.line), causesWork: boarding.isToBegin)
                if boarding.isToBegin { call.isAppointed = call.canWork }
                return .aboard(boarding)
            }
        }
    }

    /// Enters the wait of a call that comes out of a flight's work.
    @inlinable
    func nest(_ boarding: Table.Boarding, _ call: Call) throws(SingleFlightError) -> FlightGraph.Wait? {
        guard let current = CurrentFlight.node else { return nil }
        let behind = boarding.behind?.context.node
        let wait = FlightGraph.Wait(waiter: current, target: boarding.run.context.node, behind: behind)
        do throws(SingleFlightError) {
            try FlightGraph.enter(wait)
        } catch {
            if call.isAppointed {
                // It would have done the work, which others may wait for by now.
                handOver(boarding.run.flight, boarding.ticket)
            } else {
                leave(call, boarding.ticket, with: error)
                // Or else the others would wait for a flight that never began.
                if boarding.isToBegin { begin(boarding.run.flight, nil) }
            }
            throw error
        }
        return wait
    }

    /// Waits until the call is told its news, and leaves when its task is cancelled or its deadline passes.
    @inlinable
    nonisolated(nonsending) func sleep(
        _ call: Call,
        _ ticket: FlightTicket<Key>,
        until deadline: MonotonicTime?,
        _ site: Site
    ) async {
        // Whoever caused the work waits for nobody else's.
        let slept =
            ticket.isFolded
            ? accounting.beginWait(at: CallSite(fileID: site.fileID, line: site.line), in: site.function) : nil
        let alarm = deadline.map { deadline in
            DeadlineTimer.Alarm(at: deadline) { [self] in
                leave(call, ticket, with: SingleFlightError.deadlineExceeded, isOnTimer: true)
            }
        }
        if let alarm, !DeadlineTimer.shared.set(alarm) { leave(call, ticket, with: SingleFlightError.noThread) }
        await withTaskCancellationHandler {
            await call.sleep()
        } onCancel: {
            leave(call, ticket, with: CancellationError())
        }
        if let alarm { DeadlineTimer.shared.cancel(alarm) }
        guard let slept else { return }
        let hasLeft = if case .left = call.news { true } else { false }
        accounting.end(slept, isAnswered: !hasLeft)
    }

    /// Takes a caller out, unless its answer is on its way or it does the work.
    ///
    /// - Parameter isOnTimer: cancellation handlers are the work's own code, and may take their time; the timer's
    ///   thread has none.
    @inlinable
    func leave(_ call: Call, _ ticket: FlightTicket<Key>, with error: any Error, isOnTimer: Bool = false) {
        let (leaving, worker) = state.withLock { state -> (Table.Leaving, Call?) in
            guard !call.isAppointed else { return (Table.Leaving(), nil) }
            let leaving = state.table.leave(ticket)
            return (leaving, Self.appoint(for: leaving.next?.flight, in: state.table))
        }
        if let abandoned = leaving.abandoned {
            abandoned.context.node.end(isCancelled: true)
            if let task = abandoned.context.task {
                if isOnTimer { Task.detached { task.cancel() } } else { task.cancel() }
            }
        }
        if let next = leaving.next { begin(next.flight, worker) }
        if leaving.waiter != nil { call.tell(.left(error)) }
    }

    // MARK: In the group's own task

    /// Has the work done by `worker`, or else in a task of the group's own, on the pool.
    @inlinable
    func begin(_ flight: Table.Flight, _ worker: Call?) {
        if let worker { return worker.tell(.work) }
        keep(Task.detached { [self] in await fly(flight) }, for: flight)
    }

    /// Begins the work in a task of the group's own, on this thread until it first waits.
    @inlinable
    func beginHere(_ flight: Table.Flight, _ call: Call) {
        let task = Task.immediateDetached { [self] in await fly(flight, hasDeparted: true) }
        if !call.isTold { keep(task, for: flight) }
    }

    @inlinable
    func keep(_ task: Task<Void, Never>, for flight: Table.Flight) {
        let isWanted = state.withLock { $0.table.update(flight) { $0.task = task } }
        // Landed, or everybody left before there was a task to cancel.
        if !isWanted { task.cancel() }
    }

    @inlinable
    func fly(_ flight: Table.Flight, hasDeparted: Bool = false) async {
        guard hasDeparted || state.withLock({ $0.table.depart(flight) }) else { return }
        let result: Result<Value, any Error>
        do {
            let current = CurrentFlight(owner: self, id: flight.id, place: flight.place)
            result = .success(try await current.perform(work, flight.key))
        } catch {
            result = .failure(error)
        }
        land(flight, with: result)
    }

    @inlinable
    func land(_ flight: Table.Flight, with result: Result<Value, any Error>) {
        typealias Step = (landing: Table.Landing?, worker: Call?, dropped: [NegativeCache<Key, Value>.Entry])
        let isFailure = if case .failure = result { true } else { false }
        let expiry = negative.expiry(of: result)
        let step = state.withLock { state -> Step in
            guard let landing = state.table.land(flight, isFailure: isFailure) else { return (nil, nil, []) }
            let worker = Self.appoint(for: landing.next?.flight, in: state.table)
            return (landing, worker, state.negatives.note(result, for: flight.key, until: expiry))
        }
        guard let landing = step.landing else { return }
        landing.run.context.node.end(isCancelled: false)
        // Whoever did the work has the result.
        let sleepers = landing.waiters.all.compactMap { $0 }.filter { !$0.isAppointed }
        if !sleepers.isEmpty { accounting.noteLanding() }
        for sleeper in sleepers { sleeper.tell(.result(result)) }
        // Under no lock: what was kept is somebody else's.
        withExtendedLifetime(step.dropped) {
            if let next = landing.next { begin(next.flight, step.worker) }
        }
    }

    @inlinable
    func node(of id: UInt64, at place: Int) -> FlightNode? {
        state.withLock { $0.table.context(of: id, at: place)?.node }
    }

    @inlinable
    public var statistics: Statistics { state.withLock { $0.table.statistics } }
}

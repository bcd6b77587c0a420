/// The state machine of single-flight, without a lock and without callbacks: which flights are on their way and who
/// waits for them. Every step says what is to be done once the lock around it is released.
///
/// - An entry is removed by the identity of its flight, so that a late landing never ends a successor.
/// - An entry always has a waiter: the last one who leaves removes it in the same step.
/// - The rerun has its identity from the moment somebody waits for it.
///
/// Not safe for several threads: each group keeps one behind its mutex.
@usableFromInline
struct FlightTable<Key: Hashable & Sendable, Waiter: Sendable, Context: Sendable>: Sendable {
    @usableFromInline typealias Flight = KeyedFlight<Key>
    @usableFromInline typealias Ticket = FlightTicket<Key>

    /// A flight and what its group keeps with it.
    @usableFromInline
    struct Run: Sendable {
        @usableFromInline let flight: Flight
        @usableFromInline var context: Context

        @inlinable
        init(flight: Flight, context: Context) {
            self.flight = flight
            self.context = context
        }
    }

    /// A call that takes part.
    @usableFromInline
    struct Boarding: Sendable {
        @usableFromInline let ticket: Ticket
        /// The flight that will answer.
        @usableFromInline let run: Run
        /// The flight that has to end before `run` can begin.
        @usableFromInline let behind: Run?
        /// Whether the caller is to begin `run`.
        @usableFromInline let isToBegin: Bool

        @inlinable
        init(ticket: Ticket, run: Run, behind: Run?, isToBegin: Bool) {
            self.ticket = ticket
            self.run = run
            self.behind = behind
            self.isToBegin = isToBegin
        }
    }

    @usableFromInline
    struct Landing: Sendable {
        @usableFromInline let run: Run
        @usableFromInline let waiters: WaiterList<Waiter>
        /// The rerun, to be begun.
        @usableFromInline let next: Run?

        @inlinable
        init(run: Run, waiters: WaiterList<Waiter>, next: Run?) {
            self.run = run
            self.waiters = waiters
            self.next = next
        }
    }

    @usableFromInline
    struct Leaving: Sendable {
        /// The one who left; `nil` when its answer is on its way, or was given.
        @usableFromInline var waiter: Waiter?
        /// The flight that nobody wants any more, to be cancelled.
        @usableFromInline var abandoned: Run?
        /// The rerun, to be begun.
        @usableFromInline var next: Run?

        @inlinable
        init(waiter: Waiter? = nil, abandoned: Run? = nil, next: Run? = nil) {
            self.waiter = waiter
            self.abandoned = abandoned
            self.next = next
        }
    }

    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var run: Run
        @usableFromInline var hasDeparted = false
        @usableFromInline var waiters: WaiterList<Waiter>
        /// The flight for those who came too late for `run`; there is one when somebody waits for it.
        @usableFromInline var rerun: Run?
        @usableFromInline var rerunWaiters = WaiterList<Waiter>()

        @inlinable
        init(run: Run, hasDeparted: Bool, waiters: WaiterList<Waiter>) {
            self.run = run
            self.hasDeparted = hasDeparted
            self.waiters = waiters
        }
    }

    @usableFromInline var entries: [Key: Entry] = [:]
    @usableFromInline var nextID: UInt64 = 1
    @usableFromInline let limits: FlightLimits
    @usableFromInline let makeContext: @Sendable (Flight) -> Context
    @usableFromInline var statistics = FlightStatistics()

    @inlinable
    init(limits: FlightLimits, makeContext: @escaping @Sendable (Flight) -> Context) {
        self.limits = limits
        self.makeContext = makeContext
    }

    @inlinable
    mutating func makeID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }

    @inlinable
    mutating func makeRun(_ key: Key) -> Run {
        let flight = Flight(key: key, id: makeID())
        return Run(flight: flight, context: makeContext(flight))
    }

    @inlinable
    func hasFlight(for key: Key) -> Bool { entries[key] != nil }

    @inlinable
    mutating func join(
        _ key: Key,
        _ freshness: FlightFreshness,
        _ waiter: Waiter,
        hasDeparted: Bool = false
    ) -> Result<Boarding, FlightRefusal> {
        let result: Result<Boarding, FlightRefusal>
        if let index = entries.index(forKey: key) {
            result = join(entryAt: index, freshness, waiter)
        } else if entries.count < limits.keys, limits.callers > 0 {
            result = .success(beginEntry(key, waiter, hasDeparted: hasDeparted))
        } else {
            let isFull = entries.count >= limits.keys
            result = .failure(isFull ? .tooManyKeys(limit: limits.keys) : .tooManyCallers(limit: limits.callers))
        }
        switch result {
        case .success(let boarding):
            statistics.calls += 1
            if boarding.ticket.isFolded { statistics.folded += 1 }
        case .failure: statistics.refused += 1
        }
        return result
    }

    @inlinable
    mutating func beginEntry(_ key: Key, _ waiter: Waiter, hasDeparted: Bool) -> Boarding {
        let run = makeRun(key)
        let id = makeID()
        var waiters = WaiterList<Waiter>()
        waiters.append(waiter, id: id)
        takeOff(run, with: waiters, hasDeparted: hasDeparted)
        let ticket = Ticket(flight: run.flight, waiter: id, isFolded: false)
        return Boarding(ticket: ticket, run: run, behind: nil, isToBegin: true)
    }

    // In place: a copy of the entry would copy all its waiters, at every call.
    @inlinable
    mutating func join(
        entryAt index: Dictionary<Key, Entry>.Index,
        _ freshness: FlightFreshness,
        _ waiter: Waiter
    ) -> Result<Boarding, FlightRefusal> {
        let waiting = entries.values[index].waiters.count + entries.values[index].rerunWaiters.count
        guard waiting < limits.callers else { return .failure(.tooManyCallers(limit: limits.callers)) }
        let id = makeID()
        let run = entries.values[index].run
        guard freshness == .requestedAfterNow, entries.values[index].hasDeparted else {
            entries.values[index].waiters.append(waiter, id: id)
            let ticket = Ticket(flight: run.flight, waiter: id, isFolded: true)
            return .success(Boarding(ticket: ticket, run: run, behind: nil, isToBegin: false))
        }
        let planned = entries.values[index].rerun
        let rerun = planned ?? makeRun(run.flight.key)
        entries.values[index].rerun = rerun
        entries.values[index].rerunWaiters.append(waiter, id: id)
        let ticket = Ticket(flight: rerun.flight, waiter: id, isFolded: planned != nil)
        return .success(Boarding(ticket: ticket, run: rerun, behind: run, isToBegin: false))
    }

    @inlinable
    mutating func takeOff(_ run: Run, with waiters: WaiterList<Waiter>, hasDeparted: Bool) {
        entries[run.flight.key] = Entry(run: run, hasDeparted: hasDeparted, waiters: waiters)
        statistics.flights += 1
        statistics.inFlight += 1
    }

    /// Where the entry of `flight` is, unless it is over or was abandoned.
    @inlinable
    func index(of flight: Flight) -> Dictionary<Key, Entry>.Index? {
        guard let index = entries.index(forKey: flight.key) else { return nil }
        return entries.values[index].run.flight.id == flight.id ? index : nil
    }

    /// - Returns: `false` when the flight is over or was abandoned.
    @inlinable
    mutating func depart(_ flight: Flight) -> Bool {
        guard let index = index(of: flight) else { return false }
        entries.values[index].hasDeparted = true
        return true
    }

    /// Changes what is kept with `flight`.
    ///
    /// - Returns: `false` when the flight is over or was abandoned.
    @inlinable
    mutating func update(_ flight: Flight, _ change: (inout Context) -> Void) -> Bool {
        guard let index = index(of: flight) else { return false }
        change(&entries.values[index].run.context)
        return true
    }

    /// Those who wait for `flight`.
    @inlinable
    func waiters(of flight: Flight) -> WaiterList<Waiter>? { index(of: flight).map { entries.values[$0].waiters } }

    /// - Returns: `nil` when the flight is over or was abandoned.
    @inlinable
    mutating func land(_ flight: Flight, isFailure: Bool) -> Landing? {
        guard let index = index(of: flight) else { return nil }
        if isFailure { statistics.failures += 1 }
        let entry = end(at: index)
        return Landing(run: entry.run, waiters: entry.waiters, next: entry.rerun)
    }

    @inlinable
    mutating func leave(_ ticket: Ticket) -> Leaving {
        guard let index = entries.index(forKey: ticket.flight.key) else { return Leaving() }
        if entries.values[index].rerun?.flight.id == ticket.flight.id {
            let waiter = entries.values[index].rerunWaiters.take(ticket.waiter)
            // A rerun that nobody waits for never begins, so nobody has to cancel it.
            if entries.values[index].rerunWaiters.isEmpty { entries.values[index].rerun = nil }
            return Leaving(waiter: waiter)
        }
        guard entries.values[index].run.flight.id == ticket.flight.id else { return Leaving() }
        let waiter = entries.values[index].waiters.take(ticket.waiter)
        guard entries.values[index].waiters.isEmpty else { return Leaving(waiter: waiter) }
        statistics.abandoned += 1
        let entry = end(at: index)
        return Leaving(waiter: waiter, abandoned: entry.run, next: entry.rerun)
    }

    /// Removes the entry and puts that of its rerun in its place.
    @inlinable
    mutating func end(at index: Dictionary<Key, Entry>.Index) -> Entry {
        let entry = entries.remove(at: index).value
        statistics.inFlight -= 1
        if let rerun = entry.rerun { takeOff(rerun, with: entry.rerunWaiters, hasDeparted: false) }
        return entry
    }
}

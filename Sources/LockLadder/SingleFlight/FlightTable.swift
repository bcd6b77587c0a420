/// The state machine of single-flight, without a lock and without callbacks: which flights are on their way and who
/// waits for them. Every step says what is to be done once the lock around it is released.
///
/// - An entry is removed by the identity of its flight, so that a late landing never ends a successor.
/// - An entry always has a waiter: the last one who leaves removes it in the same step.
/// - The rerun has its identity from the moment somebody waits for it.
/// - A flight's context is made when somebody else is to know it: a caller that does the work itself, and meets nobody,
///   needs none (``beginAlone(_:_:)``).
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

    /// A flight that is to follow another one, and who waits for it.
    @usableFromInline
    final class Rerun: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: touched by whoever may touch the table.
        @usableFromInline let run: Run
        @usableFromInline var waiters = WaiterList<Waiter>()

        @inlinable
        init(run: Run) { self.run = run }
    }

    @usableFromInline
    struct Entry: Sendable {
        /// 0: no flight.
        @usableFromInline var id: UInt64 = 0
        /// `nil`: not made yet.
        @usableFromInline var context: Context?
        @usableFromInline var hasDeparted = false
        @usableFromInline var waiters = WaiterList<Waiter>()
        /// For those who came too late for this flight; there is one when somebody waits for it.
        @usableFromInline var rerun: Rerun?

        @inlinable
        init() {}

        @inlinable
        mutating func begin(id: UInt64, hasDeparted: Bool, _ waiter: Waiter, id waiterID: UInt64) {
            self.id = id
            self.hasDeparted = hasDeparted
            waiters.append(waiter, id: waiterID)
        }
    }

    /// What a caller that does the work itself has to know of its flight.
    @usableFromInline
    struct Solo: Sendable {
        @usableFromInline let id: UInt64
        @usableFromInline let place: Int

        @inlinable
        init(id: UInt64, place: Int) {
            self.id = id
            self.place = place
        }

        @inlinable
        func flight(_ key: Key) -> Flight { Flight(key: key, id: id, place: place) }

        @inlinable
        func ticket(_ key: Key) -> Ticket { Ticket(flight: flight(key), waiter: id, isFolded: false) }
    }

    @usableFromInline var entries = FlightSlots<Key, Entry>(blank: Entry())
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
        let id = nextID
        nextID = id + 1
        return id
    }

    // MARK: Alone

    /// The shortest way in, for a caller that does the work itself.
    ///
    /// - Returns: `nil` when there is a flight for `key`, or no room: then nothing was done.
    @inlinable
    mutating func beginAlone(_ key: Key, _ waiter: Waiter) -> Solo? {
        guard entries.count < limits.keys, limits.callers > 0, entries.place(of: key) == nil else { return nil }
        // One number does for the flight and for its first waiter.
        let id = makeID()
        let place = entries.insert(key)
        entries[place].begin(id: id, hasDeparted: true, waiter, id: id)
        statistics.calls &+= 1
        statistics.flights &+= 1
        statistics.inFlight &+= 1
        return Solo(id: id, place: place)
    }

    /// The shortest way out, for a flight that met nobody.
    ///
    /// - Parameter endsContext: whether the caller has and ends the flight's context, if it was made.
    /// - Returns: `false` when there is more to do: then nothing was done.
    @inlinable
    mutating func landAlone(_ solo: Solo, isFailure: Bool, endsContext: Bool = false) -> Bool {
        guard entries[solo.place].waiters.isFirstAlone, entries[solo.place].rerun == nil,
            endsContext || entries[solo.place].context == nil
        else { return false }
        if isFailure { statistics.failures &+= 1 }
        statistics.inFlight &-= 1
        entries[solo.place].id = 0
        entries[solo.place].waiters.clearFirst()
        // The caller has what is in there, the key included, so nothing of anybody's is freed here.
        if endsContext { entries[solo.place].context = nil }
        _ = entries.remove(at: solo.place)
        return true
    }

    // MARK: Together

    /// The flight at an occupied place. Makes its context if need be.
    ///
    /// With the key that lies there, whoever asks, so that what is given back when the flight ends holds it: keys are
    /// freed under no lock.
    @inlinable
    mutating func run(at place: Int) -> Run {
        guard let key = entries.key(at: place) else { preconditionFailure("an occupied place has a key") }
        let flight = Flight(key: key, id: entries[place].id, place: place)
        if let context = entries[place].context { return Run(flight: flight, context: context) }
        let context = makeContext(flight)
        entries[place].context = context
        return Run(flight: flight, context: context)
    }

    /// The context of a flight, unless it is over or was abandoned.
    @inlinable
    mutating func context(of id: UInt64, at place: Int) -> Context? {
        // Later flights may have left fewer places.
        guard place < entries.slots.count, entries[place].id == id else { return nil }
        return run(at: place).context
    }

    @inlinable
    func hasFlight(for key: Key) -> Bool { entries.place(of: key) != nil }

    @inlinable
    mutating func join(
        _ key: Key,
        _ freshness: FlightFreshness,
        _ waiter: Waiter,
        hasDeparted: Bool = false
    ) -> Result<Boarding, FlightRefusal> {
        let result: Result<Boarding, FlightRefusal>
        if let place = entries.place(of: key) {
            result = join(at: place, freshness, waiter)
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
        let place = entries.insert(key)
        let flight = makeID()
        let id = makeID()
        entries[place].begin(id: flight, hasDeparted: hasDeparted, waiter, id: id)
        statistics.flights += 1
        statistics.inFlight += 1
        let run = run(at: place)
        let ticket = Ticket(flight: run.flight, waiter: id, isFolded: false)
        return Boarding(ticket: ticket, run: run, behind: nil, isToBegin: true)
    }

    // In place: a copy of the entry would copy all its waiters, at every call.
    @inlinable
    mutating func join(
        at place: Int,
        _ freshness: FlightFreshness,
        _ waiter: Waiter
    ) -> Result<Boarding, FlightRefusal> {
        let waiting = entries[place].waiters.count + (entries[place].rerun?.waiters.count ?? 0)
        guard waiting < limits.callers else { return .failure(.tooManyCallers(limit: limits.callers)) }
        let id = makeID()
        let run = run(at: place)
        guard freshness == .requestedAfterNow, entries[place].hasDeparted else {
            entries[place].waiters.append(waiter, id: id)
            let ticket = Ticket(flight: run.flight, waiter: id, isFolded: true)
            return .success(Boarding(ticket: ticket, run: run, behind: nil, isToBegin: false))
        }
        let planned = entries[place].rerun?.run
        if planned == nil {
            let flight = Flight(key: run.flight.key, id: makeID(), place: place)
            entries[place].rerun = Rerun(run: Run(flight: flight, context: makeContext(flight)))
        }
        guard let rerun = entries[place].rerun?.run else { preconditionFailure("the rerun was planned just now") }
        entries[place].rerun?.waiters.append(waiter, id: id)
        let ticket = Ticket(flight: rerun.flight, waiter: id, isFolded: planned != nil)
        return .success(Boarding(ticket: ticket, run: rerun, behind: run, isToBegin: false))
    }

    /// Whether `flight` is on its way: neither over nor abandoned.
    @inlinable
    func isOnItsWay(_ flight: Flight) -> Bool {
        flight.place < entries.slots.count && entries[flight.place].id == flight.id
    }

    /// - Returns: `false` when the flight is over or was abandoned.
    @inlinable
    mutating func depart(_ flight: Flight) -> Bool {
        guard isOnItsWay(flight) else { return false }
        entries[flight.place].hasDeparted = true
        return true
    }

    /// Changes what is kept with `flight`.
    ///
    /// - Returns: `false` when the flight is over or was abandoned.
    @inlinable
    mutating func update(_ flight: Flight, _ change: (inout Context) -> Void) -> Bool {
        guard isOnItsWay(flight) else { return false }
        var context = run(at: flight.place).context
        change(&context)
        entries[flight.place].context = context
        return true
    }

    /// Those who wait for `flight`.
    @inlinable
    func waiters(of flight: Flight) -> WaiterList<Waiter>? {
        isOnItsWay(flight) ? entries[flight.place].waiters : nil
    }

    /// - Returns: `nil` when the flight is over or was abandoned.
    @inlinable
    mutating func land(_ flight: Flight, isFailure: Bool) -> Landing? {
        guard isOnItsWay(flight) else { return nil }
        if isFailure { statistics.failures += 1 }
        let run = run(at: flight.place)
        let (waiters, next) = end(at: flight.place)
        return Landing(run: run, waiters: waiters, next: next)
    }

    @inlinable
    mutating func leave(_ ticket: Ticket) -> Leaving {
        let place = ticket.flight.place
        // A rerun keeps its place when it begins, so an entry found elsewhere by the key would be another flight's.
        guard place < entries.slots.count, entries[place].id != 0 else { return Leaving() }
        if entries[place].rerun?.run.flight.id == ticket.flight.id {
            let waiter = entries[place].rerun?.waiters.take(ticket.waiter)
            // A rerun that nobody waits for never begins, so nobody has to cancel it.
            if entries[place].rerun?.waiters.isEmpty == true { entries[place].rerun = nil }
            return Leaving(waiter: waiter)
        }
        guard entries[place].id == ticket.flight.id else { return Leaving() }
        let waiter = entries[place].waiters.take(ticket.waiter)
        guard entries[place].waiters.isEmpty else { return Leaving(waiter: waiter) }
        statistics.abandoned += 1
        let run = run(at: place)
        let (_, next) = end(at: place)
        return Leaving(waiter: waiter, abandoned: run, next: next)
    }

    /// Removes the entry, or puts that of its rerun in its place. Whoever asks has its run, and so its key.
    @inlinable
    mutating func end(at place: Int) -> (waiters: WaiterList<Waiter>, next: Run?) {
        var ended = Entry()
        if let rerun = entries[place].rerun {
            ended.id = rerun.run.flight.id
            ended.context = rerun.run.context
            ended.waiters = rerun.waiters
            swap(&ended, &entries[place])
            statistics.flights += 1
        } else {
            swap(&ended, &entries[place])
            _ = entries.remove(at: place)
            statistics.inFlight -= 1
        }
        return (ended.waiters, ended.rerun?.run)
    }
}

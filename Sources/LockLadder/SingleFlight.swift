/// Folds simultaneous calls for the same thing into one.
///
/// The group owns each flight; callers only wait for it. A flight is begun by `begin`, says `depart` when its
/// request has left for good, and is over when somebody calls `land`. Until then every caller with the same key
/// either shares it or, when it asks for a result *requested after its call* and the request has already left, shares
/// the one rerun that follows.
///
/// - Use it in front of expensive work whose result all callers may share. Do not use it where each caller needs
///   work of its own.
/// - Every caller is answered exactly once: with the result, or not at all after it left.
/// - The last caller to leave cancels the flight, in the same step in which it is removed: nobody can join a
///   cancelled one. An entry is removed by the identity of its flight, so a late `land` never ends a successor.
/// - Keys and callers are bounded; what goes past a bound is refused at once.
/// - Progress: a mutex around a dictionary; no callback runs under it.
public final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// One flight: never used again for another.
    public struct Flight: Hashable, Sendable {
        public let key: Key
        public let id: UInt64
    }

    /// Which flights will do.
    public enum Freshness: Sendable {
        /// Any flight on its way.
        case shared
        /// Only one whose request leaves after this call.
        case requestedAfterNow
    }

    /// How a caller takes part; to be given back to ``leave(_:)``.
    public struct Ticket: Hashable, Sendable {
        fileprivate let key: Key
        fileprivate let waiter: UInt64
        /// Whether the call shares work that another one caused.
        public let isFolded: Bool
    }

    /// A call that was not taken.
    public enum Refusal: Error, Sendable, Equatable {
        case tooManyKeys(limit: Int)
        case tooManyCallers(limit: Int)
    }

    public struct Limits: Sendable {
        public var keys: Int
        /// Callers of one key, those of the rerun included.
        public var callers: Int

        public init(keys: Int = 65_536, callers: Int = 65_536) {
            self.keys = keys
            self.callers = callers
        }
    }

    /// Counts since the group was made.
    public struct Statistics: Sendable, Equatable {
        /// Calls of `join` that were taken.
        public var calls: UInt64 = 0
        /// Calls that caused no flight of their own.
        public var folded: UInt64 = 0
        /// Flights begun.
        public var flights: UInt64 = 0
        /// Flights that landed with a failure.
        public var failures: UInt64 = 0
        /// Flights abandoned because everybody left.
        public var abandoned: UInt64 = 0
        public var refused: UInt64 = 0
        /// Flights on their way now.
        public var inFlight = 0
    }

    public typealias Deliver = @Sendable (Value) -> Void

    private struct Waiter {
        let id: UInt64
        let deliver: Deliver
    }

    private struct Entry {
        var flight: Flight
        var hasDeparted = false
        var waiters: [Waiter]
        /// Callers who came too late for `flight`: they get the next one.
        var rerun: [Waiter] = []

        /// Takes in a waiter; says whether it shares work that another one caused, or `nil` when there is no room.
        mutating func admit(_ waiter: Waiter, _ freshness: Freshness, limit: Int) -> Bool? {
            guard waiters.count + rerun.count < limit else { return nil }
            guard freshness == .requestedAfterNow, hasDeparted else {
                waiters.append(waiter)
                return true
            }
            rerun.append(waiter)
            return rerun.count > 1
        }

        /// Takes out the waiter of this id, if it is here.
        mutating func take(_ id: UInt64) -> Waiter? {
            if let index = waiters.firstIndex(where: { $0.id == id }) { return waiters.remove(at: index) }
            if let index = rerun.firstIndex(where: { $0.id == id }) { return rerun.remove(at: index) }
            return nil
        }
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var nextID: UInt64 = 1
        var statistics = Statistics()

        mutating func makeID() -> UInt64 {
            defer { nextID += 1 }
            return nextID
        }
    }

    private let state: Mutex<State>
    private let limits: Limits
    private let begin: @Sendable (Flight, Freshness) -> Void
    private let cancel: @Sendable (Flight) -> Void
    private let isFailure: @Sendable (Value) -> Bool

    /// - Parameters:
    ///   - name: names the group's mutex.
    ///   - begin: starts the work of a flight, and learns what its first caller asked for. Must not wait.
    ///   - cancel: told that nobody wants a flight any more; landing it afterwards does nothing.
    ///   - isFailure: whether a result counts as a failure.
    public init(
        _ name: StaticString,
        limits: Limits = Limits(),
        begin: @escaping @Sendable (Flight, Freshness) -> Void,
        cancel: @escaping @Sendable (Flight) -> Void,
        isFailure: @escaping @Sendable (Value) -> Bool
    ) {
        state = Mutex(name, State())
        self.limits = limits
        self.begin = begin
        self.cancel = cancel
        self.isFailure = isFailure
    }

    /// Takes part in a flight for `key`, beginning one where needed.
    ///
    /// - Parameter deliver: called once with the result, on the thread that lands the flight. Must not wait.
    @discardableResult
    public func join(
        _ key: Key,
        _ freshness: Freshness,
        deliver: @escaping Deliver
    ) throws(Refusal) -> Ticket {
        let joined = state.withLock { state in
            Self.join(key, freshness, deliver, limits: limits, in: &state)
        }
        let (ticket, flight) = try joined.get()
        if let flight { begin(flight, freshness) }
        return ticket
    }

    private static func join(
        _ key: Key,
        _ freshness: Freshness,
        _ deliver: @escaping Deliver,
        limits: Limits,
        in state: inout State
    ) -> Result<(Ticket, Flight?), Refusal> {
        let waiter = Waiter(id: state.makeID(), deliver: deliver)
        guard let index = state.entries.index(forKey: key) else {
            guard state.entries.count < limits.keys else {
                state.statistics.refused += 1
                return .failure(.tooManyKeys(limit: limits.keys))
            }
            let flight = takeOff(key, with: [waiter], in: &state)
            state.statistics.calls += 1
            return .success((Ticket(key: key, waiter: waiter.id, isFolded: false), flight))
        }
        // In place: a copy of the entry would copy all its waiters, at every call.
        guard let isFolded = state.entries.values[index].admit(waiter, freshness, limit: limits.callers) else {
            state.statistics.refused += 1
            return .failure(.tooManyCallers(limit: limits.callers))
        }
        state.statistics.calls += 1
        if isFolded { state.statistics.folded += 1 }
        return .success((Ticket(key: key, waiter: waiter.id, isFolded: isFolded), nil))
    }

    private static func takeOff(_ key: Key, with waiters: [Waiter], in state: inout State) -> Flight {
        let flight = Flight(key: key, id: state.makeID())
        state.entries[key] = Entry(flight: flight, waiters: waiters)
        state.statistics.flights += 1
        state.statistics.inFlight += 1
        return flight
    }

    /// Says that the request of `flight` is leaving now: callers who want a later one no longer share it.
    ///
    /// - Returns: `false` when the flight is over or was abandoned; then the request is not to be sent.
    public func depart(_ flight: Flight) -> Bool {
        state.withLock { state in
            guard state.entries[flight.key]?.flight == flight else { return false }
            state.entries[flight.key]?.hasDeparted = true
            return true
        }
    }

    /// Ends `flight` with its result and begins the rerun if somebody waits for one. Later calls for the same flight
    /// do nothing.
    public func land(_ flight: Flight, with value: Value) {
        let failed = isFailure(value)
        let (waiters, next) = state.withLock { state -> ([Waiter], Flight?) in
            guard let entry = state.entries[flight.key], entry.flight == flight else { return ([], nil) }
            state.entries[flight.key] = nil
            state.statistics.inFlight -= 1
            if failed { state.statistics.failures += 1 }
            let next = entry.rerun.isEmpty ? nil : Self.takeOff(flight.key, with: entry.rerun, in: &state)
            return (entry.waiters, next)
        }
        for waiter in waiters { waiter.deliver(value) }
        if let next { begin(next, .requestedAfterNow) }
    }

    /// Stops waiting. The call will not be answered any more unless the answer is already on its way.
    public func leave(_ ticket: Ticket) {
        let (left, abandoned, next) = state.withLock { state -> (Waiter?, Flight?, Flight?) in
            guard let index = state.entries.index(forKey: ticket.key) else { return (nil, nil, nil) }
            let left = state.entries.values[index].take(ticket.waiter)
            guard state.entries.values[index].waiters.isEmpty else { return (left, nil, nil) }
            let entry = state.entries.remove(at: index).value
            state.statistics.inFlight -= 1
            state.statistics.abandoned += 1
            let next = entry.rerun.isEmpty ? nil : Self.takeOff(ticket.key, with: entry.rerun, in: &state)
            return (left, entry.flight, next)
        }
        // Outside the lock: what the closure of `left` holds ends with somebody else's code.
        withExtendedLifetime(left) {
            if let abandoned { cancel(abandoned) }
            if let next { begin(next, .requestedAfterNow) }
        }
    }

    public var statistics: Statistics { state.withLock { $0.statistics } }
}

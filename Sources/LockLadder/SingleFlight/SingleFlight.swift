/// Folds simultaneous calls for the same thing into one; driven by callbacks.
///
/// The group owns each flight; callers only wait for it. A flight is begun by `begin`, says `depart` when its
/// request has left for good, and is over when somebody calls `land`. Until then every caller with the same key
/// either shares it or, when it asks for a result *requested after its call* and the request has already left, shares
/// the one rerun that follows.
///
/// - Use it in front of expensive work of an event loop, whose result all callers may share. Callers who can wait
///   have it easier with ``AsyncSingleFlight`` and ``ThreadSingleFlight``. Do not use it where each caller needs work
///   of its own.
/// - Every caller is answered exactly once: with the result, or not at all after it left.
/// - The last caller to leave cancels the flight, in the same step in which it is removed: nobody can join a
///   cancelled one. An entry is removed by the identity of its flight, so a late `land` never ends a successor.
/// - Keys and callers are bounded; what goes past a bound is refused at once.
/// - Progress: a mutex around a table; no callback runs under it.
/// - Memory order: what was done before `land` is seen by the callers' `deliver`.
public final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    public typealias Flight = KeyedFlight<Key>
    public typealias Freshness = FlightFreshness
    public typealias Ticket = FlightTicket<Key>
    public typealias Refusal = FlightRefusal
    public typealias Limits = FlightLimits
    public typealias Statistics = FlightStatistics
    public typealias Deliver = @Sendable (Value) -> Void

    @usableFromInline
    struct NoContext: Sendable {
        @inlinable
        init() {}
    }
    @usableFromInline typealias Table = FlightTable<Key, Deliver, NoContext>

    @usableFromInline let table: Mutex<Table>
    @usableFromInline let begin: @Sendable (Flight, Freshness) -> Void
    @usableFromInline let cancel: @Sendable (Flight) -> Void
    @usableFromInline let isFailure: @Sendable (Value) -> Bool

    /// - Parameters:
    ///   - name: names the group's mutex.
    ///   - begin: starts the work of a flight, and learns what its first caller asked for. Must not wait.
    ///   - cancel: told that nobody wants a flight any more; landing it afterwards does nothing.
    ///   - isFailure: whether a result counts as a failure.
    @inlinable
    public init(
        _ name: StaticString,
        limits: Limits = Limits(),
        begin: @escaping @Sendable (Flight, Freshness) -> Void,
        cancel: @escaping @Sendable (Flight) -> Void,
        isFailure: @escaping @Sendable (Value) -> Bool
    ) {
        table = Mutex(name, Table(limits: limits) { _ in NoContext() })
        self.begin = begin
        self.cancel = cancel
        self.isFailure = isFailure
    }

    /// Takes part in a flight for `key`, beginning one where needed.
    ///
    /// - Parameter deliver: called once with the result, on the thread that lands the flight. Must not wait.
    @discardableResult
    @inlinable
    public func join(
        _ key: Key,
        _ freshness: Freshness,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        deliver: @escaping Deliver
    ) throws(Refusal) -> Ticket {
        let boarding = try table.withLock(fileID: fileID, line: line) { $0.join(key, freshness, deliver) }.get()
        if boarding.isToBegin { begin(boarding.run.flight, freshness) }
        return boarding.ticket
    }

    /// Says that the request of `flight` is leaving now: callers who want a later one no longer share it.
    ///
    /// - Returns: `false` when the flight is over or was abandoned; then the request is not to be sent.
    @inlinable
    public func depart(_ flight: Flight) -> Bool { table.withLock { $0.depart(flight) } }

    /// Ends `flight` with its result and begins the rerun if somebody waits for one. Later calls for the same flight
    /// do nothing.
    @inlinable
    public func land(_ flight: Flight, with value: Value) {
        let failed = isFailure(value)
        guard let landing = table.withLock({ $0.land(flight, isFailure: failed) }) else { return }
        for deliver in landing.waiters.all { deliver(value) }
        if let next = landing.next { begin(next.flight, .requestedAfterNow) }
    }

    /// Stops waiting. The call will not be answered any more unless the answer is already on its way.
    @inlinable
    public func leave(_ ticket: Ticket) {
        let leaving = table.withLock { $0.leave(ticket) }
        // Outside the lock: what the closure of the one who left holds ends with somebody else's code.
        withExtendedLifetime(leaving) {
            if let abandoned = leaving.abandoned { cancel(abandoned.flight) }
            if let next = leaving.next { begin(next.flight, .requestedAfterNow) }
        }
    }

    @inlinable
    public var statistics: Statistics { table.withLock { $0.statistics } }
}

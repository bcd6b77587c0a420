/// One flight of a single-flight group: never used again for another.
public struct KeyedFlight<Key: Hashable & Sendable>: Hashable, Sendable {
    public let key: Key
    public let id: UInt64
    /// Where its group finds it.
    @usableFromInline let place: Int

    @inlinable
    init(key: Key, id: UInt64, place: Int) {
        self.key = key
        self.id = id
        self.place = place
    }
}

/// How a caller takes part in a flight; to be given back when it leaves.
public struct FlightTicket<Key: Hashable & Sendable>: Hashable, Sendable {
    /// The flight that will answer: the one on its way, or the rerun that follows it.
    public let flight: KeyedFlight<Key>
    @usableFromInline let waiter: UInt64
    /// Whether the call shares work that another one caused.
    public let isFolded: Bool

    @inlinable
    init(flight: KeyedFlight<Key>, waiter: UInt64, isFolded: Bool) {
        self.flight = flight
        self.waiter = waiter
        self.isFolded = isFolded
    }
}

/// Which flights will do for a caller.
public enum FlightFreshness: Sendable {
    /// Any flight on its way.
    case shared
    /// Only one whose request leaves after this call.
    case requestedAfterNow
}

/// A call that was not taken because a bound of the group is reached.
public enum FlightRefusal: Error, Sendable, Equatable {
    case tooManyKeys(limit: Int)
    case tooManyCallers(limit: Int)
}

/// The bounds of a single-flight group.
public struct FlightLimits: Sendable {
    public var keys: Int
    /// Callers of one key, those of the rerun included.
    public var callers: Int

    public init(keys: Int = 65_536, callers: Int = 65_536) {
        self.keys = keys
        self.callers = callers
    }
}

/// Counts since a single-flight group was made.
public struct FlightStatistics: Sendable, Equatable {
    /// Calls that took part in a flight.
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
    /// Calls answered from a kept negative result; they took part in no flight.
    public var negativeHits: UInt64 = 0
    /// Flights on their way now.
    public var inFlight = 0

    public init() {}
}

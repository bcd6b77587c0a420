/// A cache for keys that are read all the time: a read goes through three stages, and stops at the first that answers.
///
/// 1. *The snapshot*: a hit takes no lock and waits for nobody.
/// 2. *The flight*: of all who miss a key at once, one fetches and the others share its result. No lock is held during
///    the fetch, so a slow one holds up only those who want that key.
/// 3. *The store*: the result goes into the table under a mutex, held for that alone, and into the next snapshot.
///
/// - Use it for hundreds or a few thousand keys that are read far more often than they change: storing a value copies
///   the table. Do not use it for values that must be new at each read, nor for keys that are hardly ever asked twice.
/// - Entries are bounded. When there is no room, one that was not read for the longest round of a clock's hand gives
///   way ("second chance"). An entry may have a time to live; past it, the next read fetches again.
/// - A result of an older fetch never replaces one of a newer. After ``invalidate(_:)`` has returned, no read that
///   begins then is answered with anything fetched before: it waits for a fetch that began later if need be.
/// - Errors are not kept: they go to those who shared the fetch. A fetch that reads a key that waits for it gets
///   ``SingleFlightError/cycle(path:)``.
/// - Progress: a hit is lock-free; a miss waits for the fetch, with deadline and cancellation as in
///   ``AsyncSingleFlight``.
/// - Memory order: what the fetch did before it returned is seen by all who read its value.
/// - Thread safety: any number of tasks; ``cached(_:)`` and ``invalidate(_:)`` on any thread.
public final class ThreeStageRead<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Fetched: Sendable {
        let value: Value
        let sequence: UInt64
    }

    /// The error of a fetch, with the time of its beginning.
    private struct Failure: Error {
        let error: any Error
        let sequence: UInt64
    }

    let entries: HotEntries<Key, Value>
    private let flights: AsyncSingleFlight<Key, Fetched>

    /// - Parameters:
    ///   - name: names the mutexes of the flights and of the store, and the cache in the path of a cycle.
    ///   - limit: how many entries are kept at most.
    ///   - keepNanoseconds: an entry's time to live; `nil`: until it is invalidated or gives way.
    ///   - now: the clock of the times to live.
    ///   - fetch: makes the value for a key, in a task of its own and under no lock.
    public init(
        _ name: StaticString,
        limit: Int,
        keepNanoseconds: UInt64? = nil,
        flights limits: FlightLimits = FlightLimits(),
        now: @escaping @Sendable () -> MonotonicTime = { .now },
        fetch: @escaping @Sendable (Key) async throws -> Value
    ) {
        let entries = HotEntries<Key, Value>(name, limit: limit, keepNanoseconds: keepNanoseconds, now: now)
        self.entries = entries
        flights = AsyncSingleFlight(name, limits: limits) { key in
            switch entries.begin(key) {
            case .isThere(let entry): return Fetched(value: entry.value, sequence: entry.sequence)
            case .sequence(let sequence):
                let value: Value
                do { value = try await fetch(key) } catch { throw Failure(error: error, sequence: sequence) }
                entries.store(value, for: key, sequence: sequence)
                return Fetched(value: value, sequence: sequence)
            }
        }
    }

    /// The value for `key`, fetched if need be.
    ///
    /// - Throws: the error of the fetch; `CancellationError`; ``SingleFlightError``.
    public func read(
        _ key: Key,
        until deadline: MonotonicTime? = nil,
        fileID: StaticString = #fileID,
        line: UInt = #line
    ) async throws -> Value {
        if let value = entries.cached(key) { return value }
        // A long pause, maybe: the thread is not to keep a table alive meanwhile that has been replaced.
        entries.park()
        let floor = entries.floor(of: key)
        do {
            let fetched = try await flights.value(for: key, .shared, until: deadline, fileID: fileID, line: line)
            if fetched.sequence > floor { return fetched.value }
        } catch let failure as Failure {
            if failure.sequence > floor { throw failure.error }
        }
        // Begun before an invalidation that this call came after: the next one will not have been.
        do {
            return try await flights.value(
                for: key,
                .requestedAfterNow,
                until: deadline,
                fileID: fileID,
                line: line
            ).value
        } catch let failure as Failure {
            throw failure.error
        }
    }

    /// The value for `key` if there is one now: no lock, no wait, no fetch.
    public func cached(_ key: Key) -> Value? { entries.cached(key) }

    /// Lets go of the table that the calling thread looked into last, and frees what nobody looks into any more. An idle
    /// thread keeps its table alive, and with it values that were invalidated since: to be called where that matters.
    public func park() {
        entries.park()
        entries.reclaim()
    }

    /// Makes a reader for a thread that looks up all the time: it keeps its place among the readers of the snapshot.
    public func makeReader() -> ThreeStageReader<Key, Value> { ThreeStageReader(entries) }

    /// Says that what was fetched for `key` so far is out of date.
    public func invalidate(_ key: Key) { entries.invalidate(key) }

    public var statistics: ThreeStageStatistics {
        var statistics = entries.statistics
        statistics.flights = flights.statistics
        return statistics
    }
}

/// Looks into the snapshot of a ``ThreeStageRead`` for one thread, or for whoever has exclusive access to it.
///
/// An idle reader keeps the table alive that it looked into last, with its values, until it looks again or is parked.
public struct ThreeStageReader<Key: Hashable & Sendable, Value: Sendable>: ~Copyable {
    private let entries: HotEntries<Key, Value>
    private var reader: SnapshotReader<HotEntries<Key, Value>.Index>

    init(_ entries: HotEntries<Key, Value>) {
        self.entries = entries
        reader = entries.makeReader()
    }

    /// The value for `key` if there is one now: no lock, no wait, no fetch.
    public mutating func cached(_ key: Key) -> Value? { entries.cached(key, by: &reader) }

    /// Lets go of the table looked into last, before a long pause.
    public mutating func park() { reader.park() }
}

/// Counts since a ``ThreeStageRead`` was made. Hits are not counted: that would make readers write.
public struct ThreeStageStatistics: Sendable, Equatable {
    /// Entries kept now.
    public var entries = 0
    /// Results that became entries.
    public var stored: UInt64 = 0
    /// Results that were out of date before they could be stored.
    public var discarded: UInt64 = 0
    /// Entries that gave way to others.
    public var evicted: UInt64 = 0
    public var invalidated: UInt64 = 0
    /// The reads that the snapshot did not answer.
    public var flights = FlightStatistics()

    public init() {}
}

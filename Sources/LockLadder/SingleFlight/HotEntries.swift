internal import Synchronization

/// The entries of a ``ThreeStageRead``: a table under a mutex, and a snapshot of it that readers see without a lock.
///
/// - Every fetch has a sequence number, taken when it begins, and so has every invalidation. An entry gives way only to
///   one of a later fetch, and none is stored of a fetch that began before the last invalidation of its key, or
///   before the fetch of an entry of it that gave way to another key. Of these floors only the highest for each of 256
///   classes of keys is known, which bounds the memory: at worst a result is not kept although it might have been.
/// - Snapshots are published outside the mutex, since what they free is somebody else's. One thread at a time does it,
///   for all who changed the table meanwhile; that an entry is no longer valid is said in the entry itself, so it holds
///   at once for every snapshot.
/// - The entry that gives way when all places are taken: a hand goes round over the places, and passes over those read
///   since it last came by (CLOCK, or "second chance").
final class HotEntries<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    final class Entry: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: `place` is touched under the table's mutex only; the rest is immutable or
        // atomic.
        let key: Key
        let value: Value
        let sequence: UInt64
        let expiry: MonotonicTime?
        private let valid = Atomic<Bool>(true)
        private let read = Atomic<Bool>(false)
        fileprivate var place = 0

        init(key: Key, value: Value, sequence: UInt64, expiry: MonotonicTime?) {
            self.key = key
            self.value = value
            self.sequence = sequence
            self.expiry = expiry
        }

        // Relaxed: whoever knows of an invalidation has it from the one that called it, and with it the store.
        var isValid: Bool { valid.load(ordering: .relaxed) }

        // Relaxed: see `isValid`.
        fileprivate func invalidate() { valid.store(false, ordering: .relaxed) }

        /// Says that the entry is in use. Only the first read since the hand came by writes.
        func touch() {
            // Relaxed: a hint to the hand.
            if !read.load(ordering: .relaxed) { read.store(true, ordering: .relaxed) }
        }

        // Relaxed: see `touch`.
        fileprivate func forgetReads() -> Bool { read.exchange(false, ordering: .relaxed) }
    }

    final class Index: Sendable {
        let entries: [Key: Entry]
        init(_ entries: [Key: Entry]) { self.entries = entries }
    }

    /// What a fetch finds when it is about to begin.
    enum Beginning: Sendable {
        case isThere(Entry)
        case sequence(UInt64)
    }

    private struct State: Sendable {
        var entries: [Key: Entry] = [:]
        var places: [Entry?] = []
        var free: [Int] = []
        var hand = 0
        var sequence: UInt64 = 0
        var floors: [UInt64] = Array(repeating: 0, count: 256)
        var hasNews = false
        var isPublishing = false
        var statistics = ThreeStageStatistics()

        mutating func makeSequence() -> UInt64 {
            sequence += 1
            return sequence
        }

        func floor(of key: Key) -> UInt64 { floors[Self.slot(of: key)] }

        static func slot(of key: Key) -> Int { Int(UInt(bitPattern: key.hashValue) % 256) }

        /// Takes out the entry of `key`; its place is free. Snapshots that have it still do not serve it any more: an
        /// invalidation that comes later could not find it.
        mutating func remove(_ key: Key) -> Entry? {
            guard let entry = entries.removeValue(forKey: key) else { return nil }
            entry.invalidate()
            places[entry.place] = nil
            free.append(entry.place)
            return entry
        }

        /// The entry that gives way; the hand passes over each place twice at most.
        mutating func evict() -> Entry? {
            var victim: Entry?
            for _ in 0..<(2 * places.count) where victim == nil {
                if let entry = places[hand], !entry.forgetReads() { victim = entry }
                hand = (hand + 1) % places.count
            }
            // None when all were read anew while the hand went round: then whichever comes first.
            guard let entry = victim ?? places.lazy.compactMap({ $0 }).first else { return nil }
            statistics.evicted += 1
            // A fetch older than this one may still be on its way.
            floors[Self.slot(of: entry.key)] = max(floor(of: entry.key), entry.sequence)
            return remove(entry.key)
        }

        mutating func insert(_ entry: Entry) {
            if let place = free.popLast() {
                entry.place = place
                places[place] = entry
            } else {
                entry.place = places.count
                places.append(entry)
            }
            entries[entry.key] = entry
        }
    }

    private let cell: SnapshotCell<Index>
    private let state: Mutex<State>
    private let limit: Int
    private let keepNanoseconds: UInt64?
    private let now: @Sendable () -> MonotonicTime

    init(
        _ name: StaticString,
        limit: Int,
        keepNanoseconds: UInt64?,
        now: @escaping @Sendable () -> MonotonicTime
    ) {
        cell = SnapshotCell(name, Index([:]))
        state = Mutex(name, State())
        self.limit = limit
        self.keepNanoseconds = keepNanoseconds
        self.now = now
    }

    // MARK: First stage: the snapshot

    func makeReader() -> SnapshotReader<Index> { cell.makeReader() }

    /// The value of `key` if the snapshot has it. Takes no lock.
    func cached(_ key: Key) -> Value? {
        // The clock is somebody else's, so the entry is taken out of the read before it is asked.
        live(cell.withSnapshot { $0.entries[key] })
    }

    func park() { cell.park() }

    func reclaim() { cell.reclaim() }

    func cached(_ key: Key, by reader: inout SnapshotReader<Index>) -> Value? {
        live(reader.withSnapshot { $0.entries[key] })
    }

    private func live(_ entry: Entry?) -> Value? {
        guard let entry, isLive(entry) else { return nil }
        entry.touch()
        return entry.value
    }

    private func isLive(_ entry: Entry) -> Bool {
        guard entry.isValid else { return false }
        guard let expiry = entry.expiry else { return true }
        return now() < expiry
    }

    // MARK: Third stage: the store

    /// The newest invalidation that may have been one of `key`.
    func floor(of key: Key) -> UInt64 { state.withLock { $0.floor(of: key) } }

    /// Looks once more before a fetch: another one may have landed since the snapshot was read.
    func begin(_ key: Key) -> Beginning {
        let (entry, sequence) = state.withLock { ($0.entries[key], $0.makeSequence()) }
        if let entry, isLive(entry) { return .isThere(entry) }
        return .sequence(sequence)
    }

    func store(_ value: Value, for key: Key, sequence: UInt64) {
        let expiry = keepNanoseconds.map { now().advanced(byNanoseconds: $0) }
        let entry = Entry(key: key, value: value, sequence: sequence, expiry: expiry)
        change { state in
            let existing = state.entries[key]
            guard self.limit > 0, sequence > state.floor(of: key), sequence > (existing?.sequence ?? 0) else {
                state.statistics.discarded += 1
                // Whoever shared this fetch has its result: an older one may not be served after it.
                guard let existing, existing.sequence < sequence else { return [existing].compactMap { $0 } }
                return [state.remove(key)].compactMap { $0 }
            }
            var dropped = [state.remove(key)]
            if state.entries.count >= self.limit { dropped.append(state.evict()) }
            state.insert(entry)
            state.statistics.stored += 1
            return dropped.compactMap { $0 }
        }
    }

    func invalidate(_ key: Key) {
        change { state in
            state.floors[State.slot(of: key)] = state.makeSequence()
            state.statistics.invalidated += 1
            return [state.remove(key)].compactMap { $0 }
        }
    }

    /// Changes the table and publishes it.
    ///
    /// - Parameter body: returns what it took out, to be freed under no lock.
    private func change(_ body: (inout State) -> [Entry]) {
        var (dropped, news) = state.withLock { state -> ([Entry], [Key: Entry]?) in
            let dropped = body(&state)
            // Whoever is publishing looks again before it goes.
            state.hasNews = state.isPublishing
            defer { state.isPublishing = true }
            return (dropped, state.isPublishing ? nil : state.entries)
        }
        // Each turn answers to changes made during the last one, so it ends when no fetch lands meanwhile.
        while let entries = news {
            cell.publish(Index(entries))
            news = state.withLock { state in
                state.isPublishing = state.hasNews
                state.hasNews = false
                return state.isPublishing ? state.entries : nil
            }
        }
        dropped.removeAll()
    }

    var statistics: ThreeStageStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.entries = state.entries.count
            return statistics
        }
    }
}

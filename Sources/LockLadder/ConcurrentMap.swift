internal import Synchronization

/// A dictionary for many threads, split into shards with a mutex each: threads with different keys rarely meet.
///
/// Use it where many threads look up, put in and change single entries. Do not use it where all entries must be seen
/// at one moment or changed together (one ``Mutex`` around a dictionary), nor where nearly everybody only reads
/// (publish a dictionary with ``SnapshotCell``), nor for expensive values that must not be made twice
/// (``SingleFlight``, ``Once``).
///
/// - Progress: blocking, as ``Mutex``; a stopped holder stops the keys of its shard only.
/// - Memory order: what was written before a value was put in is seen by those who find it.
/// - Thread safety: any thread may call anything at any time. Each operation on one key is a single step; those on the
///   whole map go from shard to shard and see no single moment.
/// - Whose code runs under a lock: the keys' `==`, and the body of ``withValue(for:_:)``. Neither may use the map.
///   Hashing, making a value, judging entries and releasing keys and values that leave the map happen outside.
/// - Hash flooding: hashes are the standard library's, seeded anew for each process (unless the environment variable
///   `SWIFT_DETERMINISTIC_HASHING` is set), so keys that collide cannot be prepared from outside.
/// - Errors: with a capacity, putting in one key more throws ``Full`` and changes nothing.
@safe
public final class ConcurrentMap<Key: Hashable & Sendable, Value: Sendable>: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the shards are initialised in init and freed in deinit, their address never
    // changes, and what they hold is touched under their mutexes only.

    /// A key was not put in, because there are as many as the map may hold.
    public struct Full: Error, Sendable, Equatable {
        public let capacity: Int

        @usableFromInline
        init(capacity: Int) { self.capacity = capacity }
    }

    /// Why ``value(for:orInsert:)`` gave no value.
    public enum InsertionFailure<Failure: Error>: Error {
        case full(Full)
        /// What `make` threw.
        case notMade(Failure)
    }

    /// A key with its hash, which is computed once and outside the lock.
    @usableFromInline
    struct Place: Hashable, Sendable {
        @usableFromInline let key: Key
        @usableFromInline let hash: Int

        @inlinable
        init(_ key: Key) {
            self.key = key
            hash = key.hashValue
        }

        @inlinable
        static func == (left: Place, right: Place) -> Bool { left.hash == right.hash && left.key == right.key }

        @inlinable
        func hash(into hasher: inout Hasher) { hasher.combine(hash) }

        /// What the dictionary asks for: its bits are scattered already, and to scatter them again takes as long as all
        /// the rest of a look-up. The seed is the dictionary's own, so that to copy one is not to go along its collisions.
        @inlinable
        func _rawHashValue(seed: Int) -> Int { hash ^ seed }
    }

    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline var value: Value
        /// Differs after each change, so that an entry that was judged outside the lock is known again.
        @usableFromInline var change: UInt64

        @inlinable
        init(value: Value, change: UInt64) {
            self.value = value
            self.change = change
        }
    }

    @usableFromInline
    struct Shard: Sendable {
        @usableFromInline var entries: [Place: Entry] = [:]
        @usableFromInline var changes: UInt64 = 0

        init() {}

        @inlinable
        mutating func nextChange() -> UInt64 {
            changes &+= 1
            return changes
        }

        @inlinable
        mutating func insert(_ value: Value, at place: Place) {
            entries[place] = Entry(value: value, change: nextChange())
        }

        /// In place, by index: to assign by key would replace, and release, the key that is there.
        @inlinable
        mutating func replaceValue(at index: Dictionary<Place, Entry>.Index, by value: Value) -> Value {
            var value = value
            entries.values[index].change = nextChange()
            swap(&entries.values[index].value, &value)
            return value
        }
    }

    /// How many entries there are or are just being put in, on a line of its own.
    private final class Occupancy: Sendable {
        private let before: InlineArray<16, UInt64> = .init(repeating: 0)
        let count = Atomic<Int>(0)
        private let after: InlineArray<15, UInt64> = .init(repeating: 0)
    }

    @usableFromInline typealias Lock = Mutex<Shard>

    private static var mostShards: Int { 256 }
    /// Each shard begins on a line of its own: 128 bytes, or a multiple.
    @inlinable static var stride: Int { (MemoryLayout<Lock>.size + 127) & ~127 }

    @usableFromInline let shards: UnsafeMutableRawPointer
    @usableFromInline let shardBits: Int
    @usableFromInline let capacity: Int?
    /// Kept up only when there is a capacity, as all writers share it.
    private let occupancy = Occupancy()

    /// - Parameters:
    ///   - name: names the mutexes of all shards.
    ///   - capacity: how many entries there may be at most. Without it the caller sees to it that the map does not grow
    ///     for ever.
    ///   - shards: rounded up to a power of two, at most 256. Without it, four for each processor online.
    public init(_ name: StaticString, capacity: Int? = nil, shards count: Int? = nil) {
        let count = ProcessorCount.powerOfTwo(
            atLeast: count ?? 4 * ProcessorCount.powerOfTwo(atMost: Self.mostShards / 4),
            atMost: Self.mostShards
        )
        self.capacity = capacity
        shardBits = count.trailingZeroBitCount
        unsafe shards = .allocate(byteCount: count * Self.stride, alignment: 128)
        for index in 0..<count {
            unsafe lockPointer(index).initialize(to: Mutex(name, Shard()))
        }
    }

    deinit {
        for index in 0..<shardCount { unsafe lockPointer(index).deinitialize(count: 1) }
        unsafe shards.deallocate()
    }

    public var shardCount: Int { 1 << shardBits }

    @inlinable
    func lockPointer(_ index: Int) -> UnsafeMutablePointer<Lock> {
        // SAFETY: `index` is below the number of shards that were allocated; the memory holds nothing but locks.
        unsafe (shards + index * Self.stride).assumingMemoryBound(to: Lock.self)
    }

    /// The shard of a key: the upper bits of its hash, as the dictionary inside makes use of all of them.
    @inlinable
    func index(of place: Place) -> Int {
        Int(truncatingIfNeeded: UInt(bitPattern: place.hash) >> UInt(UInt.bitWidth - shardBits))
    }

    // MARK: One key

    /// The value of a key, copied.
    @inlinable
    public func value(for key: Key, fileID: StaticString = #fileID, line: UInt = #line) -> Value? {
        let place = Place(key)
        return unsafe lockPointer(index(of: place)).pointee.withLock(fileID: fileID, line: line) {
            $0.entries[place]?.value
        }
    }

    /// Puts a value in the place of the one that is there, or of none.
    ///
    /// - Returns: the value that was there.
    @discardableResult
    @inlinable
    public func updateValue(
        _ value: Value,
        for key: Key,
        fileID: StaticString = #fileID,
        line: UInt = #line
    ) throws(Full) -> Value? {
        let place = Place(key)
        return unsafe try lockPointer(index(of: place)).pointee.withLock(fileID: fileID, line: line) {
            shard throws(Full) -> Value? in
            if let index = shard.entries.index(forKey: place) { return shard.replaceValue(at: index, by: value) }
            try reserve()
            shard.insert(value, at: place)
            return nil
        }
    }

    /// - Returns: the value that was there.
    @discardableResult
    @inlinable
    public func removeValue(for key: Key, fileID: StaticString = #fileID, line: UInt = #line) -> Value? {
        let place = Place(key)
        // The key that was in the map leaves the lock along with the value.
        let removed = unsafe lockPointer(index(of: place)).pointee.withLock(fileID: fileID, line: line) {
            shard -> (key: Place, value: Entry)? in
            guard let index = shard.entries.index(forKey: place) else { return nil }
            let removed = shard.entries.remove(at: index)
            giveBack(1)
            return removed
        }
        return removed?.value.value
    }

    /// Changes the value of a key in place, under the lock of its shard.
    ///
    /// `body` must be short and must not use the map; a value that it replaces is released under the lock. What it has
    /// changed before it throws stays changed.
    ///
    /// - Returns: what `body` returned; `nil` when there is no such key.
    @inlinable
    public func withValue<Result: Sendable, Failure: Error>(
        for key: Key,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        _ body: (inout Value) throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        let place = Place(key)
        return unsafe try lockPointer(index(of: place)).pointee.withLock(fileID: fileID, line: line) {
            shard throws(Failure) -> Result? in
            guard let index = shard.entries.index(forKey: place) else { return nil }
            shard.entries.values[index].change = shard.nextChange()
            return try body(&shard.entries.values[index].value)
        }
    }

    /// Changes the value of a key in place, under the lock of its shard; puts `initial` in first when there is none.
    ///
    /// As ``withValue(for:fileID:line:_:)``. `initial` is made by the caller, outside the lock.
    @inlinable
    public func withValue<Result: Sendable>(
        for key: Key,
        default initial: Value,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        _ body: (inout Value) -> Result
    ) throws(Full) -> Result {
        let place = Place(key)
        return unsafe try lockPointer(index(of: place)).pointee.withLock(fileID: fileID, line: line) {
            shard throws(Full) -> Result in
            guard let index = shard.entries.index(forKey: place) else {
                try reserve()
                var value = initial
                let result = body(&value)
                shard.insert(value, at: place)
                return result
            }
            shard.entries.values[index].change = shard.nextChange()
            return body(&shard.entries.values[index].value)
        }
    }

    /// The value of a key; when there is none, what `make` returns is put in.
    ///
    /// `make` runs without a lock held, so several callers may make a value for one key at once. One of them wins and
    /// all get that one's; the other values are released outside the lock. For a key beyond the capacity `make` is not
    /// run, unless the map becomes full meanwhile.
    @inlinable
    public func value<Failure: Error>(
        for key: Key,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        orInsert make: () throws(Failure) -> Value
    ) throws(InsertionFailure<Failure>) -> Value {
        let place = Place(key)
        let lock = unsafe lockPointer(index(of: place))
        let found = unsafe lock.pointee.withLock(fileID: fileID, line: line) { $0.entries[place]?.value }
        if let found { return found }
        if let capacity, isFull { throw .full(Full(capacity: capacity)) }
        let made: Value
        do throws(Failure) { made = try make() } catch { throw .notMade(error) }
        do throws(Full) {
            return unsafe try lock.pointee.withLock(fileID: fileID, line: line) { shard throws(Full) -> Value in
                if let winner = shard.entries[place]?.value { return winner }
                try reserve()
                shard.insert(made, at: place)
                return made
            }
        } catch { throw .full(error) }
    }

    // MARK: The whole map

    /// How many entries there are, counted shard by shard: not of one moment while others change the map.
    public var count: Int {
        var count = 0
        for index in 0..<shardCount { count += unsafe lockPointer(index).pointee.withLock { $0.entries.count } }
        return count
    }

    /// Copies all entries, shard by shard: an entry that is there throughout is in it once, but two entries may be of
    /// different moments. A shard is locked while its entries are copied.
    public func snapshot() -> [(key: Key, value: Value)] {
        (0..<shardCount).flatMap { index in
            copyOfShard(index).map { (key: $0.key.key, value: $0.value.value) }
        }
    }

    /// Removes the entries that `shouldRemove` is true of, shard by shard.
    ///
    /// `shouldRemove` runs without a lock held, on a copy. An entry that is changed or put in anew between judgement
    /// and removal stays. When `shouldRemove` throws, what was removed before stays removed.
    ///
    /// - Returns: how many were removed.
    @discardableResult
    public func removeAll<Failure: Error>(
        where shouldRemove: (Key, Value) throws(Failure) -> Bool
    ) throws(Failure) -> Int {
        var count = 0
        for index in 0..<shardCount {
            var judged: [(key: Place, change: UInt64)] = []
            for (place, entry) in copyOfShard(index) where try shouldRemove(place.key, entry.value) {
                judged.append((place, entry.change))
            }
            if judged.isEmpty { continue }
            let removed = remove(judged, fromShard: index)
            count += removed.count
        }
        return count
    }

    /// An array and not the dictionary itself, which the next writer would have to copy under the lock.
    private func copyOfShard(_ index: Int) -> [(key: Place, value: Entry)] {
        unsafe lockPointer(index).pointee.withLock { shard in shard.entries.map { ($0.key, $0.value) } }
    }

    /// Removes those that have not changed since, and hands them out to be released outside the lock.
    private func remove(
        _ judged: [(key: Place, change: UInt64)],
        fromShard index: Int
    ) -> [(key: Place, value: Entry)] {
        unsafe lockPointer(index).pointee.withLock { shard in
            var removed: [(key: Place, value: Entry)] = []
            for (place, change) in judged {
                guard let found = shard.entries.index(forKey: place) else { continue }
                if shard.entries[found].value.change == change { removed.append(shard.entries.remove(at: found)) }
            }
            giveBack(removed.count)
            return removed
        }
    }

    // MARK: Capacity

    /// A look ahead; ``reserve()`` decides.
    @usableFromInline
    var isFull: Bool {
        guard let capacity else { return false }
        // Relaxed: see reserve.
        return occupancy.count.load(ordering: .relaxed) >= capacity
    }

    /// Takes room for one entry more.
    @usableFromInline
    func reserve() throws(Full) {
        guard let capacity else { return }
        // Relaxed throughout: a number that nothing else is ordered by.
        var count = occupancy.count.load(ordering: .relaxed)
        // Ends: a round fails only because another thread took or gave back room.
        while count < capacity {
            let outcome = occupancy.count.compareExchange(expected: count, desired: count + 1, ordering: .relaxed)
            if outcome.exchanged { return }
            count = outcome.original
        }
        throw Full(capacity: capacity)
    }

    @usableFromInline
    func giveBack(_ count: Int) {
        // Relaxed: see reserve.
        if capacity != nil { occupancy.count.subtract(count, ordering: .relaxed) }
    }
}

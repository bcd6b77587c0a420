/// Entries by their keys, each at a place that it keeps until it is removed: whoever knows the place finds the entry
/// again without a look at the key.
///
/// While there are few, a key is found by comparing it with each, which costs less than to hash it once; with more by
/// hashing, seeded anew in each process. Once empty, it begins again with few.
///
/// Not safe for several threads: it lies in what a group's mutex guards.
@usableFromInline
struct FlightSlots<Key: Hashable & Sendable, Entry: Sendable>: Sendable {
    /// So many are compared one by one.
    @inlinable static var few: Int { 4 }
    /// The end of a chain.
    @inlinable static var none: Int { -1 }

    @usableFromInline
    struct Slot: Sendable {
        /// `nil`: free.
        @usableFromInline var key: Key?
        @usableFromInline var entry: Entry
        /// Of the key; not known while there are few.
        @usableFromInline var hash = 0
        /// The next one of the same bucket, or the next free one.
        @usableFromInline var next = -1

        @inlinable
        init(_ entry: Entry) { self.entry = entry }
    }

    @usableFromInline var slots: ContiguousArray<Slot> = []
    /// The first place of each chain; a power of two of them, none while there are few.
    @usableFromInline var buckets: ContiguousArray<Int> = []
    @usableFromInline var firstFree = -1
    @usableFromInline var count = 0
    /// What a free slot holds.
    @usableFromInline let blank: Entry

    @inlinable
    init(blank: Entry) { self.blank = blank }

    @inlinable
    func place(of key: Key) -> Int? {
        guard !buckets.isEmpty else {
            for place in 0..<slots.count {
                if let candidate = slots[place].key, candidate == key { return place }
            }
            return nil
        }
        let hash = key.hashValue
        var place = buckets[hash & (buckets.count - 1)]
        while place != Self.none {
            if slots[place].hash == hash, let candidate = slots[place].key, candidate == key { return place }
            place = slots[place].next
        }
        return nil
    }

    /// The key at an occupied place.
    @inlinable
    func key(at place: Int) -> Key? { slots[place].key }

    @inlinable
    subscript(place: Int) -> Entry {
        _read { yield slots[place].entry }
        _modify { yield &slots[place].entry }
    }

    /// Takes a place for `key`, which has none yet. The entry there is a blank one.
    @inlinable
    mutating func insert(_ key: Key) -> Int {
        if firstFree == Self.none { grow() }
        let place = firstFree
        count += 1
        firstFree = slots[place].next
        slots[place].key = key
        if !buckets.isEmpty {
            slots[place].hash = key.hashValue
            link(place)
        }
        return place
    }

    /// Gives an occupied place up, whose entry has been made a blank one again.
    ///
    /// - Returns: the key, to be freed under no lock.
    @inlinable
    mutating func remove(at place: Int) -> Key? {
        count -= 1
        if !buckets.isEmpty { unlink(place) }
        let key = slots[place].key.take()
        slots[place].next = firstFree
        firstFree = place
        if count == 0, !buckets.isEmpty { beginAgain() }
        return key
    }

    @inlinable
    mutating func link(_ place: Int) {
        let bucket = slots[place].hash & (buckets.count - 1)
        slots[place].next = buckets[bucket]
        buckets[bucket] = place
    }

    @inlinable
    mutating func unlink(_ place: Int) {
        let bucket = slots[place].hash & (buckets.count - 1)
        guard buckets[bucket] != place else {
            buckets[bucket] = slots[place].next
            return
        }
        var before = buckets[bucket]
        while slots[before].next != place { before = slots[before].next }
        slots[before].next = slots[place].next
    }

    /// Makes room for one more. All places are occupied.
    @usableFromInline
    @inline(never)
    mutating func grow() {
        let place = slots.count
        slots.append(Slot(blank))
        firstFree = place
        guard slots.count > max(Self.few, buckets.count) else { return }
        let isFirst = buckets.isEmpty
        buckets = ContiguousArray(repeating: Self.none, count: max(16, buckets.count * 2))
        for place in 0..<place {
            if isFirst, let key = slots[place].key { slots[place].hash = key.hashValue }
            link(place)
        }
    }

    /// Nothing is here: each insertion since the last time has paid for one of the slots that go.
    @usableFromInline
    @inline(never)
    mutating func beginAgain() {
        slots.removeAll(keepingCapacity: slots.count <= 64)
        buckets = []
        firstFree = Self.none
    }
}

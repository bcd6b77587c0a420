/// The kept negative results of a group, at most so many; the oldest gives way. Lies in what the group's mutex guards,
/// so it frees nothing of the callers' itself: what is dropped is given back.
@usableFromInline
struct NegativeCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    @usableFromInline
    struct Entry: Sendable {
        @usableFromInline let key: Key
        @usableFromInline let result: Result<Value, any Error>
        @usableFromInline let expiry: MonotonicTime
        @usableFromInline let number: UInt64

        @inlinable
        init(key: Key, result: Result<Value, any Error>, expiry: MonotonicTime, number: UInt64) {
            self.key = key
            self.result = result
            self.expiry = expiry
            self.number = number
        }
    }

    @usableFromInline var entries: [Key: Entry] = [:]
    /// The keys in the order of their entries' making, from `oldest` on; those whose entry has gone or was made anew
    /// are passed over.
    @usableFromInline var order: [(key: Key, number: UInt64)] = []
    @usableFromInline var oldest = 0
    @usableFromInline var nextNumber: UInt64 = 0
    @usableFromInline let limit: Int

    @inlinable
    init(limit: Int) { self.limit = limit }

    @inlinable
    var count: Int { entries.count }

    @inlinable
    func result(for key: Key, at now: MonotonicTime) -> Result<Value, any Error>? {
        guard let entry = entries[key], now < entry.expiry else { return nil }
        return entry.result
    }

    /// Takes note of what became of a flight: the result is kept until `expiry`, or what was kept before goes.
    ///
    /// - Returns: what is no longer kept, to be freed under no lock.
    @inlinable
    mutating func note(_ result: Result<Value, any Error>, for key: Key, until expiry: MonotonicTime?) -> [Entry] {
        guard limit > 0 else { return [] }
        var dropped: [Entry] = []
        if let old = entries.removeValue(forKey: key) { dropped.append(old) }
        guard let expiry else { return dropped }
        while entries.count >= limit, let old = removeOldest() { dropped.append(old) }
        entries[key] = Entry(key: key, result: result, expiry: expiry, number: nextNumber)
        order.append((key, nextNumber))
        nextNumber += 1
        // Each removal has paid for the one place that is moved here.
        if order.count > 2 * limit + 8 {
            order = order[oldest...].filter { entries[$0.key]?.number == $0.number }
            oldest = 0
        }
        return dropped
    }

    @inlinable
    mutating func removeOldest() -> Entry? {
        while oldest < order.count {
            let (key, number) = order[oldest]
            oldest += 1
            if entries[key]?.number == number { return entries.removeValue(forKey: key) }
        }
        return nil
    }
}

/// The member names met so far in each object that is still open: finds the ones written twice.
///
/// One hash table for all open objects. Names leave it in the reverse of the order in which they came, so a slot can
/// simply be cleared: whatever was pushed past it by linear probing has left before. The hash is seeded for each
/// process, so nobody can prepare names that collide.
struct OpenNames {
    private struct Entry {
        var hash: Int
        var start: Int
        var count: Int
        var depth: Int
    }

    private var text: [UInt8] = []
    private var entries: [Entry] = []
    /// How many entries there were when each open object began.
    private var objects: [Int] = []
    /// Positions in `entries`, plus one; 0 is free. At most half are taken.
    private var slots = [UInt32](repeating: 0, count: 16)

    mutating func beginObject() { objects.append(entries.count) }

    mutating func endObject() {
        guard let first = objects.popLast() else { return }
        while entries.count > first, let entry = entries.popLast() {
            let stored = UInt32(entries.count + 1)
            var slot = entry.hash & (slots.count - 1)
            while slots[slot] != stored { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = 0
            text.removeLast(entry.count)
        }
    }

    /// - Returns: `false` when the innermost open object has that name already.
    mutating func insert(_ name: ArraySlice<UInt8>) -> Bool {
        if (entries.count + 1) * 2 > slots.count { grow() }
        let depth = objects.count
        let hash = Self.hash(name, depth: depth)
        var slot = hash & (slots.count - 1)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            if entry.hash == hash, entry.depth == depth,
                text[entry.start..<(entry.start + entry.count)].elementsEqual(name)
            {
                return false
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        entries.append(Entry(hash: hash, start: text.count, count: name.count, depth: depth))
        text.append(contentsOf: name)
        slots[slot] = UInt32(entries.count)
        return true
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for (position, entry) in entries.enumerated() {
            var slot = entry.hash & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(position + 1)
        }
    }

    private static func hash(_ name: ArraySlice<UInt8>, depth: Int) -> Int {
        var hasher = Hasher()
        hasher.combine(depth)
        // SAFETY: the pointer is read inside the closure only, where the slice keeps its bytes alive.
        name.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

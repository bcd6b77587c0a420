/// A hash index from key to leaf: open addressing over one block of memory, with a seed of its own.
///
/// A slot is looked at, then the key's bytes, then nothing: what is not needed to decide stays untouched, as each touch
/// of another line costs more than all the computing, once there are many keys.
final class KeyIndex: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: written in init only, freed in deinit.

    struct Slot {
        /// The upper 48 bits of the hash and, below them, the key's length, at most ``longest``; 0 for none, as no taken
        /// slot's hash is.
        var tag: UInt64
        var keyStart: UInt32
        /// In the table's leaves.
        var position: UInt32
    }

    /// Keys of this length and longer are told apart by their leaves.
    private static let longest = 0xFFFF

    private let seed: UInt64
    private let mask: Int
    private let slots: UnsafeMutablePointer<Slot>

    /// - Parameter seed: drawn anew, but where a test shows what keys can do that are made for a seed.
    init(of table: LeafTable, seed: UInt64 = UInt64.random(in: 0...UInt64.max)) {
        // Few keys get much room, where each lies in its own place nearly always: a look at the next place costs the
        // processor a wrong guess. Many get less, as then it is the memory that costs: at most three quarters are full.
        let room = table.count <= 4_096 ? 3 * table.count : table.count / 3
        var capacity = 8
        while capacity <= table.count + room { capacity *= 2 }
        let mask = capacity - 1
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: capacity)
        slots.initialize(repeating: Slot(tag: 0, keyStart: 0, position: 0), count: capacity)
        table.bytes.withUnsafeBytes { raw in
            for (position, leaf) in table.leaves.enumerated() {
                let hash = Self.hash(UnsafeRawBufferPointer(rebasing: raw[leaf.key]), seed: seed)
                var place = Self.place(of: hash) & mask
                while slots[place].tag != 0 { place = (place &+ 1) & mask }
                let tag = Self.tag(hash, length: Int(leaf.keyLength))
                slots[place] = Slot(tag: tag, keyStart: leaf.keyStart, position: UInt32(position))
            }
        }
        self.seed = seed
        self.mask = mask
        self.slots = slots
    }

    deinit { slots.deallocate() }

    private static func tag(_ hash: UInt64, length: Int) -> UInt64 {
        (hash & ~UInt64(longest)) | UInt64(min(length, longest))
    }

    /// By other bits than those that the tag keeps first.
    private static func place(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash ^ (hash >> 32)) }

    @inline(__always)
    func find(_ key: UnsafeRawBufferPointer, in table: LeafTable) -> Int? {
        guard let wanted = key.baseAddress, key.count >= 8, key.count < Self.longest else {
            return find(unusual: key, in: table)
        }
        let hash = Self.hash(key, seed: seed)
        let tag = Self.tag(hash, length: key.count)
        var place = Self.place(of: hash) & mask
        return table.bytes.withUnsafeBytes { raw in
            // Ends: a quarter of the slots or more are free.
            while true {
                let slot = slots[place]
                if slot.tag == tag, let start = raw.baseAddress {
                    // In bounds: the slot's key begins there and, by its tag, is as long as the wanted one.
                    if Self.areEqual(start + Int(slot.keyStart), wanted, key.count) { return Int(slot.position) }
                }
                if slot.tag == 0 { return nil }
                place = (place &+ 1) & mask
            }
        }
    }

    /// Keys that are too short to be read by words, or so long that the tag does not tell their length.
    @inline(never)
    private func find(unusual key: UnsafeRawBufferPointer, in table: LeafTable) -> Int? {
        let hash = Self.hash(key, seed: seed)
        let tag = Self.tag(hash, length: key.count)
        var place = Self.place(of: hash) & mask
        return table.bytes.withUnsafeBytes { raw in
            while slots[place].tag != 0 {
                let slot = slots[place]
                if slot.tag == tag {
                    let candidate = raw[table.leaves[Int(slot.position)].key]
                    if candidate.count == key.count, candidate.elementsEqual(key) { return Int(slot.position) }
                }
                place = (place &+ 1) & mask
            }
            return nil
        }
    }

    /// Of eight bytes or more. Eight at a time, the last eight overlapping those before them.
    @inline(__always)
    private static func areEqual(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        func word(_ start: UnsafeRawPointer, _ offset: Int) -> UInt64 {
            start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        }
        var offset = 0
        while offset &+ 8 < count {
            guard word(left, offset) == word(right, offset) else { return false }
            offset &+= 8
        }
        return word(left, count &- 8) == word(right, count &- 8)
    }

    /// A seeded multiply-and-fold hash over sixteen bytes at a time, the last ones overlapping those before them. Never
    /// zero, nor are its upper 48 bits.
    ///
    /// The two factors of a product see the seed turned by a half, and the length is added to it: were it the same for
    /// both, keys that swap their first two words would collide whatever it is, and so would such of two lengths that
    /// differ in their first word by what the lengths differ in.
    @inline(__always)
    static func hash(_ key: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        let count = key.count
        let turned = seed << 32 | seed >> 32
        var state = seed &+ UInt64(count) &* 0x9E37_79B9_7F4A_7C15
        guard let start = key.baseAddress, count > 0 else { return fold(state, ~seed | 1) | 1 << 63 }
        func word(_ offset: Int) -> UInt64 { start.loadUnaligned(fromByteOffset: offset, as: UInt64.self) }
        if count < 8 {
            var word: UInt64 = 0
            for offset in 0..<count { word = word << 8 | UInt64(start.load(fromByteOffset: offset, as: UInt8.self)) }
            return fold(fold(state ^ word, turned ^ 0x2D35_8DCC_AA6C_78A5), 0x8BB8_4B93_962E_ACC9) | 1 << 63
        }
        var offset = 0
        while offset &+ 16 < count {
            state = fold(word(offset) ^ state, word(offset &+ 8) ^ turned ^ 0x2D35_8DCC_AA6C_78A5)
            offset &+= 16
        }
        let head = word(max(0, count &- 16))
        return fold(head ^ state, word(count &- 8) ^ turned ^ 0x4B33_A62E_D433_D4A3) | 1 << 63
    }

    @inline(__always)
    private static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}

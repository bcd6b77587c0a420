/// A hash index from key to leaf: open addressing, a seed of its own, nothing owned but two arrays.
struct KeyIndex: Sendable {
    private let seed: UInt64
    private let mask: Int
    /// High half of the hash (never zero for a taken slot) and, below it, the leaf's position.
    private let slots: [UInt64]

    init(of table: LeafTable) {
        var capacity = 8
        while capacity < table.count * 2 { capacity *= 2 }
        let seed = UInt64.random(in: 0...UInt64.max)
        let mask = capacity - 1
        var slots = [UInt64](repeating: 0, count: capacity)
        table.bytes.withUnsafeBytes { raw in
            for (position, leaf) in table.leaves.enumerated() {
                let hash = Self.hash(UnsafeRawBufferPointer(rebasing: raw[leaf.key]), seed: seed)
                var slot = Int(truncatingIfNeeded: hash) & mask
                while slots[slot] != 0 { slot = (slot + 1) & mask }
                slots[slot] = (hash & 0xFFFF_FFFF_0000_0000) | UInt64(position)
            }
        }
        self.seed = seed
        self.mask = mask
        self.slots = slots
    }

    func find(_ key: UnsafeRawBufferPointer, in table: LeafTable) -> Int? {
        let hash = Self.hash(key, seed: seed)
        let wanted = hash & 0xFFFF_FFFF_0000_0000
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            if slots[slot] & 0xFFFF_FFFF_0000_0000 == wanted {
                let position = Int(slots[slot] & 0xFFFF_FFFF)
                let leaf = table.leaves[position]
                let isEqual = table.bytes.withUnsafeBytes { raw in
                    Int(leaf.keyLength) == key.count && raw[leaf.key].elementsEqual(key)
                }
                if isEqual { return position }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// A seeded multiply-and-fold hash over eight bytes at a time. The result's high half is never zero.
    static func hash(_ key: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
            let product = left.multipliedFullWidth(by: right)
            return product.high ^ product.low
        }
        var state = seed ^ (UInt64(key.count) &* 0x9E37_79B9_7F4A_7C15)
        var offset = 0
        while offset + 8 <= key.count {
            let word = key.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            state = fold(state ^ word ^ 0x2D35_8DCC_AA6C_78A5, seed | 1 ^ 0x8BB8_4B93_962E_ACC9)
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < key.count {
            tail = tail << 8 | UInt64(key[offset])
            offset += 1
        }
        state = fold(state ^ tail ^ 0x4B33_A62E_D433_D4A3, ~seed | 1)
        return fold(state, 0x9E37_79B9_7F4A_7C15) | 1 << 63
    }
}

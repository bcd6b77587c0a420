import Testing

@testable import ConfigSnapshot

/// Keys that are made for the index's hash, with and without its seed.
@Suite("The index's seed")
struct HostileSeedTests {
    private static let blockSecret: UInt64 = 0x2D35_8DCC_AA6C_78A5
    private static let lastSecret: UInt64 = 0x4B33_A62E_D433_D4A3
    private static let perByte: UInt64 = 0x9E37_79B9_7F4A_7C15

    private func hash(_ key: [UInt8], _ seed: UInt64) -> UInt64 {
        key.withUnsafeBytes { KeyIndex.hash($0, seed: seed) }
    }

    private func bytes(_ words: UInt64...) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
    }

    /// In how many of a thousand seeds two keys have one hash.
    private func collisions(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var random = SeededGenerator(seed: 4)
        return (0..<1_000).count { _ in
            let seed = random.next()
            return hash(left, seed) == hash(right, seed)
        }
    }

    @Test("No two keys collide whatever the seed: neither with their first words swapped, nor of two lengths")
    func whateverTheSeed() {
        var random = SeededGenerator(seed: 5)
        for length in 17...200 {
            let difference = UInt64(length) &* Self.perByte ^ Self.blockSecret
            let (first, second) = (random.next(), random.next())
            let rest = [UInt8](repeating: 0x61, count: length - 16)
            let swapped = bytes(second ^ difference, first ^ difference) + rest
            #expect(collisions(bytes(first, second) + rest, swapped) == 0, "\(length)")
            guard length % 16 != 0 else { continue }
            let lengths = UInt64(length) &* Self.perByte ^ UInt64(length + 1) &* Self.perByte
            let longer = bytes(first ^ lengths, second) + rest + [0x61]
            #expect(collisions(bytes(first, second) + rest, longer) == 0, "\(length)")
        }
        let difference = 16 &* Self.perByte ^ Self.lastSecret
        let (first, second) = (random.next(), random.next())
        #expect(collisions(bytes(first, second), bytes(second ^ difference, first ^ difference)) == 0)
        // The same in letters alone, as a document can hold it.
        let rest = [UInt8](repeating: UInt8(ascii: "x"), count: 902 - 16)
        #expect(collisions(Array("i7uEwAf3xyPjrNg7".utf8) + rest, Array("#0M@( $m2~ho-/%i".utf8) + rest) == 0)
    }

    @Test("The control: an index with the seed that keys were made for looks through all of them")
    func control() throws {
        let count = 2_000
        let keys = (0..<count).map { Array("\(10_000_000 + $0)collides-database-ms".utf8) }
        let leaves = table(keys.map { (key: $0, value: "1") })
        // What makes the second factor of the first product zero, as it is or turned by a half.
        let word = "collides".utf8.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) } ^ Self.blockSecret
        let known = word << 32 | word >> 32
        #expect(Set(keys.map { hash($0, known) }).count == 1)
        func longestRun(_ index: KeyIndex) throws -> Int {
            let parts = Dictionary(
                Mirror(reflecting: index).children.map { ($0.label ?? "", $0.value) },
                uniquingKeysWith: { $1 }
            )
            let slots = try #require(parts["slots"] as? UnsafeMutablePointer<KeyIndex.Slot>)
            let mask = try #require(parts["mask"] as? Int)
            return withExtendedLifetime(index) {
                (0...mask).map { slots[$0].tag != 0 }.split(separator: false).map(\.count).max() ?? 0
            }
        }
        let fixed = KeyIndex(of: leaves, seed: known)
        // All but what lies beyond the last place.
        #expect(try longestRun(fixed) >= count / 2)
        #expect(try longestRun(KeyIndex(of: leaves)) < 40)
        for (position, key) in keys.enumerated() where position % 17 == 0 {
            #expect(key.withUnsafeBytes { fixed.find($0, in: leaves) } == position)
        }
    }
}

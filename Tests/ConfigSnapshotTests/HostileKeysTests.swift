import Testing

@testable import ConfigSnapshot

/// Keys that somebody has thought out.
@Suite("Hostile keys")
struct HostileKeysTests {
    private static let count = 1_000_000

    /// Whoever knows the seed writes "collides" behind the first eight bytes of a key, and these no longer count: the
    /// other factor of the product is zero.
    private static let known: UInt64 = {
        let word = "collides".utf8.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) } ^ 0x2D35_8DCC_AA6C_78A5
        return word << 32 | word >> 32
    }()

    /// `count` keys of 28 bytes, in order: a number of eight digits, and what `rest` gives. Each has one digit as its
    /// value.
    private static func keys(_ rest: () -> [UInt8]) -> LeafTable {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * 29)
        var leaves: [LeafTable.Leaf] = []
        leaves.reserveCapacity(count)
        var digits = [UInt8](repeating: UInt8(ascii: "0"), count: 8)
        for number in 0..<count {
            leaves.append(
                LeafTable.Leaf(keyStart: bytes.count, keyLength: 28, valueStart: bytes.count + 28, valueLength: 1)
            )
            bytes += digits
            bytes += rest()
            bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
            var place = 7
            while place >= 0, digits[place] == UInt8(ascii: "9") {
                digits[place] = UInt8(ascii: "0")
                place -= 1
            }
            if place >= 0 { digits[place] += 1 }
        }
        return LeafTable(bytes: bytes, unsortedLeaves: leaves)
    }

    private static func hostileKeys() -> LeafTable { keys { Array("collides.database.ms".utf8) } }

    private static func usualKeys() -> LeafTable {
        var random = SeededGenerator(seed: 3)
        return keys {
            let (first, second) = (random.next(), random.next())
            return (0..<20).map { 0x61 + UInt8(((($0 < 12 ? first : second) >> UInt64($0 % 12 * 5)) & 31) % 26) }
        }
    }

    /// What an index is made of, without anything added to it for a test's sake.
    private struct Inside {
        var seed: UInt64
        var mask: Int
        var slots: UnsafeMutablePointer<KeyIndex.Slot>

        init(_ index: KeyIndex) throws {
            let parts = Dictionary(
                Mirror(reflecting: index).children.map { ($0.label ?? "", $0.value) },
                uniquingKeysWith: { $1 }
            )
            seed = try #require(parts["seed"] as? UInt64)
            mask = try #require(parts["mask"] as? Int)
            slots = try #require(parts["slots"] as? UnsafeMutablePointer<KeyIndex.Slot>)
        }

        init(_ snapshot: Snapshot) throws {
            let index = Mirror(reflecting: snapshot).children.first { $0.label == "index" }?.value
            try self.init(#require(index as? KeyIndex))
        }
    }

    /// How far a search may have to go: it never leaves the run of taken slots in which it begins.
    private struct Runs: CustomStringConvertible {
        var longest = 0
        var taken = 0
        private var squares = 0

        /// Of a key's run, on average.
        var mean: Double { Double(squares) / Double(taken) }
        var description: String { "\(mean) on average, at most \(longest)" }

        /// For as long as `index` lives.
        init(_ index: Inside) {
            var run = 0
            for place in 0...index.mask {
                if index.slots[place].tag != 0 {
                    run += 1
                    continue
                }
                end(&run)
            }
            end(&run)
        }

        private mutating func end(_ run: inout Int) {
            longest = max(longest, run)
            taken += run
            squares += run * run
            run = 0
        }
    }

    @Test("A million keys that collide for whoever knows the seed: it is drawn anew, and they are keys like any other")
    func colliding() throws {
        let hostile = Self.hostileKeys()
        // The control: with the seed they were made for, they all come to one hash, and so to one place.
        func hashes(_ seed: UInt64) -> Set<UInt64> {
            hostile.bytes.withUnsafeBytes { raw in
                Set(hostile.leaves.map { KeyIndex.hash(.init(rebasing: raw[$0.key]), seed: seed) })
            }
        }
        #expect(hashes(Self.known).count == 1)
        #expect(hashes(Self.known ^ 1).count == Self.count)

        let snapshots = (try snapshot([hostile]), try snapshot([Self.usualKeys()]))
        let (attacked, usual) = (try Inside(snapshots.0), try Inside(snapshots.1))
        #expect(attacked.seed != Self.known && attacked.seed != usual.seed)
        #expect(attacked.mask == usual.mask)
        let (runs, usualRuns) = (Runs(attacked), Runs(usual))
        #expect(runs.taken == Self.count && usualRuns.taken == Self.count)
        // About 3.6 and 80 with any keys: chance varies the first by a hundredth, and the second by a third.
        #expect(runs.mean < 1.2 * usualRuns.mean, "\(runs); usual: \(usualRuns)")
        #expect(runs.longest < 4 * usualRuns.longest, "\(runs); usual: \(usualRuns)")

        for position in stride(from: 0, to: Self.count, by: 97) {
            var key = Array(hostile.bytes[hostile.leaves[position].key])
            #expect(key.withUnsafeBytes { snapshots.0.leafIndex(of: $0) } == position)
            key[8] ^= 1
            #expect(key.withUnsafeBytes { snapshots.0.leafIndex(of: $0) } == nil)
        }
    }

    @Test("The same document twice: each snapshot has a seed of its own")
    func seeds() throws {
        let leaves = table(["a": "1"])
        let seeds = Set(try (0..<8).map { _ in try Inside(try snapshot([leaves])).seed })
        #expect(seeds.count == 8)
    }

    @Test("What keys look like changes nothing: counted up, all alike but for one byte, whatever byte it is")
    func patterns() throws {
        func runs(_ keys: [[UInt8]]) throws -> Runs {
            let index = KeyIndex(of: table(keys.map { (key: $0, value: "1") }))
            return try withExtendedLifetime(index) { Runs(try Inside(index)) }
        }
        // More than 4,096, where the index is fuller; the same number of each.
        let count = 7_650
        var random = SeededGenerator(seed: 1)
        let usual = try runs((0..<count).map { _ in (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) } })
        let plain = [UInt8](repeating: 0x61, count: 32)
        let families: [(name: String, keys: [[UInt8]])] = [
            ("a number at the end", (0..<count).map { plain + Array(String(10_000 + $0).utf8) }),
            ("a number at the front", (0..<count).map { Array(String(10_000 + $0).utf8) + plain }),
            ("short", (0..<count).map { Array(String($0).utf8) }),
            (
                "one byte of thirty",
                (0..<30).flatMap { place in
                    (1...255).map { value in
                        var key = plain
                        key[place] ^= UInt8(value)
                        return key
                    }
                }
            ),
            ("ever longer", (1...count).map { [UInt8](repeating: 0x61, count: 1 + $0 % 512) + [UInt8($0 / 512)] }),
        ]
        for (name, keys) in families {
            let found = try runs(keys)
            #expect(found.taken == count, "\(name)")
            #expect(found.mean < 2 * usual.mean, "\(name): \(found); usual: \(usual)")
            #expect(found.longest < 6 * usual.longest, "\(name): \(found); usual: \(usual)")
        }
    }

    @Test("Names that other languages trip over, twins, dots and slashes: each key finds itself alone")
    func lookAlikes() throws {
        let names = [
            "__proto__", "constructor", "prototype", "toString", "", " ", "\0", "\0\0", "a\0", "a\0b", "a", "A", "a.b",
            "a/b", "a//b", "/", "//", ".", "..", "../a", "a%2Fb", "%00", "\u{1}", "\u{7F}", "\u{80}", "\"", "\\",
            "\\\\",
            "\"a\"", "a\"", "\u{E9}", "e\u{301}", "\u{212B}", "\u{C5}", "A\u{30A}", "K", "\u{212A}", "\u{FEFF}a",
            "a\u{200B}",
            "\u{1E9E}", "\u{DF}", "ss", "\u{131}", "i", "I", "\u{430}", "\u{FB01}", "fi", "\u{D55C}",
            "\u{1112}\u{1161}\u{11AB}", "\u{10FFFF}", "\u{FFFD}", "\u{FFFF}",
        ]
        let keys = names.map { DottedKey.join([$0]) } + names.map { DottedKey.join(["below", $0]) }
        let leaves = table(keys.enumerated().map { (key: Array($0.element.utf8), value: String($0.offset)) })
        #expect(leaves.count == keys.count)
        let whole = try snapshot([leaves])
        for (number, key) in keys.enumerated() {
            #expect(whole.value(at: key)?.json.elementsEqual(String(number).utf8) == true, "\(key)")
            var remembered = RememberedKey(key)
            #expect(whole.leafIndex(of: &remembered) == whole.leafIndex(of: key), "\(key)")
            let names = DottedKey.split(key.utf8)
            #expect(names.map { DottedKey.join($0).utf8.elementsEqual(key.utf8) } == true, "\(key)")
            // Without it there is nothing under it, however much another one looks the same.
            let others = table(
                keys.enumerated().filter { $0.offset != number }.map { (key: Array($0.element.utf8), value: "1") }
            )
            #expect(try snapshot([others]).value(at: key) == nil, "\(key)")
        }
    }
}

import ConfigSnapshot
import LockLadder
import Synchronization

/// Numbers in an order that nobody can foresee and that is always the same.
struct XorShift {
    private var state: UInt64 = 88_172_645_463_325_252

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// Keys that are looked up, and the order in which they are.
final class KeySequence: @unchecked Sendable {
    // SAFETY: never changed after init.
    let keys: [String]
    /// Read by address, so that going through it costs one load.
    private let order: UnsafeMutablePointer<UInt32>
    private let mask: Int

    init(_ count: Int) {
        keys = count == KeyLiterals.strings.count ? KeyLiterals.strings : (0..<count).map(Self.key)
        var length = 4_096
        while length < count { length *= 2 }
        mask = length - 1
        order = .allocate(capacity: length)
        var numbers = XorShift()
        for position in 0..<length { order[position] = UInt32(numbers.next() % UInt64(count)) }
    }

    deinit { order.deallocate() }

    @inline(__always)
    func number(at position: Int) -> Int { Int(order[position & mask]) }

    @inline(__always)
    func key(at position: Int) -> String { keys[number(at: position)] }

    /// 28 bytes: `service.00000042.settings.xx`.
    static func key(_ number: Int) -> String {
        let digits = String(number)
        return "service." + String(repeating: "0", count: 8 - digits.count) + digits + ".settings.xx"
    }
}

// MARK: Look-up in a snapshot

extension KeySequence {
    /// A snapshot in which each key has its number.
    fileprivate var snapshot: Snapshot {
        var bytes: [UInt8] = []
        var leaves: [LeafTable.Leaf] = []
        for (number, key) in keys.enumerated() {
            let start = bytes.count
            bytes.append(contentsOf: key.utf8)
            let middle = bytes.count
            bytes.append(contentsOf: String(number).utf8)
            leaves.append(
                LeafTable.Leaf(
                    keyStart: start,
                    keyLength: middle - start,
                    valueStart: middle,
                    valueLength: bytes.count - middle
                )
            )
        }
        let digest = ContentDigest(bytes: [UInt8](repeating: 0, count: 32))!
        let revision = SourceRevision(
            source: SourceName("bench")!,
            digest: digest,
            validators: .none,
            fetchedAt: 0,
            traceID: ""
        )
        return Snapshot(
            generation: 1,
            merged: LayerMerge([LeafTable(bytes: bytes, unsortedLeaves: leaves)]),
            digest: digest,
            publishedAt: 0,
            sources: [revision]
        )
    }

    /// By the position of a key in that snapshot, its number.
    fileprivate func numbers(in snapshot: Snapshot) -> [UInt64] {
        var numbers = [UInt64](repeating: 0, count: keys.count)
        for (number, key) in keys.enumerated() { numbers[snapshot.leafIndex(of: key)!] = UInt64(number) }
        return numbers
    }
}

/// As a service does it: the newest snapshot, the value at the key, and what its JSON says.
private enum ValueReading: Work {
    static func run(_ shared: (sequence: KeySequence, cell: SnapshotCell<Snapshot>), _ index: Int, _ round: inout Round)
    {
        let sequence = shared.sequence
        var reader = shared.cell.makeReader()
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            let key = sequence.key(at: position)
            return reader.withSnapshot { snapshot in
                guard let value = snapshot.value(at: key) else { fatalError("a key is missing") }
                var number: UInt64 = 0
                for digit in value.json { number = number &* 10 &+ UInt64(digit &- UInt8(ascii: "0")) }
                return number
            }
        }
        round.batches(step)
    }
}

/// The look-up alone: where the key is.
private enum LeafReading: Work {
    static func run(
        _ shared: (sequence: KeySequence, cell: SnapshotCell<Snapshot>, numbers: [UInt64]),
        _ index: Int,
        _ round: inout Round
    ) {
        let (sequence, numbers) = (shared.sequence, shared.numbers)
        var reader = shared.cell.makeReader()
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            let key = sequence.key(at: position)
            guard let leaf = reader.withSnapshot({ $0.leafIndex(of: key) }) else { fatalError("a key is missing") }
            return numbers[leaf]
        }
        round.batches(step)
    }
}

/// The same for keys that are literals all along.
private enum StaticReading: Work {
    static func run(
        _ shared: (sequence: KeySequence, cell: SnapshotCell<Snapshot>, numbers: [UInt64]),
        _ index: Int,
        _ round: inout Round
    ) {
        let (sequence, numbers) = (shared.sequence, shared.numbers)
        let keys = KeyLiterals.statics
        var reader = shared.cell.makeReader()
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            let key = keys[sequence.number(at: position)]
            guard let leaf = reader.withSnapshot({ $0.leafIndex(of: key) }) else { fatalError("a key is missing") }
            return numbers[leaf]
        }
        round.batches(step)
    }
}

/// The same for keys that remember where they were found.
private enum RememberedReading: Work {
    static func run(
        _ shared: (sequence: KeySequence, cell: SnapshotCell<Snapshot>, numbers: [UInt64]),
        _ index: Int,
        _ round: inout Round
    ) {
        let (sequence, numbers) = (shared.sequence, shared.numbers)
        var keys = sequence.keys.map { RememberedKey($0) }
        var reader = shared.cell.makeReader()
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            let number = sequence.number(at: position)
            guard let leaf = reader.withSnapshot({ $0.leafIndex(of: &keys[number]) }) else {
                fatalError("a key is missing")
            }
            return numbers[leaf]
        }
        round.batches(step)
    }
}

/// What the others do besides: nothing is looked up.
private enum OrderReading: Work {
    static func run(_ shared: (sequence: KeySequence, numbers: [UInt64]), _ index: Int, _ round: inout Round) {
        let (sequence, numbers) = shared
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            return numbers[sequence.number(at: position)]
        }
        round.batches(step)
    }
}

private enum DictionaryReading: Work {
    static func run(_ shared: (sequence: KeySequence, numbers: [String: UInt64]), _ index: Int, _ round: inout Round) {
        let (sequence, numbers) = shared
        var position = 0
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            guard let number = numbers[sequence.key(at: position)] else { fatalError("a key is missing") }
            return number
        }
        round.batches(step)
    }
}

enum KeyLookup {
    private static func leaves(
        _ sequence: KeySequence
    ) -> (sequence: KeySequence, cell: SnapshotCell<Snapshot>, numbers: [UInt64]) {
        let snapshot = sequence.snapshot
        return (sequence, SnapshotCell("bench.keys", snapshot), sequence.numbers(in: snapshot))
    }

    static let subjects = [
        Subject("snapshot") { options in
            let sequence = KeySequence(options.keys)
            let cell = SnapshotCell("bench.keys", sequence.snapshot)
            return measure(ValueReading.self, (sequence, cell), options).report
        },
        Subject("snapshot-leaf") { options in
            measure(LeafReading.self, leaves(KeySequence(options.keys)), options).report
        },
        Subject("snapshot-static") { options throws(UsageError) in
            guard options.keys == KeyLiterals.statics.count else { throw UsageError("literals: 256 keys only") }
            return measure(StaticReading.self, leaves(KeySequence(options.keys)), options).report
        },
        Subject("snapshot-interned") { options in
            measure(RememberedReading.self, leaves(KeySequence(options.keys)), options).report
        },
        Subject("order") { options in
            let sequence = KeySequence(options.keys)
            return measure(OrderReading.self, (sequence, sequence.keys.indices.map { UInt64($0) }), options).report
        },
        Subject("dictionary") { options in
            let sequence = KeySequence(options.keys)
            let pairs = sequence.keys.enumerated().map { ($0.element, UInt64($0.offset)) }
            let numbers = Dictionary(uniqueKeysWithValues: pairs)
            return measure(DictionaryReading.self, (sequence, numbers), options).report
        },
    ]
}

// MARK: Look-up in a map that changes

private enum MapReading: Work {
    static func run(
        _ shared: (sequence: KeySequence, map: ConcurrentMap<String, UInt64>),
        _ index: Int,
        _ round: inout Round
    ) {
        let (sequence, map) = shared
        // Threads that go through the same order in step would always meet.
        var position = index * 1_009
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            guard let number = map.value(for: sequence.key(at: position)) else { fatalError("a key is missing") }
            return number
        }
        round.singles(step)
    }
}

enum MapLookup {
    static let subjects = [
        Subject("ladder") { options in
            let sequence = KeySequence(options.keys)
            let map = ConcurrentMap<String, UInt64>("bench.map")
            // Without a capacity nothing is refused.
            for (number, key) in sequence.keys.enumerated() { _ = try? map.updateValue(UInt64(number), for: key) }
            let writer = Helper(options) { number in
                _ = try? map.updateValue(number, for: sequence.key(at: Int(truncatingIfNeeded: number)))
            }
            return measure(MapReading.self, (sequence, map), options, helpers: [writer]).report
        }
    ]
}

// MARK: A hit of the three-stage read

private enum HitReading: Work {
    static func run(
        _ shared: (sequence: KeySequence, cache: ThreeStageRead<String, UInt64>),
        _ index: Int,
        _ round: inout Round
    ) {
        let sequence = shared.sequence
        var reader = shared.cache.makeReader()
        var position = index * 1_009
        @inline(__always)
        func step() -> UInt64 {
            position &+= 1
            guard let number = reader.cached(sequence.key(at: position)) else { fatalError("a key is missing") }
            return number
        }
        round.singles(step)
    }
}

enum ThreeStages {
    static let subjects = [
        Subject("hit") { options throws(UsageError) in
            // Each of them copies the table when it is stored.
            guard options.keys <= 4_096 else { throw UsageError("at most 4096 keys here") }
            let sequence = KeySequence(options.keys)
            let cache = ThreeStageRead<String, UInt64>("bench.stages", limit: options.keys) { UInt64($0.utf8.count) }
            let isFilled = WakeSignal()
            Task.detached {
                for key in sequence.keys { _ = try? await cache.read(key) }
                isFilled.raise()
            }
            _ = isFilled.wait(until: nil)
            return measure(HitReading.self, (sequence, cache), options).report
        }
    ]
}

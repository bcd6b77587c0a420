import LockLadder
import Testing

@Suite struct SnapshotCellTests {
    /// Holds a reader where a closure can change it.
    private final class Reader {
        var reader: SnapshotReader<Versioned>

        init(_ cell: SnapshotCell<Versioned>) { reader = cell.makeReader() }
    }

    private static func publication(_ cell: SnapshotCell<Versioned>) -> Publication {
        Publication(
            makeReading: {
                let reader = Reader(cell)
                return { body in reader.reader.withSnapshot { body($0) } }
            },
            publish: { cell.publish($0) },
            retiredCount: { cell.retiredCount }
        )
    }

    @Test func showsEightReadersWholeVersionsInOrder() throws {
        let live = LooseCount()
        do {
            let cell = SnapshotCell("test.cell.eight", Versioned(0, in: live))
            let traffic = try readWhilePublishing(Self.publication(cell), publications: 10_000, live: live)
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 8 + 3)
            #expect(traffic.fewestChanges > 150, "the readers saw next to nothing")
            cell.reclaim()
            #expect(cell.retiredCount == 0, "no reader is left")
            #expect(eventually { live.now == 1 })
        }
        #expect(eventually { live.now == 0 })
    }

    @Test func keepsTheOrderOfEachOfThreePublishers() throws {
        let live = LooseCount()
        do {
            let cell = SnapshotCell("test.cell.publishers", Versioned(0, in: live))
            let traffic = try readWhilePublishing(
                Self.publication(cell),
                readers: 5,
                publishers: 3,
                publications: 2_000,
                live: live
            )
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 5 + 3)
        }
        #expect(eventually { live.now == 0 })
    }

    /// Readers that are made, read a little, are parked and are dropped again: new slots while publishers scan.
    @Test func standsReadersThatComeAndGo() throws {
        let live = LooseCount()
        let findings = Findings()
        do {
            let cell = SnapshotCell("test.cell.churn", Versioned(0, in: live))
            let publishing = Count(1)
            try onThreads(9) { index in
                guard index < 8 else {
                    for version in 1...8_000 {
                        cell.publish(Versioned(version, in: live))
                        findings.expect(cell.retiredCount <= 8 + 3, "\(cell.retiredCount) are retired")
                    }
                    publishing.add(-1)
                    return
                }
                var watch = Watch()
                var random = SplitMix(seed: UInt64(index))
                repeat {
                    var reader = cell.makeReader()
                    for _ in 0..<Int.random(in: 1...6, using: &random) {
                        let finding = reader.withSnapshot { watch.look(at: $0) }
                        if let finding { findings.note(finding) }
                        if Bool.random(using: &random) { reader.park() }
                    }
                } while publishing.now > 0
            }
            cell.reclaim()
            #expect(cell.retiredCount == 0)
        }
        #expect(findings.all == [])
        #expect(eventually { live.now == 0 })
    }

    /// What a read returns is the object of a moment during the read: not older than what was published before it
    /// began, not newer than what was about to be when it ended. A plain lock keeps both bounds.
    @Test func agreesWithAPlainLockedCell() throws {
        let live = LooseCount()
        let findings = Findings()
        do {
            let cell = SnapshotCell("test.cell.reference", Versioned(0, in: live))
            let published = Plain(0)
            let announced = Plain(0)
            let last = 20_000
            try onThreads(5) { index in
                guard index < 4 else {
                    for version in 1...last {
                        announced.change { $0 = version }
                        cell.publish(Versioned(version, in: live))
                        published.change { $0 = version }
                    }
                    return
                }
                var reader = cell.makeReader()
                while true {
                    let least = published.now
                    let version = reader.withSnapshot { $0.version }
                    let most = announced.now
                    if version < least || version > most { findings.note("\(version) is not in \(least)...\(most)") }
                    if least == last { break }
                }
            }
        }
        #expect(findings.all == [])
        #expect(eventually { live.now == 0 })
    }

    /// A random schedule on one thread, where everything is known: which version each reader sees, which objects
    /// live, how many are retired.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func freesExactlyWhatNobodyUses(seed: UInt64) {
        let live = LooseCount()
        var random = SplitMix(seed: seed)
        do {
            let cell = SnapshotCell("test.cell.model", Versioned(0, in: live))
            var current = 0
            /// The readers, and the version that each may be using.
            var readers: [(reader: Reader, pinned: Int?)] = []
            for step in 1...4_000 {
                let index = readers.isEmpty ? 0 : Int.random(in: 0..<readers.count, using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0 where readers.count < 6: readers.append((Reader(cell), nil))
                case 1 where !readers.isEmpty: readers.remove(at: index)
                case 2 where !readers.isEmpty:
                    readers[index].reader.reader.park()
                    readers[index].pinned = nil
                case 3...6 where !readers.isEmpty:
                    readers[index].pinned = current
                    readers[index].reader.reader.withSnapshot { object in
                        #expect(object.version == current && object.isWhole)
                    }
                default:
                    current = step
                    cell.publish(Versioned(step, in: live))
                }
                cell.reclaim()
                let inUse = Set(readers.compactMap(\.pinned)).union([current])
                #expect(live.now == inUse.count)
                #expect(cell.retiredCount == inUse.count - 1)
            }
        }
        #expect(live.now == 0)
    }

    @Test func freesWhatIsRetiredWithoutFurtherPublication() {
        let live = LooseCount()
        let cell = SnapshotCell("test.cell.reclaim", Versioned(0, in: live))
        var reader = cell.makeReader()
        reader.withSnapshot { _ in }
        cell.publish(Versioned(1, in: live))
        #expect(cell.retiredCount == 1 && live.now == 2)
        cell.reclaim()
        #expect(cell.retiredCount == 1, "the reader may still use it")
        reader.withSnapshot { _ in }
        #expect(cell.retiredCount == 1, "a reader frees nothing")
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
    }

    @Test func takesTheSameObjectAgain() {
        let live = LooseCount()
        do {
            let cell = SnapshotCell("test.cell.again", Versioned(0, in: live))
            var reader = cell.makeReader()
            let object = Versioned(1, in: live)
            cell.publish(object)
            reader.withSnapshot { _ in }
            cell.publish(object)
            cell.publish(Versioned(2, in: live))
            cell.publish(object)
            #expect(reader.withSnapshot { $0.version == 1 && $0.isWhole })
            reader.park()
            cell.reclaim()
            #expect(cell.retiredCount == 0)
            #expect(live.now == 1)
        }
        #expect(live.now == 0)
    }

    /// An object whose end publishes another: the cell's lock must be free by then.
    private final class Chain: Sendable {
        let atEnd: @Sendable () -> Void

        init(atEnd: @escaping @Sendable () -> Void) { self.atEnd = atEnd }

        deinit { atEnd() }
    }

    @Test func freesObjectsOutsideItsLock() {
        let ended = Count()
        let cell = SnapshotCell("test.cell.chain", Chain {})
        cell.publish(
            Chain {
                cell.publish(Chain {})
                cell.reclaim()
                ended.add(cell.retiredCount + 1)
            }
        )
        #expect(returns { cell.publish(Chain {}) }, "the object's end waits for the publisher's lock")
        #expect(ended.now == 1)
    }

    /// Plain fields, written once before the object is published.
    private final class Built: Sendable {
        let first: Int
        let second: Int
        let third: (Int, Int)
        let fourth: Int

        init(_ number: Int) {
            first = number
            second = ~number
            third = (number &* 3, number ^ 0x5555)
            fourth = number
        }

        var isBuilt: Bool {
            second == ~first && third == (first &* 3, first ^ 0x5555) && fourth == first
        }
    }

    #if DEBUG
        private static let tries = 400_000
    #else
        private static let tries = 60_000_000
    #endif

    /// The litmus test of release and acquire: whoever sees the address sees the object.
    @Test func neverShowsAHalfBuiltObject() throws {
        let cell = SnapshotCell("test.cell.litmus", Built(0))
        let reading = Count(2)
        let halfBuilt = LooseCount()
        let changes = LooseCount()
        try onThreads(3) { index in
            if index == 2 {
                var number = 0
                while reading.now > 0 {
                    number += 1
                    cell.publish(Built(number))
                }
            } else {
                var reader = cell.makeReader()
                var last = -1
                var seen = 0
                for _ in 0..<Self.tries {
                    let (isBuilt, number) = reader.withSnapshot { ($0.isBuilt, $0.first) }
                    if !isBuilt { halfBuilt.add(1) }
                    if number != last { seen += 1 }
                    last = number
                }
                changes.add(seen)
                reading.add(-1)
            }
        }
        #expect(halfBuilt.now == 0)
        #expect(changes.now > 2, "nothing was published meanwhile")
    }
}

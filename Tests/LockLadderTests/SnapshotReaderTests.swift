import Testing

@testable import LockLadder

@Suite struct SnapshotReaderTests {
    @Test func pinsWhatItUsedLastAndNothingWhenParked() {
        let live = LooseCount()
        let cell = SnapshotCell("test.reader.park", Versioned(0, in: live))
        var idle = cell.makeReader()
        var parked = cell.makeReader()
        idle.withSnapshot { _ in }
        parked.withSnapshot { _ in }
        parked.park()
        cell.publish(Versioned(1, in: live))
        #expect(cell.retiredCount == 1, "the idle reader keeps one")
        for version in 2...50 { cell.publish(Versioned(version, in: live)) }
        #expect(cell.retiredCount == 1 && live.now == 2, "and only the one that it used last")
        idle.park()
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
        #expect(idle.withSnapshot { $0.version } == 50)
        #expect(parked.withSnapshot { $0.version } == 50)
    }

    @Test func pinsNothingBeforeItsFirstReadAndAfterItsEnd() {
        let live = LooseCount()
        let cell = SnapshotCell("test.reader.first", Versioned(0, in: live))
        let unused = cell.makeReader()
        do {
            var reader = cell.makeReader()
            reader.withSnapshot { _ in }
            cell.publish(Versioned(1, in: live))
            #expect(cell.retiredCount == 1)
        }
        cell.publish(Versioned(2, in: live))
        #expect(cell.retiredCount == 0 && live.now == 1)
        _ = consume unused
    }

    @Test func keepsTheObjectOfAReadUntilItsEnd() {
        let live = LooseCount()
        let cell = SnapshotCell("test.reader.during", Versioned(0, in: live))
        var reader = cell.makeReader()
        var other = cell.makeReader()
        reader.withSnapshot { object in
            for version in 1...20 {
                cell.publish(Versioned(version, in: live))
                #expect(object.version == 0 && object.isWhole)
                #expect(other.withSnapshot { $0.version } == version)
            }
        }
        #expect(reader.withSnapshot { $0.version } == 20)
    }

    private struct Refused: Error {}

    @Test func passesOnWhatTheBodyThrows() {
        let cell = SnapshotCell("test.reader.throwing", Versioned(0, in: LooseCount()))
        var reader = cell.makeReader()
        do throws(Refused) {
            try reader.withSnapshot { _ throws(Refused) in throw Refused() }
            Issue.record("the error got lost")
        } catch {}
        cell.publish(Versioned(1, in: LooseCount()))
        #expect(reader.withSnapshot { $0.version } == 1)
    }

    @Test func givesAStrongCopyThatOutlivesTheCell() {
        let live = LooseCount()
        var kept: Versioned?
        do {
            let cell = SnapshotCell("test.reader.copy", Versioned(7, in: live))
            var reader = cell.makeReader()
            kept = reader.strongCopy()
            cell.publish(Versioned(8, in: live))
            reader.park()
            cell.reclaim()
            #expect(live.now == 2)
        }
        #expect(live.now == 1)
        #expect(kept?.version == 7)
        #expect(kept?.isWhole == true)
        kept = nil
        #expect(live.now == 0)
    }

    @Test func keepsTheCellAlive() {
        let live = LooseCount()
        func makeReader() -> SnapshotReader<Versioned> {
            SnapshotCell("test.reader.alone", Versioned(3, in: live)).makeReader()
        }
        do {
            var reader = makeReader()
            #expect(live.now == 1)
            #expect(reader.withSnapshot { $0.version } == 3)
        }
        #expect(live.now == 0)
    }

    /// How a reader comes to let go of an object.
    enum LettingGo: CaseIterable, Sendable {
        case byParking, byItsEnd, byMovingOn
    }

    /// Memory that is used again, by the publisher's thread alone. It is written outside of any deinit: the thread
    /// sanitizer does not look into those.
    private final class Yard: @unchecked Sendable {
        private var free: [UnsafeMutablePointer<Int>] = []

        deinit { free.forEach { $0.deallocate() } }

        func take(_ number: Int) -> UnsafeMutablePointer<Int> {
            let words = free.popLast() ?? .allocate(capacity: 8)
            for index in 0..<8 { words[index] = number }
            return words
        }

        func giveBack(_ words: UnsafeMutablePointer<Int>) { free.append(words) }
    }

    /// An object whose words go back to their yard.
    private final class Lent: Sendable {
        nonisolated(unsafe) let words: UnsafeMutablePointer<Int>
        private let yard: Yard

        init(_ number: Int, from yard: Yard) {
            words = yard.take(number)
            self.yard = yard
        }

        deinit { yard.giveBack(words) }
    }

    /// What a reader has read is freed and written again by another thread, and nothing but the reader's slot orders
    /// the two. Each order in which slots are written and scanned is needed here, or the thread sanitizer objects.
    @Test(arguments: LettingGo.allCases)
    func isDoneReadingBeforeTheObjectIsFreed(how: LettingGo) throws {
        let rounds = 300
        let findings = Findings()
        let yard = Yard()
        let cell = SnapshotCell("test.reader.lettinggo", Lent(0, from: yard))
        /// Whose turn it is; orders nothing.
        let turn = LooseCount()
        try onThreads(2) { index in
            if index == 0 {
                for round in 1...rounds {
                    cell.publish(Lent(round, from: yard))
                    turn.add(1)
                    findings.expect(eventually { turn.now % 2 == 0 }, "the reader stands still")
                    cell.reclaim()
                    findings.expect(cell.retiredCount == 0, "kept for nobody")
                }
            } else {
                var held: HeldLent? = HeldLent(cell)
                for round in 1...rounds {
                    findings.expect(eventually { turn.now % 2 == 1 }, "the publisher stands still")
                    let reader = held ?? HeldLent(cell)
                    held = nil
                    // Read without help of the standard library, whose code the sanitizer does not see.
                    let isRight = reader.reader.withSnapshot { object in
                        object.words[0] == round && object.words[7] == round
                    }
                    findings.expect(isRight, "not object \(round)")
                    switch how {
                    case .byParking:
                        reader.reader.park()
                        held = reader
                    case .byItsEnd: break
                    case .byMovingOn: held = reader
                    }
                    withExtendedLifetime(consume reader) {}
                    turn.add(1)
                }
            }
        }
        #expect(findings.all == [])
    }

    private final class HeldLent {
        var reader: SnapshotReader<Lent>

        init(_ cell: SnapshotCell<Lent>) { reader = cell.makeReader() }
    }

    /// Keeps a reader until its own end, and tells where its slot lies.
    private final class Held {
        let reader: SnapshotReader<Versioned>
        var slot: UInt { UInt(bitPattern: reader.slot) }

        init(_ cell: SnapshotCell<Versioned>) { reader = cell.makeReader() }
    }

    @Test func takesOverTheSlotOfOneThatHasGone() {
        let cell = SnapshotCell("test.reader.slots", Versioned(0, in: LooseCount()))
        let slot = Held(cell).slot
        for _ in 0..<100 { #expect(Held(cell).slot == slot) }
        var readers = (0..<4).map { _ in Held(cell) }
        let slots = Set(readers.map(\.slot))
        #expect(slots.count == 4, "two readers share a slot")
        #expect(slots.contains(slot))
        for address in slots { #expect(address % 128 == 0, "two slots may share a line") }
        // One goes, one comes: it needs no fifth.
        let free = readers.removeLast().slot
        readers.append(Held(cell))
        #expect(readers[3].slot == free)
        readers.removeAll()
        readers = (0..<4).map { _ in Held(cell) }
        #expect(Set(readers.map(\.slot)) == slots)
    }

    @Test func sharesASlotWithNobodyWhenManyComeAndGo() throws {
        let cell = SnapshotCell("test.reader.owners", Versioned(0, in: LooseCount()))
        let owners = Plain<[UInt: Int]>([:])
        let findings = Findings()
        try onThreads(8) { index in
            for _ in 0..<1_000 {
                let reader = Held(cell)
                let slot = reader.slot
                let other = owners.change { $0.updateValue(index, forKey: slot) }
                if let other { findings.note("threads \(other) and \(index) have one slot") }
                owners.change { $0[slot] = nil }
                withExtendedLifetime(reader) {}
            }
        }
        #expect(findings.all == [])
    }
}

import CLockLadder
import Glibc
import Testing

@testable import LockLadder

/// Reads without a handle: the thread keeps the reader.
@Suite struct ImplicitSnapshotTests {
    private static func publication(_ cell: SnapshotCell<Versioned>) -> Publication {
        Publication(
            makeReading: { { body in cell.withSnapshot { body($0) } } },
            publish: { cell.publish($0) },
            retiredCount: { cell.retiredCount }
        )
    }

    private static func makeCell(_ name: StaticString, in live: LooseCount) -> SnapshotCell<Versioned>? {
        withEntry {
            SnapshotCell(name, Versioned(0, in: live))
        } number: {
            $0.number
        }
    }

    @Test func showEightThreadsWholeVersionsInOrder() throws {
        let live = LooseCount()
        do {
            let cell = try #require(Self.makeCell("test.implicit.eight", in: live))
            let traffic = try readWhilePublishing(Self.publication(cell), publications: 6_000, live: live)
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 8 + 3)
            #expect(traffic.fewestChanges > 90, "the readers saw next to nothing")
            // The threads are at their end, or about to be.
            let isFree = eventually {
                cell.reclaim()
                return cell.retiredCount == 0 && live.now == 1
            }
            #expect(isFree, "\(cell.retiredCount) are kept for threads that have ended")
        }
        #expect(eventually { live.now == 0 })
    }

    @Test func keepTheOrderOfEachOfThreePublishers() throws {
        let live = LooseCount()
        do {
            let cell = try #require(Self.makeCell("test.implicit.publishers", in: live))
            let traffic = try readWhilePublishing(
                Self.publication(cell),
                readers: 5,
                publishers: 3,
                publications: 1_500,
                live: live
            )
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 5 + 3)
        }
        #expect(eventually { live.now == 0 })
    }

    /// A thread that reads in three ways at once: each protects what it shows.
    @Test func mixWithOtherWaysToRead() throws {
        let live = LooseCount()
        do {
            let cell = try #require(Self.makeCell("test.implicit.mixed", in: live))
            var mixed = Self.publication(cell)
            mixed.makeReading = {
                let loop = LoopReader(cell)
                return { body in
                    cell.withSnapshot { outer in
                        let version = outer.version
                        loop.withSnapshot { _ in cell.withSnapshot { body($0) } }
                        if !outer.isWhole || outer.version != version { fatalError("freed during the read") }
                    }
                    if Int.random(in: 0..<8) == 0 { cell.park() }
                }
            }
            let traffic = try readWhilePublishing(mixed, readers: 4, publications: 3_000, live: live)
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 2 * 4 + 3)
        }
        #expect(eventually { live.now == 0 })
    }

    @Test func showOneObjectToReadsInsideARead() throws {
        let live = LooseCount()
        let cell = try #require(Self.makeCell("test.implicit.nested", in: live))
        struct Refused: Error {}
        cell.withSnapshot { outer in
            for version in 1...20 {
                cell.publish(Versioned(version, in: live))
                #expect(cell.withSnapshot { $0.version } == 0 && outer.isWhole)
                #expect(throws: Refused.self) { try cell.withSnapshot { _ throws(Refused) in throw Refused() } }
                cell.park()
                #expect(cell.withSnapshot { inner in cell.withSnapshot { $0.version + inner.version } } == 0)
            }
            #expect(live.now == 2)
            #expect(cell.strongCopy().version == 0)
        }
        #expect(cell.withSnapshot { $0.version } == 20)
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
    }

    @Test func keepTwoCellsApart() throws {
        let live = LooseCount()
        let first = try #require(Self.makeCell("test.implicit.first", in: live))
        let second = try #require(Self.makeCell("test.implicit.second", in: live))
        #expect(first.number != second.number)
        for version in 1...50 {
            first.publish(Versioned(version, series: 1, in: live))
            let inner = first.withSnapshot { outer -> Int in
                second.publish(Versioned(version, series: 2, in: live))
                #expect(outer.series == 1 && outer.version == version && outer.isWhole)
                return second.withSnapshot { $0.series * 1_000 + $0.version }
            }
            #expect(inner == 2_000 + version)
        }
    }

    // MARK: Parking

    @Test func letGoOfTheirObjectWhenParked() throws {
        let live = LooseCount()
        let cell = try #require(Self.makeCell("test.implicit.park", in: live))
        cell.park()
        #expect(cell.withSnapshot { $0.version } == 0)
        cell.publish(Versioned(1, in: live))
        #expect(cell.retiredCount == 1, "the idle thread keeps one")
        for version in 2...50 { cell.publish(Versioned(version, in: live)) }
        #expect(cell.retiredCount == 1 && live.now == 2, "and only the one that it used last")
        cell.park()
        cell.park()
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
        #expect(cell.withSnapshot { $0.version } == 50)
    }

    @Test func keepNoneMoreForAnObjectPublishedAgainAndAgain() throws {
        let live = LooseCount()
        do {
            let cell = try #require(Self.makeCell("test.implicit.again", in: live))
            let one = Versioned(1, in: live)
            let two = Versioned(2, in: live)
            cell.publish(one)
            cell.withSnapshot { _ in }
            for _ in 0..<200 {
                cell.publish(two)
                cell.publish(one)
                cell.publish(one)
                #expect(cell.retiredCount <= 2)
            }
            #expect(cell.withSnapshot { $0 === one && $0.isWhole })
            cell.publish(two)
            cell.park()
            cell.reclaim()
            #expect(cell.retiredCount == 0)
            #expect(one.isWhole && two.isWhole)
        }
        #expect(live.now == 0)
    }

    // MARK: Threads that end

    @Test func giveBackTheSlotsOfThreadsThatHaveEnded() throws {
        let live = LooseCount()
        let cell = try #require(Self.makeCell("test.implicit.threads", in: live))
        let slots = Plain<Set<UInt>>([])
        let findings = Findings()
        for round in 1...250 {
            try onThreads(4) { _ in
                let finding = cell.withSnapshot { object in object.isWhole ? nil : "version \(object.version) was freed"
                }
                if let finding { findings.note(finding) }
                let slot = UInt(bitPattern: cll_entry_at(cell.number).pointee.slot)
                slots.change { _ = $0.insert(slot) }
            }
            cell.publish(Versioned(round, in: live))
        }
        #expect(findings.all == [])
        // A thread's last steps may go on while the next ones begin.
        #expect(slots.now.count <= 16, "\(slots.now.count) slots for four readers at a time")
        let isFree = eventually {
            cell.reclaim()
            return cell.retiredCount == 0 && live.now == 1
        }
        #expect(isFree, "objects are kept for threads that have ended")
    }

    // MARK: Cells that end

    /// Cells come and go, and threads that have read them live on. A number that comes back is another cell's: what
    /// the threads keep from the one before must not be taken for it.
    @Test func takeNoCellForOneBeforeIt() throws {
        let live = LooseCount()
        let findings = Findings()
        let current = Plain<SnapshotCell<Versioned>?>(nil)
        let numbers = Plain<Set<UInt>>([])
        let cells = 300
        let publishing = Count(1)
        let reads = (0..<4).map { _ in LooseCount() }
        try onThreads(5) { index in
            guard index < 4 else {
                for series in 1...cells {
                    let cell = SnapshotCell("test.implicit.cells", Versioned(0, series: series, in: live))
                    numbers.change { _ = $0.insert(cell.number) }
                    current.change { $0 = cell }
                    let before = reads.map(\.now)
                    for version in 1...8 { cell.publish(Versioned(version, series: series, in: live)) }
                    let goOn = eventually { zip(reads, before).allSatisfy { $0.now > $1 + 1 } }
                    findings.expect(goOn, "the readers stand still")
                }
                current.change { $0 = nil }
                return _ = publishing.add(-1)
            }
            var watch = Watch()
            while publishing.now > 0 {
                guard let cell = current.now else { continue }
                let series = Plain(0)
                if let finding = cell.withSnapshot({ object -> String? in
                    series.change { $0 = object.series }
                    return watch.look(at: object)
                }) {
                    findings.note(finding)
                }
                let inner = cell.withSnapshot { $0.series }
                findings.expect(inner == series.now, "series \(inner) of the cell of \(series.now)")
                reads[index].add(1)
            }
        }
        #expect(findings.all == [])
        #expect(numbers.now.count < 40, "numbers do not come back")
        #expect(eventually { live.now == 0 }, "\(live.now) objects outlive their cells")
    }

    /// The same on one thread, where the address may come back too: many cells, each read once and dropped.
    @Test func takeNoAddressForTheOneBefore() {
        let live = LooseCount()
        for round in 1...2_000 {
            let cell = SnapshotCell("test.implicit.turn", Versioned(round, in: live))
            #expect(cell.withSnapshot { $0.version == round && $0.isWhole })
            if round % 3 == 0 { cell.publish(Versioned(round + 1, in: live)) }
            if round % 5 == 0 { cell.park() }
            #expect(cell.withSnapshot { $0.version } == (round % 3 == 0 ? round + 1 : round))
        }
        #expect(live.now == 0)
    }

    // MARK: More cells than threads keep entries for

    @Test func areRightWithoutAnEntry() async {
        await #expect(processExitsWith: .success) {
            let live = LooseCount()
            do {
                let cells = (0..<40).map { SnapshotCell("test.implicit.many", Versioned(0, series: $0, in: live)) }
                let late = cells[39]
                #expect(late.number == 0 && cells[0].number != 0)
                let used = Set(cells.map(\.number))
                #expect(used.count == Int(CLL_ENTRIES) && used.allSatisfy { $0 < UInt(CLL_ENTRIES) })
                for (series, cell) in cells.enumerated() { #expect(cell.withSnapshot { $0.series } == series) }
                late.park()
                late.publish(Versioned(0, in: live))
                #expect(late.retiredCount == 0, "kept for nobody")
                let traffic = try readWhilePublishing(
                    ImplicitSnapshotTests.publication(late),
                    readers: 4,
                    publications: 2_000,
                    live: live
                )
                #expect(traffic.findings == [])
                #expect(traffic.mostRetired <= 4 + 3)
            }
            #expect(eventually { live.now == 0 })
        }
    }
}

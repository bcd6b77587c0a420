import LockLadder
import Testing

@Suite struct LoopReaderTests {
    @Test func showsTheSameObjectInsideARead() {
        let live = LooseCount()
        let cell = SnapshotCell("test.loop.nested", Versioned(0, in: live))
        let reader = LoopReader(cell)
        reader.withSnapshot { outer in
            cell.publish(Versioned(1, in: live))
            reader.withSnapshot { inner in
                #expect(inner.version == 0 && inner.isWhole)
                cell.publish(Versioned(2, in: live))
                cell.reclaim()
                reader.withSnapshot { innermost in #expect(innermost.version == 0 && innermost.isWhole) }
            }
            // Back in the outer read: still no other.
            reader.withSnapshot { inner in #expect(inner.version == 0) }
            #expect(outer.version == 0 && outer.isWhole)
        }
        #expect(reader.withSnapshot { $0.version } == 2)
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
    }

    @Test func doesNotMoveOnOrLetGoInsideARead() {
        let live = LooseCount()
        let cell = SnapshotCell("test.loop.inside", Versioned(0, in: live))
        let reader = LoopReader(cell)
        reader.withSnapshot { object in
            cell.publish(Versioned(1, in: live))
            reader.refresh()
            cell.reclaim()
            #expect(object.isWhole && live.now == 2)
            reader.park()
            cell.reclaim()
            #expect(object.isWhole && live.now == 2)
            reader.withSnapshot { inner in #expect(inner.version == 0) }
        }
    }

    @Test func movesOnWhenRefreshed() {
        let live = LooseCount()
        let cell = SnapshotCell("test.loop.refresh", Versioned(0, in: live))
        let reader = LoopReader(cell)
        reader.withSnapshot { _ in }
        cell.publish(Versioned(1, in: live))
        #expect(cell.retiredCount == 1)
        reader.refresh()
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
        // It holds on to the new one now.
        cell.publish(Versioned(2, in: live))
        #expect(cell.retiredCount == 1)
    }

    @Test func pinsNothingWhenParkedOrGone() {
        let live = LooseCount()
        let cell = SnapshotCell("test.loop.park", Versioned(0, in: live))
        do {
            let reader = LoopReader(cell)
            reader.withSnapshot { _ in }
            reader.park()
            cell.publish(Versioned(1, in: live))
            #expect(cell.retiredCount == 0 && live.now == 1)
            #expect(reader.withSnapshot { $0.version } == 1)
            cell.publish(Versioned(2, in: live))
            #expect(cell.retiredCount == 1)
        }
        cell.reclaim()
        #expect(cell.retiredCount == 0 && live.now == 1)
    }

    private struct Refused: Error {}

    @Test func isOutOfTheReadWhenTheBodyThrows() {
        let cell = SnapshotCell("test.loop.throwing", Versioned(0, in: LooseCount()))
        let reader = LoopReader(cell)
        do throws(Refused) {
            try reader.withSnapshot { _ throws(Refused) in
                try reader.withSnapshot { _ throws(Refused) in throw Refused() }
            }
            Issue.record("the error got lost")
        } catch {}
        cell.publish(Versioned(1, in: LooseCount()))
        #expect(reader.withSnapshot { $0.version } == 1, "a read that threw is still open")
    }

    @Test func showsEightLoopsWholeVersionsInOrder() throws {
        let live = LooseCount()
        let changed = Count()
        do {
            let cell = SnapshotCell("test.loop.eight", Versioned(0, in: live))
            let publication = Publication(
                makeReading: {
                    let reader = LoopReader(cell)
                    return { body in
                        reader.withSnapshot { outer in
                            let version = outer.version
                            body(outer)
                            reader.withSnapshot { inner in
                                if inner.version != version { changed.add(1) }
                                body(inner)
                            }
                        }
                    }
                },
                publish: { cell.publish($0) },
                retiredCount: { cell.retiredCount }
            )
            let traffic = try readWhilePublishing(publication, publications: 6_000, live: live)
            #expect(traffic.findings == [])
            #expect(traffic.mostRetired <= 8 + 3)
            #expect(traffic.fewestChanges > 100, "the loops saw next to nothing")
        }
        #expect(changed.now == 0, "an inner read saw another object than the outer one")
        #expect(eventually { live.now == 0 })
    }
}

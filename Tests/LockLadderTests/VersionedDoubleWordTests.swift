import LockLadder
import Testing

@Suite struct VersionedDoubleWordTests {
    @Test func isNotFooled() {
        let (wasFooled, rest) = VersionedWordTests.comeBack(DoubleVersionedHead.self)
        #expect(!wasFooled)
        #expect(rest == [1, 3])
    }

    @Test func agreesWithAStackUnderRandomSchedules() {
        for seed in 0..<400 as Range<UInt64> {
            let difference = compareWithStack(DoubleVersionedHead.self, seed: seed)
            #expect(difference == nil, "seed \(seed)")
        }
    }

    @Test func losesAndDoublesNothingOnThreads() throws {
        #expect(try takeAndGiveOnThreads(DoubleVersionedHead.self, seed: 6, rounds: 20_000, writes: true) == [])
    }

    @Test func movesTheVersionOnWithEveryChange() {
        let word = VersionedDoubleWord(.max)
        let first = word.load()
        #expect(first == VersionedDoubleWord.Stamped(value: .max, version: 0))
        #expect(word.compareExchange(expected: first, desired: .max).exchanged)
        let failed = word.compareExchange(expected: first, desired: 8)
        #expect(!failed.exchanged)
        #expect(failed.original == VersionedDoubleWord.Stamped(value: .max, version: 1))
        #expect(word.store(1 << 40) == VersionedDoubleWord.Stamped(value: 1 << 40, version: 2))
        #expect(word.load() == VersionedDoubleWord.Stamped(value: 1 << 40, version: 2))
    }

    @Test func countsPastWhereAShorterVersionWraps() {
        let word = VersionedDoubleWord(2, version: UInt64(UInt32.max))
        let stopped = word.load()
        #expect(word.compareExchange(expected: stopped, desired: 2).exchanged)
        #expect(word.load() == VersionedDoubleWord.Stamped(value: 2, version: 1 << 32))
        #expect(!word.compareExchange(expected: stopped, desired: 3).exchanged)
        let last = VersionedDoubleWord(2, version: .max)
        #expect(last.store(4) == VersionedDoubleWord.Stamped(value: 4, version: 0))
    }

    /// Both halves change together: no load sees the value of one change with the version of another.
    @Test func isNeverSeenHalfChanged() throws {
        final class Shared: Sendable { let word = VersionedDoubleWord(0) }
        let shared = Shared()
        let findings = Findings()
        let writing = Count(2)
        try onThreads(4) { thread in
            if thread < 2 {
                for _ in 0..<10_000 {
                    let found = shared.word.load()
                    // The value follows from the version that it will have.
                    shared.word.compareExchange(expected: found, desired: (found.version &+ 1) &* 0x9E37_79B9_7F4A_7C15)
                }
                writing.add(-1)
            } else {
                while writing.now > 0 {
                    let found = shared.word.load()
                    let isWhole = found.value == found.version &* 0x9E37_79B9_7F4A_7C15
                    findings.expect(isWhole, "\(found.value) with version \(found.version)")
                }
            }
        }
        #expect(findings.all == [])
        #expect(shared.word.load().version > 0)
    }
}

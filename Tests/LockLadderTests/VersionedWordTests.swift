import LockLadder
import Synchronization
import Testing

/// What is commonly written instead: the versioned word without its fields of fixed width.
private final class PackedByHand: Sendable {
    private let word: Atomic<UInt64>

    init(_ value: UInt64, version: UInt32) { word = Atomic(value << 32 | UInt64(version)) }

    func compareAndSwap(_ old: UInt64, _ new: UInt64, version: UInt32) -> Bool {
        let current = word.load(ordering: .acquiring)
        guard current >> 32 == old, current & 0xFFFF_FFFF == UInt64(version) else { return false }
        let next = new << 32 | ((current & 0xFFFF_FFFF) + 1)
        return word.compareExchange(expected: current, desired: next, ordering: .acquiringAndReleasing).exchanged
    }

    var value: UInt64 { word.load(ordering: .acquiring) >> 32 }
}

@Suite struct VersionedWordTests {
    /// The classic: one thread stops in the middle of taking the first index; meanwhile the first two are taken and
    /// the first is given back.
    ///
    /// - Returns: whether the stopped thread's exchange succeeded, and all that can then be taken.
    static func comeBack<Head: ListHead>(_: Head.Type) -> (wasFooled: Bool, rest: [UInt32]) {
        let list = IndexList<Head>(3)
        let stopped = list.look()
        let first = list.take()
        let second = list.take()
        if first != 1 || second != 2 { return (true, []) }
        list.give(1)
        return (list.take(stopped), list.drain())
    }

    @Test func plainCompareAndSwapIsFooled() {
        let (wasFooled, rest) = Self.comeBack(PlainHead.self)
        #expect(wasFooled)
        // 2 is in somebody's hands, and in the list again.
        #expect(rest == [2, 3])
    }

    @Test func isNotFooled() {
        let (wasFooled, rest) = Self.comeBack(VersionedHead.self)
        #expect(!wasFooled)
        #expect(rest == [1, 3])
    }

    @Test func agreesWithAStackUnderRandomSchedules() {
        for seed in 0..<400 as Range<UInt64> {
            let difference = compareWithStack(VersionedHead.self, seed: seed)
            #expect(difference == nil, "seed \(seed)")
        }
    }

    @Test func theSameSchedulesCatchHeadsWithoutOrWithTooShortAVersion() {
        let seeds = 0..<400 as Range<UInt64>
        #expect(seeds.contains { compareWithStack(PlainHead.self, seed: $0) != nil })
        #expect(seeds.contains { compareWithStack(OneBitHead.self, seed: $0) != nil })
    }

    @Test func losesAndDoublesNothingOnThreads() throws {
        #expect(try takeAndGiveOnThreads(VersionedHead.self, seed: 5, rounds: 20_000, writes: true) == [])
    }

    @Test func theSameStressCatchesPlainCompareAndSwap() throws {
        var findings: [String] = []
        let isCaught = eventually {
            findings = (try? takeAndGiveOnThreads(PlainHead.self, seed: 5, rounds: 20_000, writes: false)) ?? []
            return !findings.isEmpty
        }
        #expect(isCaught)
    }

    @Test func movesTheVersionOnWithEveryChange() {
        let word = VersionedWord(7)
        let first = word.load()
        #expect(first == VersionedWord.Stamped(value: 7, version: 0))
        // The same value again is a change.
        #expect(word.compareExchange(expected: first, desired: 7).exchanged)
        let failed = word.compareExchange(expected: first, desired: 8)
        #expect(!failed.exchanged)
        #expect(failed.original == VersionedWord.Stamped(value: 7, version: 1))
        #expect(word.store(7) == VersionedWord.Stamped(value: 7, version: 2))
        #expect(word.load() == VersionedWord.Stamped(value: 7, version: 2))
        #expect(word.compareExchange(expected: word.load(), desired: 9).original.value == 7)
        #expect(word.load() == VersionedWord.Stamped(value: 9, version: 3))
    }

    @Test func keepsTheValueWhenTheVersionWraps() {
        let word = VersionedWord(0x8000_0000, version: .max)
        #expect(word.compareExchange(expected: word.load(), desired: 0xFFFF_FFFE).exchanged)
        #expect(word.load() == VersionedWord.Stamped(value: 0xFFFF_FFFE, version: 0))
        let other = VersionedWord(2, version: .max)
        #expect(other.store(4) == VersionedWord.Stamped(value: 4, version: 0))
        #expect(other.load() == VersionedWord.Stamped(value: 4, version: 0))
    }

    @Test func aVersionPackedByHandCarriesIntoTheValue() {
        let word = PackedByHand(2, version: .max)
        #expect(word.compareAndSwap(2, 4, version: .max))
        #expect(word.value == 5)
    }

    /// Every thread's changes are all counted by the version, whatever way they were made.
    @Test func countsTheChangesOfAllThreads() throws {
        final class Shared: Sendable { let word = VersionedWord(0) }
        let shared = Shared()
        let findings = Findings()
        try onThreads(6) { thread in
            var random = SplitMix(seed: UInt64(thread))
            var newest: UInt32 = 0
            for _ in 0..<5_000 {
                if Bool.random(using: &random) {
                    newest = shared.word.store(UInt32(thread)).version
                } else {
                    var found = shared.word.load()
                    findings.expect(found.version >= newest, "version \(found.version) after \(newest)")
                    while true {
                        let outcome = shared.word.compareExchange(expected: found, desired: UInt32(thread))
                        if outcome.exchanged { break }
                        found = outcome.original
                    }
                    newest = found.version + 1
                }
            }
        }
        #expect(findings.all == [])
        #expect(shared.word.load().version == 30_000)
    }
}

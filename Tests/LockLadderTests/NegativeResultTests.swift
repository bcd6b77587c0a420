import Testing

@testable import LockLadder

@Suite struct NegativeResultTests {
    /// A clock that the test moves, in milliseconds.
    private final class Clock: Sendable {
        let time = Count(1_000)

        func policy(entries: Int = 8) -> NegativePolicy<Int> {
            NegativePolicy(entries: entries, now: { [self] in MonotonicTime(nanoseconds: UInt64(time.now)) }) {
                result in
                switch result {
                case .failure(Vain.notFound): .init("missing", keepNanoseconds: 50)
                case .failure(Vain.refused): .init("refused", keepNanoseconds: 10)
                case .success(let value) where value < 0: .init("empty", keepNanoseconds: 20)
                default: nil
                }
            }
        }
    }

    private static func outcome(of key: Int, run: Int) throws -> Int {
        switch key % 5 {
        case 0: throw Vain.notFound
        case 1: throw Vain.refused
        case 2: throw Vain.broken
        case 3: return -run
        default: return run
        }
    }

    /// How long what becomes of a key is kept; `nil`: not at all.
    private static func keep(_ key: Int) -> Int? { [50, 10, nil, 20, nil][key % 5] }

    /// The group against a plain dictionary, with a clock that jumps about.
    @Test(arguments: [31, 32, 33] as [UInt64])
    func keepsWhatTheReferenceKeeps(seed: UInt64) {
        let clock = Clock()
        let runs = Count()
        let group = ThreadSingleFlight<Int, Int>("test.negative.model", negative: clock.policy(entries: 64)) { key, _ in
            try Self.outcome(of: key, run: runs.add(1))
        }
        var kept: [Int: (answer: String, until: Int)] = [:]
        var expectedRuns = 0
        var hits: UInt64 = 0
        var random = SplitMix(seed: seed)
        for _ in 0..<3_000 {
            clock.time.add(Int.random(in: 0..<8, using: &random))
            let key = Int.random(in: 0..<20, using: &random)
            let freshness: FlightFreshness = Int.random(in: 0..<4, using: &random) == 0 ? .requestedAfterNow : .shared
            let answer = toldNow { try group.value(for: key, freshness) }
            let expected: String
            if freshness == .shared, let entry = kept[key], clock.time.now < entry.until {
                expected = entry.answer
                hits += 1
            } else {
                expectedRuns += 1
                let run = expectedRuns
                expected = toldNow { try Self.outcome(of: key, run: run) }
                kept[key] = Self.keep(key).map { (expected, clock.time.now + $0) }
            }
            #expect(answer == expected && runs.now == expectedRuns)
        }
        #expect(group.statistics.negativeHits == hits && hits > 300)
        #expect(group.statistics.calls == UInt64(expectedRuns))
    }

    @Test func keepsForTasksToo() async {
        let clock = Clock()
        let runs = Count()
        let group = AsyncSingleFlight<Int, Int>("test.negative.async", negative: clock.policy()) { key in
            try Self.outcome(of: key, run: runs.add(1))
        }
        #expect(await told { try await group.value(for: 0) } == "notFound")
        #expect(await told { try await group.value(for: 0) } == "notFound")
        #expect(runs.now == 1 && group.statistics.negativeHits == 1 && group.statistics.calls == 1)
        #expect(await told { try await group.value(for: 0, .requestedAfterNow) } == "notFound")
        #expect(runs.now == 2, "a kept result was not requested after now")
        clock.time.add(50)
        #expect(await told { try await group.value(for: 0) } == "notFound")
        #expect(runs.now == 3)
    }

    @Test func forgetsWhatALaterFlightSawOtherwise() async {
        let clock = Clock()
        let runs = Count()
        let group = AsyncSingleFlight<Int, Int>("test.negative.later", negative: clock.policy()) { _ in
            if runs.add(1) == 1 { throw Vain.notFound }
            return 7
        }
        #expect(await told { try await group.value(for: 0) } == "notFound")
        #expect(await told { try await group.value(for: 0, .requestedAfterNow) } == "7")
        #expect(await told { try await group.value(for: 0) } == "7")
        #expect(runs.now == 3)
    }

    @Test func keepsNoMoreThanItMayAndDropsTheOldest() {
        var cache = NegativeCache<Int, Int>(limit: 4)
        let soon = MonotonicTime(nanoseconds: 10)
        let now = MonotonicTime(nanoseconds: 0)
        for key in 0..<1_000 {
            let dropped = cache.note(.success(key), for: key, until: soon)
            #expect(dropped.map(\.key) == (key < 4 ? [] : [key - 4]))
            #expect(cache.count == min(key + 1, 4))
            #expect(cache.result(for: key, at: now) != nil)
        }
        #expect(cache.note(.success(0), for: 999, until: nil).map(\.key) == [999])
        #expect(cache.count == 3)
        #expect(cache.result(for: 998, at: soon) == nil, "its time is over")
        // Made anew, it is the youngest.
        _ = cache.note(.success(0), for: 996, until: soon)
        _ = cache.note(.success(0), for: 1_000, until: soon)
        #expect(cache.note(.success(0), for: 1_001, until: soon).map(\.key) == [997])
    }

    @Test func neverKeepsErrorsOfTheGroupItself() {
        let group = ThreadSingleFlight<Int, Int>(
            "test.negative.own",
            negative: NegativePolicy { _ in .init("all", keepNanoseconds: 1_000_000_000_000) }
        ) { key, _ in
            if key == 0 { throw CancellationError() }
            throw SingleFlightError.cycle(path: ["a", "a"])
        }
        for _ in 0..<2 {
            #expect(toldNow { try group.value(for: 0) } == "cancelled")
            #expect(toldNow { try group.value(for: 1) } == "a → a")
        }
        #expect(group.statistics.flights == 4 && group.statistics.negativeHits == 0)
    }

    /// The classes and the clock are asked, and what is dropped is freed, under no lock.
    @Test func callsNobodyUnderItsLock() {
        typealias Group = ThreadSingleFlight<Int, Counted>
        let holder = Plain<Group?>(nil)
        let asked = Count()
        @Sendable func enter() {
            asked.add(1)
            _ = holder.now?.statistics
        }
        let policy = NegativePolicy<Counted>(
            entries: 1,
            now: {
                enter()
                return .now
            },
            classify: { _ in
                enter()
                return .init("all", keepNanoseconds: 1_000_000_000_000)
            }
        )
        let live = LooseCount()
        let group = Group("test.negative.callbacks", negative: policy) { key, _ in Counted(key, in: live) }
        holder.change { $0 = group }
        #expect(returns { for key in 0..<3 { _ = try? group.value(for: key) } })
        #expect(asked.now == 9 && live.now == 1)
        holder.change { $0 = nil }
    }
}

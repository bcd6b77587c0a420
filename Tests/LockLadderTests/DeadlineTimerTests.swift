import Testing

@testable import LockLadder

@Suite struct DeadlineTimerTests {
    /// Alarms set and cancelled at random: each rings once or, cancelled long before its time, never.
    @Test(arguments: [41, 42] as [UInt64])
    func ringsWhatIsDueAndOnlyThat(seed: UInt64) {
        let timer = DeadlineTimer.shared
        let early = Plain<[Int]>([])
        let rings = (0..<600).map { _ in Count() }
        var random = SplitMix(seed: seed)
        var alarms: [DeadlineTimer.Alarm] = []
        for index in 0..<600 {
            // Two of three far away: those are cancelled.
            let delay: UInt64 = index % 3 == 0 ? .random(in: 0..<20, using: &random) : 600_000
            let deadline = MonotonicTime.inMilliseconds(delay)
            let alarm = DeadlineTimer.Alarm(at: deadline) {
                if MonotonicTime.now < deadline { early.change { $0.append(index) } }
                rings[index].add(1)
            }
            #expect(timer.set(alarm))
            alarms.append(alarm)
        }
        for index in (0..<600).shuffled(using: &random) where index % 3 != 0 {
            timer.cancel(alarms[index])
            timer.cancel(alarms[index])
        }
        #expect(eventually { (0..<600).allSatisfy { $0 % 3 != 0 || rings[$0].now == 1 } })
        #expect((0..<600).allSatisfy { rings[$0].now == ($0 % 3 == 0 ? 1 : 0) })
        #expect(early.now.isEmpty)
    }

    /// What stands in the timer's heap: long due, and due in this order; or due at no time that a test sees, and then in
    /// this order.
    private enum Time: Sendable {
        case past(UInt64)
        case never(UInt64)

        var deadline: MonotonicTime {
            switch self {
            case .past(let order): MonotonicTime(nanoseconds: 1 + order)
            case .never(let order): .inMilliseconds(600_000 + 1_000 * order)
            }
        }

        var isPast: Bool { if case .past = self { true } else { false } }
    }

    /// Sets alarms, cancels some of them and sets others, while the timer's thread is held up; then lets it go on.
    ///
    /// - Returns: which of those that are due did not ring, and which rang and were not to. Nothing else may push the
    ///   timer on: in a process of its own.
    private static func wrong(_ times: [Time], cancelling cancelled: [Int], then later: [Time]) -> [Int] {
        let timer = DeadlineTimer.shared
        let isHeldUp = Count()
        let mayGoOn = Count()
        let holdUp = DeadlineTimer.Alarm(at: MonotonicTime(nanoseconds: 1)) {
            isHeldUp.set(1)
            _ = eventually { mayGoOn.now == 1 }
        }
        guard timer.set(holdUp), eventually({ isHeldUp.now == 1 }) else { return [-1] }
        let all = times + later
        let rings = all.map { _ in Count() }
        let alarms = zip(all, rings).map { time, rings in DeadlineTimer.Alarm(at: time.deadline) { rings.add(1) } }
        for alarm in alarms.prefix(times.count) where !timer.set(alarm) { return [-2] }
        for index in cancelled { timer.cancel(alarms[index]) }
        for alarm in alarms.dropFirst(times.count) where !timer.set(alarm) { return [-2] }
        mayGoOn.set(1)
        let expected = all.indices.map { all[$0].isPast && !cancelled.contains($0) ? 1 : 0 }
        _ = eventually(within: 20_000_000_000) { rings.map(\.now) == expected }
        for alarm in alarms { timer.cancel(alarm) }
        return all.indices.filter { rings[$0].now != expected[$0] }
    }

    /// The last of the heap takes the place of one that is cancelled, under one that is due later than itself.
    @Test func ringsWhatTookThePlaceOfACancelledOne() async {
        await #expect(processExitsWith: .success) {
            // Level by level; the fourth is cancelled.
            let heap: [Time] = [.past(1), .never(50), .past(2), .never(60), .never(70), .past(3), .past(4)]
            let later: [Time] = [.never(80), .never(81), .never(82)]
            #expect(DeadlineTimerTests.wrong(heap, cancelling: [3], then: later) == [])
        }
    }

    @Test func ringsAllThatIsDueAfterAnyCancellations() async {
        await #expect(processExitsWith: .success) {
            var random = SplitMix(seed: 43)
            for _ in 1...40 {
                let times = (0..<64).map { index in
                    let order = UInt64.random(in: 0..<1_000, using: &random)
                    return index % 2 == 0 ? Time.past(order) : .never(order)
                }
                let cancelled = Array((0..<64).shuffled(using: &random).prefix(24))
                guard DeadlineTimerTests.wrong(times, cancelling: cancelled, then: []) == [] else {
                    Issue.record("not all that are due have rung, or others too")
                    return
                }
                #expect(DeadlineTimer.shared.count == 0)
            }
        }
    }

    @Test func keepsNothingOfAnAlarmThatIsCancelledOrHasRung() {
        let live = LooseCount()
        let rang = Count()
        func set(_ deadline: MonotonicTime) -> DeadlineTimer.Alarm {
            let kept = Counted(0, in: live)
            let alarm = DeadlineTimer.Alarm(at: deadline) { withExtendedLifetime(kept) { _ = rang.add(1) } }
            _ = DeadlineTimer.shared.set(alarm)
            return alarm
        }
        DeadlineTimer.shared.cancel(set(.inMilliseconds(600_000)))
        #expect(live.now == 0 && rang.now == 0)
        _ = set(.inMilliseconds(1))
        #expect(eventually { live.now == 0 && rang.now == 1 })
    }
}

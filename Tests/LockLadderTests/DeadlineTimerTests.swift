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

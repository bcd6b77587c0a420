import Glibc
import LockLadder
import Testing

@Suite struct WakeSignalTests {
    private func past() -> MonotonicTime { MonotonicTime(nanoseconds: MonotonicTime.now.nanoseconds - 1) }

    @Test func remembersThatItWasRaisedBeforeTheWait() {
        let signal = WakeSignal()
        signal.raise()
        #expect(returns { _ = signal.wait(until: nil) })
        // And it is lowered again.
        #expect(!signal.wait(until: past()))
    }

    @Test func countsSeveralRaisesAsOne() {
        let signal = WakeSignal()
        for _ in 0..<10 { signal.raise() }
        #expect(signal.wait(until: past()))
        #expect(!signal.wait(until: past()))
    }

    @Test func wakesAThreadThatSleeps() throws {
        let signal = WakeSignal()
        let sleeper = Plain<UInt32>(0)
        let findings = Findings()
        try onThreads(2) { index in
            if index == 0 {
                sleeper.change { $0 = CurrentThread.id }
                findings.expect(signal.wait(until: nil), "woken without a reason")
            } else {
                findings.expect(eventually { Kernel.sleepsForSignal(sleeper.now) }, "it does not sleep")
                signal.raise()
            }
        }
        #expect(findings.all == [])
        #expect(!signal.wait(until: past()))
    }

    @Test func givesUpAtItsDeadlineAndNotBefore() {
        let signal = WakeSignal()
        let deadline = MonotonicTime.now.advanced(byNanoseconds: 3_000_000)
        #expect(!signal.wait(until: deadline))
        #expect(MonotonicTime.now >= deadline)
        signal.raise()
        #expect(signal.wait(until: deadline), "a raised flag counts even when the deadline has passed")
    }

    /// The beginning of the clock is a deadline like any other, long past.
    @Test(arguments: [0, 1, 999_999_999, 1_000_000_000] as [UInt64])
    func doesNotWaitForADeadlineLongPast(nanoseconds: UInt64) {
        let signal = WakeSignal()
        let answer = Plain<Bool?>(nil)
        #expect(
            returns {
                let raised = signal.wait(until: MonotonicTime(nanoseconds: nanoseconds))
                answer.change { $0 = raised }
            }
        )
        #expect(answer.now == false)
        signal.raise()
    }

    @Test func takesTheFarthestDeadline() throws {
        let signal = WakeSignal()
        let sleeper = Plain<UInt32>(0)
        let findings = Findings()
        try onThreads(2) { index in
            if index == 0 {
                sleeper.change { $0 = CurrentThread.id }
                findings.expect(signal.wait(until: MonotonicTime(nanoseconds: .max)), "the end of time came early")
            } else {
                findings.expect(eventually { Kernel.sleepsForSignal(sleeper.now) }, "it does not sleep")
                signal.raise()
            }
        }
        #expect(findings.all == [])
    }

    /// Plain memory goes with the signal: what was written before a raise is read after the wait.
    private final class Ball: @unchecked Sendable {
        var touches = 0
    }

    @Test func losesNoWakeUpInAHundredThousandRounds() throws {
        let rounds = 100_000
        let there = WakeSignal()
        let back = WakeSignal()
        let ball = Ball()
        let findings = Findings()
        try onThreads(2) { index in
            for round in 0..<rounds {
                if index == 0 {
                    findings.expect(ball.touches == 2 * round, "round \(round): \(ball.touches) touches")
                    ball.touches += 1
                    there.raise()
                    guard back.wait(until: nil) else { return findings.note("woken without a reason") }
                } else {
                    guard there.wait(until: nil) else { return findings.note("woken without a reason") }
                    findings.expect(ball.touches == 2 * round + 1, "round \(round): \(ball.touches) touches")
                    ball.touches += 1
                    back.raise()
                }
            }
        }
        #expect(findings.all == [])
        #expect(ball.touches == 2 * rounds)
    }

    /// The raise and the beginning of the wait meet: both threads go off at the same moment, the one that raises now a
    /// little later, now not. One raise for each wait, so that after a lost one the wait does not end.
    @Test func losesNoRaiseThatMeetsTheWait() throws {
        let rounds = 40_000
        let signal = WakeSignal()
        let arrived = LooseCount()
        let findings = Findings()
        try onThreads(2) { index in
            for round in 1...rounds {
                arrived.add(1)
                var spins = 0
                while arrived.now < 2 * round {
                    spins += 1
                    if spins > 500 { sched_yield() }
                }
                if index == 0 {
                    for _ in 0..<(round % 37) { _ = arrived.now }
                    signal.raise()
                } else if !signal.wait(until: nil) {
                    return findings.note("round \(round): woken without a reason")
                }
            }
        }
        #expect(findings.all == [])
    }

    /// The waiter is told of the last raise of each producer, however many fell together.
    @Test func endsAWaitAfterTheLastOfManyRaises() throws {
        let signal = WakeSignal()
        let produced = LooseCount()
        let findings = Findings()
        try onThreads(5) { index in
            if index == 0 {
                // Looks again only after having been woken: a raise that got lost leaves it asleep.
                while produced.now < 40_000 {
                    guard signal.wait(until: nil) else { return findings.note("woken without a reason") }
                }
            } else {
                for _ in 0..<10_000 {
                    produced.add(1)
                    signal.raise()
                }
            }
        }
        #expect(findings.all == [])
    }
}

import Testing

@testable import LockLadder

/// What a probe tells of waits while they last.
@Suite struct LockProbeTests {
    private final class NoMeter: LockMeter {
        var acquisitions: UInt64 { 0 }
        var lastHolder: CallSite { .none }
    }

    private static let first = CallSite(fileID: "Scene/First.swift", line: 1)
    private static let second = CallSite(fileID: "Scene/Second.swift", line: 2)

    private func probe() -> LockProbe { LockProbe(name: "test.probe", kind: .mutex, meter: NoMeter()) }

    @Test func tellsOfTheOldestWaitAndOfNoneAfterwards() {
        let probe = probe()
        #expect(probe.statistics.waiting == 0)
        let before = MonotonicTime.now
        let oldest = probe.beginWait(.exclusive, at: Self.first, in: "f()", heldBy: .none)
        let begun = MonotonicTime.now
        #expect(eventually { MonotonicTime.now.nanoseconds(since: begun) > 2_000_000 })
        let other = probe.beginWait(.exclusive, at: Self.second, in: "f()", heldBy: .none)
        let figures = probe.statistics
        #expect(figures.waiting == 2)
        #expect(figures.waitingSite == Self.first)
        #expect(figures.waitingNanoseconds >= 2_000_000)
        #expect(figures.waitingNanoseconds <= MonotonicTime.now.nanoseconds(since: before))

        // The one that is left began later, and nobody knows where: neither the other's time nor its place.
        let leaving = MonotonicTime.now
        probe.abandon(oldest)
        let rest = probe.statistics
        #expect(rest.waiting == 1)
        #expect(rest.waitingSite == .none)
        #expect(rest.waitingNanoseconds <= MonotonicTime.now.nanoseconds(since: leaving))
        probe.abandon(other)
        #expect(probe.statistics.waiting == 0)
        #expect(probe.statistics.waitingNanoseconds == 0)
        #expect(probe.statistics.waitingSite == .none)

        let next = probe.beginWait(.exclusive, at: Self.second, in: "f()", heldBy: .none)
        #expect(probe.statistics.waitingSite == Self.second)
        probe.abandon(next)
    }

    @Test func keepsTheOldestWaitWhileYoungerOnesEnd() {
        let probe = probe()
        let oldest = probe.beginWait(.exclusive, at: Self.first, in: "f()", heldBy: .none)
        let begun = MonotonicTime.now
        for _ in 0..<3 { probe.abandon(probe.beginWait(.exclusive, at: Self.second, in: "f()", heldBy: .none)) }
        let least = MonotonicTime.now.nanoseconds(since: begun)
        #expect(probe.statistics.waiting == 1)
        #expect(probe.statistics.waitingSite == Self.first)
        #expect(probe.statistics.waitingNanoseconds >= least)
        probe.abandon(oldest)
    }

    /// Waits are short and the pauses between them long: whoever takes the time of one wait for the next is found.
    @Test func neverTakesAnOldWaitForANewOne() throws {
        let probe = probe()
        let longestWait = Plain<UInt64>(0)
        let longestSeen = Plain<UInt64>(0)
        let isOver = Count()
        try onThreads(2) { index in
            if index == 0 {
                for _ in 0..<4_000 {
                    let before = MonotonicTime.now
                    probe.abandon(probe.beginWait(.exclusive, at: Self.first, in: "f()", heldBy: .none))
                    let lasted = MonotonicTime.now.nanoseconds(since: before)
                    longestWait.change { $0 = max($0, lasted) }
                    let pause = MonotonicTime.now.advanced(byNanoseconds: 50_000)
                    while MonotonicTime.now < pause {}
                }
                isOver.add(1)
            } else {
                while isOver.now == 0 {
                    let before = MonotonicTime.now
                    let seen = probe.statistics.waitingNanoseconds
                    // The look itself may take long, and its end is what it is counted to.
                    let look = MonotonicTime.now.nanoseconds(since: before)
                    longestSeen.change { $0 = max($0, seen > look ? seen - look : 0) }
                }
            }
        }
        #expect(longestSeen.now <= longestWait.now)
    }
}

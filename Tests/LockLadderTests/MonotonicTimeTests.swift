import Glibc
import LockLadder
import Testing

@Suite struct MonotonicTimeTests {
    @Test func neverGoesBackwards() {
        var before = MonotonicTime.now
        for _ in 0..<10_000 {
            let now = MonotonicTime.now
            #expect(now >= before)
            before = now
        }
    }

    @Test func isTheKernelsMonotonicClock() {
        var time = timespec()
        let before = MonotonicTime.now
        clock_gettime(CLOCK_MONOTONIC, &time)
        let after = MonotonicTime.now
        let kernel = MonotonicTime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
        #expect(before <= kernel && kernel <= after)
    }

    @Test func addsAndSubtractsWithoutOverflow() {
        let moment = MonotonicTime(nanoseconds: 100)
        #expect(moment.advanced(byNanoseconds: 23).nanoseconds == 123)
        #expect(moment.advanced(byNanoseconds: .max).nanoseconds == .max)
        #expect(moment.nanoseconds(since: MonotonicTime(nanoseconds: 40)) == 60)
        #expect(moment.nanoseconds(since: moment) == 0)
        #expect(moment.nanoseconds(since: MonotonicTime(nanoseconds: 101)) == 0)
    }
}

@Suite struct CurrentThreadTests {
    @Test func hasTheKernelsIDWhichIsItsOwn() throws {
        let ids = Plain<Set<UInt32>>([])
        let findings = Findings()
        try onThreads(8) { _ in
            let id = CurrentThread.id
            findings.expect(CurrentThread.id == id, "an id that changes")
            findings.expect(access("/proc/self/task/\(id)", F_OK) == 0, "no thread has the id \(id)")
            _ = ids.change { $0.insert(id) }
            // Kept alive until all have theirs: the kernel may hand out an id again.
            findings.expect(eventually { ids.now.count == 8 }, "an id that two threads share")
        }
        #expect(findings.all == [])
    }
}

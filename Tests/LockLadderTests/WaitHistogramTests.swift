@testable import LockLadder
import Testing
import Glibc
import struct Synchronization.Atomic

@Suite struct WaitHistogramTests {
    @Test func one() async {
        let a = Atomic<Int>(0)
        a.add(1, ordering: .relaxed)
        let m = Mutex("t", 1)
        m.withLock { $0 += 1 }
        #expect(WaitHistogram.bucketCount == 98)
        await #expect(processExitsWith: .exitCode(42)) { exit(42) }
    }
}

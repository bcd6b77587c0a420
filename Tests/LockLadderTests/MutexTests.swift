import Glibc
import LockLadder
import Testing

/// A lock that threads share.
final class Guarded<Value: ~Copyable>: Sendable {
    let lock: Mutex<Value>

    init(_ lock: consuming Mutex<Value>) { self.lock = lock }
}

@Suite struct MutexTests {
    /// Plain memory: only the lock keeps two threads from seeing half a change.
    private struct Ledger {
        var left = 0
        var right = 0
        var byThread = [Int](repeating: 0, count: 8)
    }

    @Test func letsOneThreadInAtATime() throws {
        let rounds = 10_000
        let guarded = Guarded(Mutex("test.mutex.exclusion", Ledger()))
        let inside = LooseCount()
        let reference = LooseCount()
        let findings = Findings()
        try onThreads(8) { index in
            for _ in 0..<rounds {
                guarded.lock.withLock { ledger in
                    findings.expect(inside.add(1) == 1, "two threads inside")
                    findings.expect(ledger.left == ledger.right, "half a change: \(ledger.left) and \(ledger.right)")
                    ledger.left += 1
                    ledger.byThread[index] += 1
                    ledger.right += 1
                    inside.add(-1)
                }
                reference.add(1)
            }
        }
        #expect(findings.all == [])
        let ledger = guarded.lock.withLock { $0 }
        #expect(ledger.left == reference.now)
        #expect(ledger.byThread == [Int](repeating: rounds, count: 8))
        #expect(guarded.lock.statistics.acquisitions == UInt64(8 * rounds + 1))
    }

    private struct Refused: Error, Equatable { let number: Int }

    @Test func isReleasedWhenTheBodyThrows() throws {
        let guarded = Guarded(Mutex("test.mutex.throwing", 0))
        let caught = Plain<[Int]>([])
        let isOver = returns {
            for number in 1...3 {
                do throws(Refused) {
                    try guarded.lock.withLock { value throws(Refused) in
                        value += 1
                        throw Refused(number: number)
                    }
                } catch { caught.change { $0.append(error.number) } }
            }
            guarded.lock.withLock { $0 += 1 }
        }
        try #require(isOver, "the lock is still held")
        #expect(caught.now == [1, 2, 3])
        #expect(guarded.lock.withLock { $0 } == 4)
        #expect(guarded.lock.statistics.acquisitions == 5)
        #expect(guarded.lock.statistics.contended == 0)
    }

    @Test func isReleasedWhenTheBodyThrowsAfterHavingSlept() throws {
        let guarded = Guarded(Mutex("test.mutex.throwing.contended", 0))
        let findings = Findings()
        let held = Count()
        let waiter = Plain<UInt32>(0)
        try onThreads(2) { index in
            if index == 0 {
                guarded.lock.withLock { _ in
                    held.add(1)
                    findings.expect(eventually { Kernel.sleepsForMutex(waiter.now) }, "nobody sleeps")
                }
            } else {
                while held.now == 0 {}
                waiter.change { $0 = CurrentThread.id }
                do throws(Refused) {
                    try guarded.lock.withLock { _ throws(Refused) in throw Refused(number: 1) }
                    findings.note("the error got lost")
                } catch { findings.expect(error.number == 1, "another error") }
            }
        }
        #expect(findings.all == [])
        #expect(returns { guarded.lock.withLock { $0 += 1 } }, "the lock is still held")
    }

    /// Counts its own end; cannot be copied.
    private struct Token: ~Copyable, Sendable {
        let number: Int
        let ended: Count

        deinit { ended.add(number) }
    }

    @Test func holdsWhatCannotBeCopied() {
        let ended = Count()
        do {
            let lock = Mutex("test.mutex.token", Token(number: 1, ended: ended))
            #expect(lock.withLock { $0.number } == 1)
            lock.withLock { $0 = Token(number: 20, ended: ended) }
            #expect(ended.now == 1, "the first token ended when it was replaced")
            let taken = lock.withLock { token -> Token in
                let taken = token
                token = Token(number: 300, ended: ended)
                return taken
            }
            #expect(taken.number == 20)
            #expect(ended.now == 1, "a token that was moved out lives")
            _ = consume taken
            #expect(ended.now == 21)
        }
        #expect(ended.now == 321, "the last token ended with its lock, once")
    }

    @Test func handsOverWhatTheLastHolderWrote() throws {
        // Objects behind the lock, without a lock of their own.
        final class Box { var items: [Int] = [] }
        let guarded = Guarded(Mutex("test.mutex.handover", Box()))
        try onThreads(8) { index in
            for round in 0..<500 { guarded.lock.withLock { $0.items.append(index * 500 + round) } }
        }
        let items = guarded.lock.withLock { $0.items }
        #expect(items.sorted() == Array(0..<4_000))
    }

    /// No wake-up gets lost: with two threads that hand the lock to and fro, a lost one is the end.
    @Test func wakesWhoeverSleepsInFrontOfIt() throws {
        let guarded = Guarded(Mutex("test.mutex.baton", 0))
        let findings = Findings()
        try onThreads(4) { index in
            var mine = 0
            let deadline = MonotonicTime.now.advanced(byNanoseconds: patience)
            while mine < 250 {
                let played = guarded.lock.withLock { turn -> Bool in
                    guard turn % 4 == index else { return false }
                    turn += 1
                    return true
                }
                if played { mine += 1 } else { sched_yield() }
                if MonotonicTime.now > deadline { return findings.note("thread \(index) played \(mine) rounds only") }
            }
        }
        #expect(findings.all == [])
        #expect(guarded.lock.withLock { $0 } == 1_000)
    }
}

import CLockLadder
import Synchronization
import Testing

@testable import LockLadder

/// Wake-ups that are lost in one order of steps only: each test goes through the steps in that order.
@Suite struct WakeUpTests {
    /// A thread that gave up is not there to be woken: no release is to look for it.
    @Test func nobodyWhoGaveUpIsWoken() {
        let guarded = Guarded(LockLadder.Mutex("test.wakeup.late", 0))
        let core = guarded.lock.core
        let before = core.pointee.waiters.load(ordering: .relaxed)
        guarded.lock.withLock { _ in
            for _ in 1...3 {
                var wait: LockProbe.Wait?
                let deadline = MonotonicTime.now.advanced(byNanoseconds: 100_000).nanoseconds
                let outcome = core.pointee.lock(.none, in: #function, guarded.lock.probe, &wait, until: deadline)
                #expect(outcome == .late && wait == nil)
            }
        }
        #expect(core.pointee.waiters.load(ordering: .relaxed) == before)
    }

    /// A reader that leaves after the writer has looked, and before the writer sleeps, ends that sleep.
    @Test func noReaderLeavesUnnoticedBetweenTheWritersLookAndItsSleep() {
        let memory = RWMemory()
        // As a writer does that is about to sleep.
        memory.core.pointee.writerSleeps.add(1, ordering: .sequentiallyConsistent)
        let found = memory.core.pointee.readerToWaitFor {
            // Seen; and then the reader leaves.
            memory.core.pointee.wakeWriter()
            return CallSite.none
        }
        let now = memory.core.pointee.readerToWaitFor { CallSite.none }
        #expect(found != nil && now != nil)
        #expect(found?.departures != now?.departures, "the writer would sleep for one that has left")
        let next = memory.core.pointee.readerToWaitFor { CallSite.none }
        #expect(next?.departures == now?.departures, "it would not sleep for one that reads")
        #expect(memory.core.pointee.readerToWaitFor { nil } == nil)
        memory.core.pointee.writerSleeps.subtract(1, ordering: .relaxed)
    }

    #if DEBUG
        /// A waker finds nobody asleep. Before it says that it is done, another thread falls asleep, and a release
        /// relies on the waker: it must try again.
        @Test func aWakerTriesAgainForWhoeverReliedOnIt() throws {
            let guarded = Guarded(LockLadder.Mutex("test.wakeup.again", 0))
            let scene = Scene()
            let ended = Count()
            let wakes = Plain<[Int32]>([])
            try onThreads(3) { index in
                switch index {
                case 0:
                    let core = guarded.lock.core
                    // One that says that it is about to sleep, and does not yet.
                    core.pointee.waiters.add(1, ordering: .sequentiallyConsistent)
                    watchingCalls { call, result in
                        guard call == cll_call_wake else { return }
                        wakes.change { $0.append(result) }
                        guard wakes.now.count == 1 else { return }
                        scene.mayGoOn.set(1)
                        scene.expect("nobody relies on it") { scene.mayGoOn.now == 2 }
                    } _: {
                        guarded.lock.withLock { $0 += 1 }
                    }
                    core.pointee.waiters.subtract(1, ordering: .relaxed)
                    scene.findings.expect(eventually(within: 20_000_000_000) { ended.now == 1 }, "it sleeps for ever")
                    // Lets a failing test come to its end.
                    while ended.now == 0, !scene.findings.isEmpty {
                        cll_futex_wake(UnsafeRawPointer(core).assumingMemoryBound(to: UInt32.self), 1)
                    }
                case 1:
                    scene.expect("nobody wakes") { scene.mayGoOn.now == 1 }
                    guarded.lock.withLock { _ in
                        scene.isHeld.set(1)
                        scene.expect("nobody sleeps") { scene.sleeps(2) }
                    }
                    scene.mayGoOn.set(2)
                default:
                    scene.expect("nobody holds it") { scene.isHeld.now == 1 }
                    scene.enter(2)
                    guarded.lock.withLock { $0 += 1 }
                    ended.set(1)
                }
            }
            #expect(scene.findings.all == [])
            #expect(wakes.now.starts(with: [0, 1]), "\(wakes.now)")
        }

        /// A raise that comes after the kernel has ended the sleep, and before the waiter has returned, counts.
        @Test func aRaiseAtTheDeadlineCounts() {
            let signal = WakeSignal()
            let ends = LooseCount()
            let isRaised = watchingCalls { call, result in
                guard call == cll_call_wait, result == cll_deadline_passed.rawValue else { return }
                ends.add(1)
                signal.raise()
            } _: {
                signal.wait(until: MonotonicTime(nanoseconds: 1))
            }
            #expect(ends.now == 1 && isRaised)
            #expect(!signal.wait(until: MonotonicTime(nanoseconds: 1)), "and is counted once")
        }
    #endif
}

#if DEBUG
    import CLockLadder
    import Testing

    @testable import LockLadder

    /// Who is to pass the barrier for all, counted by the call: that one is missing shows in no run of a test on a
    /// machine that is kind, and in every one of these.
    @Suite struct BarrierTests {
        @Test(.enabled(if: BarrierEverywhere.isAvailable, "the kernel refuses the barrier"))
        func oneIsPassedForEachSleepInFrontOfAMutex() throws {
            let guarded = Guarded(Mutex("test.barrier.mutex", 0))
            let scene = Scene()
            let counts = Plain<[Int]>([-1, -1])
            try onThreads(2) { index in
                let count = countingBarriers {
                    if index == 0 {
                        guarded.lock.withLock { _ in
                            scene.isHeld.add(1)
                            scene.expect("nobody sleeps") { scene.sleeps(1) }
                        }
                    } else {
                        scene.expect("nobody holds it") { scene.isHeld.now == 1 }
                        scene.enter(1)
                        guarded.lock.withLock { $0 += 1 }
                    }
                }
                counts.change { $0[index] = count }
            }
            #expect(scene.findings.all == [])
            #expect(counts.now == [0, 1])
        }

        @Test(.enabled(if: BarrierEverywhere.isAvailable, "the kernel refuses the barrier"))
        func oneIsPassedForAWriteAndASecondBeforeItSleeps() throws {
            let lock = RWLock("test.barrier.rw", 0)
            #expect(countingBarriers { lock.withWriteLock { $0 += 1 } } == 1)
            let scene = Scene()
            let counts = Plain<[Int]>([-1, -1])
            try onThreads(2) { index in
                let count = countingBarriers {
                    if index == 0 {
                        lock.withReadLock { _ in
                            scene.isHeld.add(1)
                            scene.expect("nobody sleeps") { scene.sleeps(1) }
                        }
                    } else {
                        scene.expect("nobody reads") { scene.isHeld.now == 1 }
                        scene.enter(1)
                        lock.withWriteLock { $0 += 1 }
                    }
                }
                counts.change { $0[index] = count }
            }
            #expect(scene.findings.all == [])
            #expect(counts.now == [0, 2])
        }

        // MARK: Where the kernel refuses it

        /// What a thread's calls returned.
        private struct Calls: Sendable {
            var barriers: [Int32] = []
            /// Sleeps that ended because their time was over.
            var limited = 0
        }

        private static func watching(
            _ calls: Plain<Calls>,
            _ first: @escaping @Sendable () -> Void = {},
            _ body: () -> Void
        ) {
            watchingCalls(
                { call, result in
                    if call == cll_call_barrier, calls.now.barriers.isEmpty { first() }
                    calls.change { calls in
                        if call == cll_call_barrier { calls.barriers.append(result) }
                        if call == cll_call_wait, result == cll_deadline_passed.rawValue { calls.limited += 1 }
                    }
                },
                body
            )
        }

        /// Runs `wait` on a thread while another holds a lock by `hold`, until the first has looked by itself three
        /// times, which nobody has woken it for.
        private static func looksByItself(
            _ calls: Plain<Calls>,
            hold: @escaping @Sendable (() -> Void) -> Void,
            wait: @escaping @Sendable () -> Void
        ) throws {
            let isHeld = Count()
            try onThreads(2) { index in
                if index == 0 {
                    hold {
                        isHeld.set(1)
                        _ = eventually(within: 20_000_000_000) { calls.now.limited >= 3 }
                    }
                } else {
                    _ = eventually { isHeld.now == 1 }
                    wait()
                }
            }
        }

        @Test func noneIsTriedWhereItIsRefusedFromTheBeginning() async {
            await #expect(processExitsWith: .success) {
                #expect(Seccomp.refuseMembarrier())
                let lock = RWLock("test.barrier.refused", 0)
                #expect(countingBarriers { lock.withWriteLock { $0 += 1 } } == 0)
                let guarded = Guarded(Mutex("test.barrier.refused", 0))
                let id = Plain<UInt32>(0)
                let count = Count(-1)
                try onThreads(2) { index in
                    if index == 0 {
                        guarded.lock.withLock { _ in
                            let sleeps = eventually { Kernel.sleepsForMutex(id.now) }
                            if !sleeps { count.set(-100) }
                        }
                    } else {
                        _ = eventually { guarded.lock.statistics.acquisitions == 1 }
                        id.change { $0 = CurrentThread.id }
                        count.add(1 + countingBarriers { guarded.lock.withLock { $0 += 1 } })
                    }
                }
                #expect(count.now == 0)
            }
        }

        @Test func aMutexIsLookedAtNowAndThenWhenItIsRefusedLater() async {
            await #expect(processExitsWith: .success) {
                let guarded = Guarded(Mutex("test.barrier.later", 0))
                #expect(BarrierEverywhere.isAvailable && Seccomp.refuseMembarrier())
                let calls = Plain(Calls())
                try BarrierTests.looksByItself(calls) { body in
                    guarded.lock.withLock { _ in body() }
                } wait: {
                    BarrierTests.watching(calls) { guarded.lock.withLock { $0 += 1 } }
                }
                #expect(calls.now.barriers == [0])
                #expect(calls.now.limited >= 3, "it slept until it was woken, and might have been missed")
            }
        }

        @Test func readersAreLookedAtNowAndThenWhenItIsRefusedDuringAWrite() async {
            await #expect(processExitsWith: .success) {
                let lock = RWLock("test.barrier.during", 0)
                #expect(BarrierEverywhere.isAvailable)
                let calls = Plain(Calls())
                let isRefused = Count()
                try BarrierTests.looksByItself(calls) { body in
                    lock.withReadLock { _ in body() }
                } wait: {
                    BarrierTests.watching(calls) {
                        isRefused.set(Seccomp.refuseMembarrier() ? 1 : 0)
                    } _: {
                        lock.withWriteLock { $0 += 1 }
                    }
                }
                #expect(isRefused.now == 1)
                #expect(calls.now.barriers == [1, 0])
                #expect(calls.now.limited >= 3, "it slept until it was woken, and might have been missed")
            }
        }

        /// The writer gives what readers stored a moment ago the time to become visible.
        @Test func aWriterWaitsAMomentWhenItIsRefusedLater() async {
            await #expect(processExitsWith: .success) {
                let lock = RWLock("test.barrier.moment", 0)
                #expect(BarrierEverywhere.isAvailable && Seccomp.refuseMembarrier())
                let begun = MonotonicTime.now
                let calls = Plain(Calls())
                BarrierTests.watching(calls) { lock.withWriteLock { $0 += 1 } }
                #expect(calls.now.barriers == [0] && calls.now.limited > 0)
                #expect(MonotonicTime.now.nanoseconds(since: begun) >= 1_000_000)
                // From then on readers pass fences of their own.
                #expect(countingBarriers { lock.withWriteLock { $0 += 1 } } == 0)
            }
        }
    }
#endif

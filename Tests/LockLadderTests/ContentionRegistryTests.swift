import LockLadder
import Testing

@Suite struct ContentionRegistryTests {
    private func probes(named name: String) -> [LockProbe] {
        ContentionRegistry.shared.all.filter { "\($0.name)" == name }
    }

    @Test func knowsALockFromItsBeginningToItsEnd() {
        #expect(probes(named: "test.registry.one").isEmpty)
        do {
            let lock = Mutex("test.registry.one", 0)
            lock.withLock { $0 += 1 }
            let probe = probes(named: "test.registry.one")
            #expect(probe.count == 1)
            #expect(probe.first?.kind == .mutex)
            #expect(probe.first?.statistics.acquisitions == 1)
            lock.withLock { $0 += 1 }
            #expect(probe.first?.statistics.acquisitions == 2)
        }
        #expect(probes(named: "test.registry.one").isEmpty)
    }

    @Test func tellsLocksOfOneNameApart() {
        let first = Mutex("test.registry.twin", 0)
        do {
            let second = Mutex("test.registry.twin", 0)
            second.withLock { $0 += 1 }
            #expect(probes(named: "test.registry.twin").map(\.statistics.acquisitions).sorted() == [0, 1])
        }
        let left = probes(named: "test.registry.twin")
        #expect(left.map(\.statistics.acquisitions) == [0], "the other one has left")
        first.withLock { $0 += 1 }
    }

    @Test func knowsItsOwnLock() {
        #expect(probes(named: "contention.registry").count == 1)
    }

    @Test func knowsTheLocksInsideOtherTypes() {
        do {
            let cell = SnapshotCell("test.registry.cell", Counted(1, in: LooseCount()))
            cell.reclaim()
            #expect(probes(named: "test.registry.cell").count == 1)
        }
        #expect(probes(named: "test.registry.cell").isEmpty)
    }

    /// Leaving in any order: the list's places are handed on.
    @Test func knowsThoseThatAreLeftWhateverTheOrderOfLeaving() {
        var random = SplitMix(seed: 11)
        var locks = (0..<64).map { number in
            let guarded = Guarded(Mutex("test.registry.order", 0))
            for _ in 0..<number { guarded.lock.withLock { $0 += 1 } }
            return (number: UInt64(number), guarded: guarded)
        }
        while !locks.isEmpty {
            locks.remove(at: Int.random(in: 0..<locks.count, using: &random))
            let known = probes(named: "test.registry.order").map(\.statistics.acquisitions).sorted()
            #expect(known == locks.map(\.number).sorted())
        }
    }

    @Test func losesNoLockWhenManyComeAndGo() throws {
        try onThreads(8) { _ in
            for _ in 0..<200 {
                let lock = Mutex("test.registry.churn", 0)
                lock.withLock { $0 += 1 }
            }
        }
        #expect(probes(named: "test.registry.churn").isEmpty)
    }

    @Test func takesOneObserverAndNoSecond() throws {
        #expect(ContentionHook.shared.isInstalled)
        let told = Count()
        let live = LooseCount()
        do {
            let kept = Counted(1, in: live)
            let isTaken = ContentionRegistry.shared.observe { _ in
                told.add(1)
                withExtendedLifetime(kept) {}
            }
            #expect(!isTaken)
        }
        #expect(live.now == 0, "a refused observer is let go")
        try contend(Guarded(Mutex("test.registry.second", 0)))
        #expect(told.now == 0)
    }

    /// One thread holds the lock until another sleeps in front of it.
    private func contend(_ guarded: Guarded<Int>) throws {
        let isHeld = Count()
        let waiter = Plain<UInt32>(0)
        let findings = Findings()
        try onThreads(2) { index in
            if index == 0 {
                guarded.lock.withLock(fileID: "Scene/Holder.swift", line: 1) { _ in
                    isHeld.add(1)
                    findings.expect(eventually { Kernel.sleepsForMutex(waiter.now) }, "nobody sleeps")
                }
            } else {
                findings.expect(eventually { isHeld.now == 1 }, "nobody holds the lock")
                waiter.change { $0 = CurrentThread.id }
                guarded.lock.withLock(fileID: "Scene/Waiter.swift", line: 2) { $0 += 1 }
            }
        }
        #expect(findings.all == [])
    }

    /// While the observer runs, another thread takes the lock; it could not if the waiter still held it.
    @Test func tellsTheObserverWhenTheLockIsFreeAgain() throws {
        let guarded = Guarded(Mutex("test.registry.hook", 0))
        let calls = Count()
        let wasFree = Count()
        let threads = Plain<[UInt32]>([])
        try ContentionHook.shared.listen(to: "test.registry.hook") { record in
            // The thread that looks whether the lock is free may come to be told of itself.
            guard record.waiter.file == "Scene/Waiter.swift" else { return }
            calls.add(1)
            threads.change { $0 = [CurrentThread.id, record.threadID] }
            let taken = Count()
            let other = NamedThread("test-other") {
                guarded.lock.withLock { $0 += 10 }
                taken.add(1)
            }
            if other != nil, eventually(within: 10_000_000_000, { taken.now == 1 }) { wasFree.add(1) }
        } _: {
            try contend(guarded)
        }
        #expect(calls.now == 1, "told exactly once")
        #expect(wasFree.now == 1, "the lock was held while the observer ran")
        #expect(Set(threads.now).count == 1, "told by the thread that waited")
        #expect(guarded.lock.withLock { $0 } == 11)
    }

    @Test func tellsNothingOfWhoDidNotSleep() {
        let records = ContentionHook.shared.records(of: "test.registry.quiet") {
            let lock = Mutex("test.registry.quiet", 0)
            for _ in 0..<1_000 { lock.withLock { $0 += 1 } }
        }
        #expect(records.isEmpty)
    }
}

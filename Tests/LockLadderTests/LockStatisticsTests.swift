import LockLadder
import Testing

/// Whether the figures of a lock tell what happened. In every test the holder keeps the lock until the kernel says
/// that the others sleep in front of it, so nothing here is left to chance.
@Suite struct LockStatisticsTests {
    /// What the threads of ``crowd(_:waiters:holdingFor:andAgainFor:)`` saw by their own watches.
    private struct Crowd: Sendable {
        /// From when all waiters slept until the holder's body was over.
        var held: UInt64 = 0
        /// When the holder was back from `withLock`.
        var holderBack = MonotonicTime(nanoseconds: 0)
        var waiterThreads: [UInt32] = []
        /// When each waiter called `withLock`, and when its body ran.
        var called: [MonotonicTime] = []
        var granted: [MonotonicTime] = []
    }

    private static let holderSite = CallSite(fileID: "Scene/Holder.swift", line: 11)
    private static let waiterSite = CallSite(fileID: "Scene/Waiter.swift", line: 22)

    /// One thread holds `guarded` until `waiters` others sleep in front of it, and `nanoseconds` more.
    ///
    /// - Parameter again: for how long it holds the lock once more, at the next line, as soon as it has let it go.
    private func crowd(
        _ guarded: Guarded<Int>,
        waiters: Int,
        holdingFor nanoseconds: UInt64,
        andAgainFor again: UInt64 = 0
    ) throws -> Crowd {
        let crowd = Plain(Crowd())
        let findings = Findings()
        let isHeld = Count()
        try onThreads(waiters + 1) { index in
            if index == 0 {
                let held = guarded.lock.withLock(fileID: "Scene/Holder.swift", line: 11) { _ -> UInt64 in
                    isHeld.add(1)
                    let isCrowded = eventually {
                        let threads = crowd.now.waiterThreads
                        return threads.count == waiters && threads.allSatisfy(Kernel.sleepsForMutex)
                    }
                    findings.expect(isCrowded, "not all waiters sleep")
                    let start = MonotonicTime.now
                    let end = start.advanced(byNanoseconds: nanoseconds)
                    while MonotonicTime.now < end {}
                    return MonotonicTime.now.nanoseconds(since: start)
                }
                let back = MonotonicTime.now
                if again > 0 {
                    guarded.lock.withLock(fileID: "Scene/Holder.swift", line: 12) { _ in
                        let end = MonotonicTime.now.advanced(byNanoseconds: again)
                        while MonotonicTime.now < end {}
                    }
                }
                crowd.change {
                    $0.held = held
                    $0.holderBack = back
                }
            } else {
                findings.expect(eventually { isHeld.now == 1 }, "nobody holds the lock")
                crowd.change {
                    $0.waiterThreads.append(CurrentThread.id)
                    $0.called.append(MonotonicTime.now)
                }
                guarded.lock.withLock(fileID: "Scene/Waiter.swift", line: 22) { value in
                    let now = MonotonicTime.now
                    value += 1
                    crowd.change { $0.granted.append(now) }
                }
            }
        }
        #expect(findings.all == [])
        return crowd.now
    }

    @Test func countNothingButAcquisitionsWithoutContention() {
        let lock = Mutex("test.figures.quiet", 0)
        for _ in 0..<1_000 { lock.withLock { $0 += 1 } }
        let figures = lock.statistics
        #expect(figures.acquisitions == 1_000)
        #expect(figures.contended == 0 && figures.spun == 0 && figures.parks == 0)
        #expect(figures.waitTotalNanoseconds == 0 && figures.waitMaxNanoseconds == 0)
        #expect(figures.wakeMaxNanoseconds == 0 && figures.holdMaxNanoseconds == 0)
        #expect(figures.holdMaxSite == .none)
        #expect(figures.waitersMax == 0)
    }

    /// Whoever has just let the lock go is the first to want it again, long before the one that it woke runs.
    @Test func tellTheHoldsOfABusyHolderApart() throws {
        let guarded = Guarded(Mutex("test.figures.busy", 0))
        var changedHands = 0
        var turns = 0
        // Nearly each turn, unless the holder is stopped just between its two holds.
        while turns < 5 || (changedHands == 0 && turns < 500) {
            turns += 1
            var crowd = Crowd()
            let records = try ContentionHook.shared.records(of: "test.figures.busy") {
                crowd = try self.crowd(guarded, waiters: 1, holdingFor: 5_000_000, andAgainFor: 1_000_000)
            }
            let figures = guarded.lock.statistics
            #expect(figures.holdMaxNanoseconds >= crowd.held)
            #expect(figures.holdMaxSite == Self.holderSite)
            let record = try #require(records.max { $0.waitNanoseconds < $1.waitNanoseconds })
            #expect(record.waiter == Self.waiterSite && record.holder == Self.holderSite)
            #expect(record.takenMeanwhile <= 1)
            if record.takenMeanwhile == 1 { changedHands += 1 }
        }
        #expect(changedHands > 0)
    }

    @Test func tellOfOneWaiterHowLongItWaitedAndForWhom() throws {
        let guarded = Guarded(Mutex("test.figures.waiter", 0))
        var crowd = Crowd()
        let records = try ContentionHook.shared.records(of: "test.figures.waiter") {
            crowd = try self.crowd(guarded, waiters: 1, holdingFor: 5_000_000)
        }
        let figures = guarded.lock.statistics
        #expect(figures.acquisitions == 2)
        #expect(figures.contended == 1)
        #expect(figures.spun == 0)
        #expect(figures.parks >= 1)
        #expect(figures.waitersMax == 1)
        // The waiter slept while the holder's watch ran, and was not granted the lock before.
        #expect(figures.waitMaxNanoseconds >= crowd.held)
        #expect(figures.waitMaxNanoseconds <= crowd.granted[0].nanoseconds(since: crowd.called[0]))
        #expect(figures.waitTotalNanoseconds == figures.waitMaxNanoseconds)
        #expect(figures.holdMaxNanoseconds >= crowd.held)
        #expect(figures.holdMaxSite == Self.holderSite)

        #expect(records.count == 1)
        let record = try #require(records.first)
        #expect("\(record.lock)" == "test.figures.waiter")
        #expect(record.kind == .mutex)
        #expect(record.holder.description == "Scene/Holder.swift:11")
        #expect(record.waiter.description == "Scene/Waiter.swift:22")
        #expect("\(record.waiterFunction)" == "crowd(_:waiters:holdingFor:andAgainFor:)")
        #expect(record.threadID == crowd.waiterThreads[0])
        #expect(record.waiters == 1)
        #expect(record.waitNanoseconds == figures.waitMaxNanoseconds)
        #expect(record.endedAt <= crowd.granted[0])
    }

    @Test func keepTheWakeUpApartFromTheHold() throws {
        let guarded = Guarded(Mutex("test.figures.wakeup", 0))
        var crowd = Crowd()
        let records = try ContentionHook.shared.records(of: "test.figures.wakeup") {
            crowd = try self.crowd(guarded, waiters: 1, holdingFor: 20_000_000)
        }
        let record = try #require(records.first)
        #expect(record.waitNanoseconds == record.holdNanoseconds + record.wakeNanoseconds)
        // All of the hold, as the holder knows it, is in the one part; nothing after its release is.
        #expect(record.holdNanoseconds >= crowd.held)
        #expect(record.holdNanoseconds <= crowd.holderBack.nanoseconds(since: crowd.called[0]))
        #expect(record.wakeNanoseconds <= record.waitNanoseconds - crowd.held)
        #expect(record.wakeNanoseconds > 0)
        #expect(guarded.lock.statistics.wakeMaxNanoseconds == record.wakeNanoseconds)
        #expect(guarded.lock.statistics.holdMaxNanoseconds >= crowd.held)
        #expect(guarded.lock.statistics.holdMaxNanoseconds <= record.holdNanoseconds)
    }

    @Test func countAllWaitersOfACrowd() throws {
        let guarded = Guarded(Mutex("test.figures.crowd", 0))
        var crowd = Crowd()
        let records = try ContentionHook.shared.records(of: "test.figures.crowd") {
            crowd = try self.crowd(guarded, waiters: 5, holdingFor: 1_000_000)
        }
        let figures = guarded.lock.statistics
        #expect(figures.acquisitions == 6)
        #expect(figures.contended == 5)
        #expect(figures.spun == 0)
        #expect(figures.parks >= 5)
        #expect(figures.waitersMax == 5)
        #expect(figures.waitMaxNanoseconds >= crowd.held)
        #expect(figures.waitTotalNanoseconds >= 5 * crowd.held)
        #expect(Set(records.map(\.threadID)) == Set(crowd.waiterThreads))
        #expect(records.count == 5, "each is told of exactly once")
        #expect(records.map(\.waiters).sorted() == [1, 2, 3, 4, 5])
        #expect(records.allSatisfy { $0.waiter == Self.waiterSite && $0.holder == Self.holderSite })
        #expect(records.reduce(0) { $0 + $1.waitNanoseconds } == figures.waitTotalNanoseconds)
        let probe = try #require(
            ContentionRegistry.shared.all.first { "\($0.name)" == "test.figures.crowd" }
        )
        #expect(probe.waits.counts.reduce(0) { $0 + $1.count } == 5)
        #expect(probe.statistics.acquisitions == 6, "looking takes no lock")
    }

    /// Sites are taken from the calls themselves.
    @Test func nameTheLinesOfTheCalls() throws {
        let guarded = Guarded(Mutex("test.figures.lines", 0))
        let findings = Findings()
        let isHeld = Count()
        let waiter = Plain<UInt32>(0)
        let lines = Plain<(holder: UInt, waiter: UInt)>((0, 0))
        let records = try ContentionHook.shared.records(of: "test.figures.lines") {
            try onThreads(2) { index in
                if index == 0 {
                    lines.change { $0.holder = #line + 1 }
                    guarded.lock.withLock { _ in
                        isHeld.add(1)
                        findings.expect(eventually { Kernel.sleepsForMutex(waiter.now) }, "nobody sleeps")
                    }
                } else {
                    findings.expect(eventually { isHeld.now == 1 }, "nobody holds the lock")
                    waiter.change { $0 = CurrentThread.id }
                    lines.change { $0.waiter = #line + 1 }
                    guarded.lock.withLock { $0 += 1 }
                }
            }
        }
        #expect(findings.all == [])
        let record = try #require(records.first)
        #expect(record.holder.description == "LockLadderTests/LockStatisticsTests.swift:\(lines.now.holder)")
        #expect(record.waiter.description == "LockLadderTests/LockStatisticsTests.swift:\(lines.now.waiter)")
    }

    /// A thread that has waited for two holders, one after the other, waited long; but neither held so long.
    @Test func takeTheHoldsOfSeveralForNoLongHoldOfOne() throws {
        let guarded = Guarded(Mutex("test.figures.relay", 0))
        let each: UInt64 = 20_000_000
        let waiters = 3
        let threads = Plain<[UInt32]>([])
        let findings = Findings()
        let isHeld = Count()
        let ends = Plain<[(body: MonotonicTime, back: MonotonicTime)]>([])
        let start = Plain(MonotonicTime(nanoseconds: 0))
        try onThreads(waiters + 1) { index in
            if index == 0 {
                start.change { $0 = MonotonicTime.now }
            } else {
                findings.expect(eventually { isHeld.now == 1 }, "nobody holds the lock")
                threads.change { $0.append(CurrentThread.id) }
            }
            let end = guarded.lock.withLock { _ -> MonotonicTime in
                if index == 0 {
                    isHeld.add(1)
                    let isCrowded = eventually {
                        threads.now.count == waiters && threads.now.allSatisfy(Kernel.sleepsForMutex)
                    }
                    findings.expect(isCrowded, "not all waiters sleep")
                }
                let end = MonotonicTime.now.advanced(byNanoseconds: each)
                while MonotonicTime.now < end {}
                return MonotonicTime.now
            }
            let back = MonotonicTime.now
            ends.change { $0.append((end, back)) }
        }
        #expect(findings.all == [])
        // Each held at most from the end of the body before until it was back itself.
        let inTurn = ends.now.sorted { $0.body < $1.body }
        var longest: UInt64 = 0
        var before = start.now
        for (body, back) in inTurn {
            longest = max(longest, back.nanoseconds(since: before))
            before = body
        }
        let figures = guarded.lock.statistics
        #expect(figures.waitMaxNanoseconds >= 3 * each, "the last one waited for three")
        #expect(figures.holdMaxNanoseconds >= each)
        #expect(figures.holdMaxNanoseconds <= longest)
    }

    /// Nor is it one hold when one thread comes back for the lock again and again before the sleeper is awake.
    @Test func takeTheHoldsOfOneWhoComesBackForNoLongHold() throws {
        let guarded = Guarded(Mutex("test.figures.back", 0))
        let waiter = Plain<UInt32>(0)
        let waiterBack = Plain(MonotonicTime(nanoseconds: 0))
        let longest = Plain<UInt64>(0)
        let findings = Findings()
        let isHeld = Count()
        let records = try ContentionHook.shared.records(of: "test.figures.back") {
            try onThreads(2) { index in
                if index == 1 {
                    findings.expect(eventually { isHeld.now == 1 }, "nobody holds the lock")
                    waiter.change { $0 = CurrentThread.id }
                    guarded.lock.withLock(fileID: "Scene/Waiter.swift", line: 22) { $0 += 1 }
                    waiterBack.change { $0 = MonotonicTime.now }
                    return
                }
                for round in 0..<8 {
                    let called = MonotonicTime.now
                    guarded.lock.withLock { _ in
                        isHeld.add(round == 0 ? 1 : 0)
                        if round == 0 {
                            findings.expect(eventually { Kernel.sleepsForMutex(waiter.now) }, "nobody sleeps")
                        }
                        let end = MonotonicTime.now.advanced(byNanoseconds: 5_000_000)
                        while MonotonicTime.now < end {}
                    }
                    let held = MonotonicTime.now.nanoseconds(since: called)
                    longest.change { $0 = max($0, held) }
                }
            }
        }
        #expect(findings.all == [])
        // The waiter held from when its wait was over, and was back after it.
        let wait = try #require(records.first { $0.waiter == Self.waiterSite })
        let atMost = max(longest.now, waiterBack.now.nanoseconds(since: wait.endedAt))
        #expect(wait.waitNanoseconds >= 5_000_000)
        #expect(guarded.lock.statistics.holdMaxNanoseconds <= atMost)
    }

    /// What the figures were when the last holder looked.
    private struct Seen {
        var acquisitions: UInt64 = 0
        var contended: UInt64 = 0
        var spun: UInt64 = 0
        var parks: UInt64 = 0
    }

    /// Under load each acquisition is exactly one of three: taken at once, by spinning, or after sleep. The holder
    /// can tell, because only holders write the figures.
    @Test func addUpUnderLoad() throws {
        let rounds = 2_000
        let guarded = Guarded(Mutex("test.figures.load", Seen()))
        let findings = Findings()
        let records = try ContentionHook.shared.records(of: "test.figures.load") {
            try onThreads(8) { index in
                for round in 0..<rounds {
                    guarded.lock.withLock { seen in
                        let now = guarded.lock.statistics
                        let contended = now.contended - seen.contended
                        let spun = now.spun - seen.spun
                        let parks = now.parks - seen.parks
                        findings.expect(now.acquisitions == seen.acquisitions + 1, "acquisitions")
                        let isRight =
                            switch (contended, spun) {
                            case (0, 0), (1, 1): parks == 0
                            case (1, 0): parks > 0
                            default: false
                            }
                        findings.expect(isRight, "contended \(contended), spun \(spun), parks \(parks)")
                        seen.acquisitions = now.acquisitions
                        seen.contended = now.contended
                        seen.spun = now.spun
                        seen.parks = now.parks
                        // Of different lengths, around the length of the spinning.
                        for _ in 0..<((round * 7 + index) % 100) { _ = MonotonicTime.now }
                    }
                    for _ in 0..<((round * 13 + index * 5) % 200) { _ = MonotonicTime.now }
                }
            }
        }
        #expect(findings.all == [])
        let figures = guarded.lock.statistics
        #expect(figures.acquisitions == UInt64(8 * rounds))
        #expect(figures.contended >= figures.spun)
        #expect(UInt64(records.count) == figures.contended - figures.spun, "each sleeper is told of exactly once")
        #expect(records.reduce(0) { $0 + $1.waitNanoseconds } == figures.waitTotalNanoseconds)
        #expect(records.map(\.waitNanoseconds).max() ?? 0 == figures.waitMaxNanoseconds)
        #expect(records.map(\.wakeNanoseconds).max() ?? 0 == figures.wakeMaxNanoseconds)
        #expect(records.map(\.waiters).max() ?? 0 == figures.waitersMax)
        #expect(records.allSatisfy { $0.waitNanoseconds == $0.holdNanoseconds + $0.wakeNanoseconds })
        #expect(figures.waitersMax <= 8)
    }
}

import CLockLadder
import Glibc
import Synchronization
import Testing

@testable import LockLadder

/// A mutex under test, or a broken copy: the same checks for all.
struct Exclusion: Sendable {
    var withLock: @Sendable (() -> Void) -> Void

    init(_ withLock: @escaping @Sendable (() -> Void) -> Void) { self.withLock = withLock }

    init(_ name: StaticString) {
        let guarded = Guarded(LockLadder.Mutex(name, 0))
        withLock = { body in guarded.lock.withLock { _ in body() } }
    }

    /// Writes, and reads in between, of which some are in when a writer comes.
    init(_ lock: RWLock<Int>) {
        withLock = { body in
            let turn = cll_now_ns()
            for _ in 0..<turn % 4 {
                lock.withReadLock { _ in
                    for _ in 0..<turn % 64 { cll_pause() }
                }
            }
            lock.withWriteLock { _ in body() }
        }
    }
}

/// Many short games for a lock. In each, every thread takes it a few times, holds it for longer than others spin, and
/// is done. The next game begins when all are: a thread that is left asleep in front of a free lock has nobody behind
/// it whose release would wake it all the same.
func playForTheLock(
    _ exclusion: Exclusion,
    threads: Int,
    games: Int,
    seed: UInt64,
    freezer: Freezer? = nil,
    patience limit: UInt64 = patience
) throws -> [String] {
    let findings = Findings()
    let arrived = Count()
    let inside = LooseCount()
    // Guarded by the lock; the reference beside it counts by itself.
    let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    counter.initialize(to: 0)
    nonisolated(unsafe) let total = counter
    let reference = LooseCount()
    let ended = Count()
    for index in 0..<threads {
        let thread = NamedThread("test-game-\(index)") {
            var random = SplitMix(seed: seed << 8 | UInt64(index))
            freezer?.enter()
            defer { freezer?.leave() }
            for game in 1...games {
                arrived.add(1)
                guard eventually(within: limit, { arrived.now >= game * threads || !findings.isEmpty }) else {
                    findings.note("game \(game - 1): a thread is left behind, \(inside.now) are inside")
                    return
                }
                guard findings.isEmpty else { return }
                for _ in 0..<1 + random.next() % 3 {
                    let hold = random.next() % 16
                    exclusion.withLock {
                        findings.expect(inside.add(1) == 1, "two threads inside")
                        let before = total.pointee
                        if hold == 0 { sched_yield() }
                        // From nothing to about twice as long as a waiter spins.
                        for _ in 0..<(hold < 6 ? 0 : hold * 16) { cll_pause() }
                        total.pointee = before + 1
                        inside.add(-1)
                    }
                    reference.add(1)
                }
            }
            ended.add(1)
        }
        if thread == nil { throw Stuck() }
    }
    // Each thread gives up by itself, but for one that sleeps in front of the lock: that one is left behind.
    let isOver = eventually(within: 2 * patience) { ended.now == threads || !findings.isEmpty }
    guard isOver, findings.isEmpty else {
        findings.expect(isOver, "the threads are left behind")
        return findings.all
    }
    findings.expect(total.pointee == reference.now, "\(total.pointee) counted of \(reference.now)")
    counter.deallocate()
    return findings.all
}

@Suite struct MutexSleepTests {
    #if DEBUG
        fileprivate static let games = 1_500
    #else
        fileprivate static let games = 20_000
    #endif

    @Test(arguments: [2, 3, 8])
    func leaveNobodyAsleepInFrontOfAFreeLock(threads: Int) throws {
        let findings = try playForTheLock(
            Exclusion("test.sleep.games"),
            threads: threads,
            games: Self.games / threads * 2,
            seed: UInt64(threads)
        )
        #expect(findings == [])
    }

    /// That the games do put threads to sleep, or they would show nothing.
    @Test func doSleep() throws {
        let guarded = Guarded(LockLadder.Mutex("test.sleep.count", 0))
        let exclusion = Exclusion { body in guarded.lock.withLock { _ in body() } }
        let findings = try playForTheLock(exclusion, threads: 4, games: 500, seed: 9)
        #expect(findings == [])
        #expect(guarded.lock.statistics.parks > 50)
        #expect(guarded.lock.statistics.waiting == 0)
    }

    @Test(arguments: [RWLock<Int>.Preference.writers, .readers(writerPatience: 50_000)])
    func leaveNoReaderOrWriterAsleep(preference: RWLock<Int>.Preference) throws {
        for threads in [2, 3, 5] {
            let lock = RWLock("test.sleep.rw", preference: preference, 0)
            let findings = try playForTheLock(Exclusion(lock), threads: threads, games: Self.games / threads, seed: 31)
            #expect(findings == [])
        }
    }

    @Test func leaveNoReaderOrWriterAsleepWhenStoppedAnywhere() async {
        await #expect(processExitsWith: .success) {
            let freezer = try #require(Freezer())
            for threads in [2, 3] {
                let lock = RWLock("test.sleep.rw.frozen", 0)
                let findings = try playForTheLock(
                    Exclusion(lock),
                    threads: threads,
                    games: MutexSleepTests.games / 2,
                    seed: 41,
                    freezer: freezer
                )
                #expect(findings == [])
            }
            #expect(freezer.count > 500, "hardly a thread was stopped")
        }
    }

    /// Threads that are stopped at any instruction, also between the looks of a release.
    @Test func leaveNobodyAsleepWhenThreadsAreStoppedAnywhere() async {
        await #expect(processExitsWith: .success) {
            let freezer = try #require(Freezer())
            for threads in [2, 3] {
                let findings = try playForTheLock(
                    Exclusion("test.sleep.frozen"),
                    threads: threads,
                    games: MutexSleepTests.games,
                    seed: 21,
                    freezer: freezer
                )
                #expect(findings == [])
            }
            #expect(freezer.count > 500, "hardly a thread was stopped")
        }
    }

    // MARK: Where the kernel refuses the barrier

    /// Everything that relies on the barrier, under load.
    fileprivate static func stressAll() throws -> [String] {
        let live = LooseCount()
        var findings: [String] = []
        for threads in [2, 3, 8] {
            findings += try playForTheLock(Exclusion("test.refused"), threads: threads, games: 200, seed: 5)
        }
        for preference in [RWLock<Ledger>.Preference.writers, .readers(writerPatience: 500_000)] {
            for reading in ReadingBy.allCases {
                let lock = RWLock("test.refused.rw", preference: preference, Ledger())
                let shares = try readWhileWriting(Sharing(lock, by: reading), writes: 100)
                findings += shares.findings
                if lock.statistics.acquisitions != UInt64(shares.reads + 1 + 200) { findings.append("not all counted") }
            }
        }
        do {
            let cell = SnapshotCell("test.refused.cell", Versioned(0, in: live))
            let publication = Publication(
                makeReading: { { body in cell.withSnapshot { body($0) } } },
                publish: { cell.publish($0) },
                retiredCount: { cell.retiredCount }
            )
            findings += try readWhilePublishing(publication, readers: 4, publications: 1_000, live: live).findings
        }
        if !eventually({ live.now == 0 }) { findings.append("\(live.now) objects are left") }
        return findings
    }

    @Test func isRightWhereTheBarrierIsRefused() async {
        await #expect(processExitsWith: .success) {
            #expect(Seccomp.refuseMembarrier())
            #expect(!BarrierEverywhere.isAvailable)
            let findings = try MutexSleepTests.stressAll()
            #expect(findings == [])
        }
    }

    /// A filter that comes when locks have been made already, and are in use.
    @Test func isRightWhereTheBarrierIsRefusedLater() async {
        await #expect(processExitsWith: .success) {
            #expect(BarrierEverywhere.isAvailable && BarrierEverywhere.pass())
            let games = Exclusion("test.refused.later")
            let lock = RWLock("test.refused.later.rw", Ledger())
            let findings = Findings()
            let isRefused = Count()
            try onThreads(3) { index in
                switch index {
                case 0:
                    let found = try? playForTheLock(games, threads: 4, games: 600, seed: 7)
                    findings.expect(found == [], "\(String(describing: found))")
                case 1:
                    let shares = try? readWhileWriting(Sharing(lock, by: .thread), writes: 300)
                    findings.expect(shares?.findings == [], "\(String(describing: shares))")
                default:
                    findings.expect(eventually { lock.statistics.acquisitions > 100 }, "nothing is read")
                    isRefused.add(Seccomp.refuseMembarrier() ? 1 : 0)
                }
            }
            #expect(findings.all == [])
            #expect(isRefused.now == 1 && BarrierEverywhere.isAvailable && !BarrierEverywhere.pass())
            // Locks made before and not yet contended, and new ones, which believe that there is a barrier.
            let found = try MutexSleepTests.stressAll()
            #expect(found == [])
        }
    }
}

/// A copy of the mutex's way to sleep, with a switch for each way of getting it wrong.
private final class CopyOfTheMutex: Sendable {
    enum Fault: Sendable {
        case none
        /// The release does not look whether somebody sleeps.
        case nobodyWoken
        /// The waiter goes to sleep before it says so.
        case waiterNotCounted
        /// Somebody is on its way for ever: nobody else is woken.
        case wakingNeverCleared
        /// The lock is not taken, only looked at.
        case notTaken
    }

    private let fault: Fault
    private let word = Atomic<UInt32>(0)
    private let waiters = Atomic<UInt32>(0)
    private let waking = Atomic<Bool>(false)

    init(_ fault: Fault) { self.fault = fault }

    func withLock(_ body: () -> Void) {
        if word.exchange(1, ordering: .sequentiallyConsistent) != 0, fault != .notTaken { sleep() }
        body()
        word.store(0, ordering: .sequentiallyConsistent)
        wake()
    }

    private func sleep() {
        if fault != .waiterNotCounted { waiters.add(1, ordering: .sequentiallyConsistent) }
        while word.exchange(1, ordering: .sequentiallyConsistent) != 0 {
            _ = withUnsafePointer(to: word) { word in
                cll_futex_wait(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), 1, 0)
            }
        }
        if fault != .waiterNotCounted { waiters.subtract(1, ordering: .sequentiallyConsistent) }
    }

    private func wake() {
        guard fault != .nobodyWoken, waiters.load(ordering: .sequentiallyConsistent) != 0 else { return }
        if fault == .wakingNeverCleared, waking.exchange(true, ordering: .sequentiallyConsistent) { return }
        _ = withUnsafePointer(to: word) { word in
            cll_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), 1)
        }
    }
}

@Suite struct MutexControlTests {
    /// The games, played for a copy: 3 when a thread was left behind or two were inside.
    private static func play(_ fault: CopyOfTheMutex.Fault, patience limit: UInt64 = 1_500_000_000) -> Int32 {
        let copy = CopyOfTheMutex(fault)
        let exclusion = Exclusion { copy.withLock($0) }
        // A fault ends the games when it shows, which may take a while where the threads hardly ever meet.
        let games = fault == .none ? 2_000 : 200_000
        guard let findings = try? playForTheLock(exclusion, threads: 3, games: games, seed: 1, patience: limit) else {
            return 4
        }
        return findings.isEmpty ? 0 : 3
    }

    private func isCaught(_ status: ExitStatus?) -> Bool {
        status == .exitCode(3) || Linked.hasThreadSanitizer && status == .exitCode(66)
    }

    @Test func passesTheCopyWithoutFault() {
        #expect(Self.play(.none, patience: patience) == 0)
    }

    @Test func catchesThatNobodyIsWoken() async {
        let result = await #expect(processExitsWith: .failure) { exit(MutexControlTests.play(.nobodyWoken)) }
        #expect(isCaught(result?.exitStatus))
    }

    @Test func catchesThatAWaiterDoesNotSaySo() async {
        let result = await #expect(processExitsWith: .failure) { exit(MutexControlTests.play(.waiterNotCounted)) }
        #expect(isCaught(result?.exitStatus))
    }

    @Test func catchesThatSomebodyIsOnItsWayForEver() async {
        let result = await #expect(processExitsWith: .failure) { exit(MutexControlTests.play(.wakingNeverCleared)) }
        #expect(isCaught(result?.exitStatus))
    }

    @Test func catchesThatTheLockIsNotTaken() async {
        let result = await #expect(processExitsWith: .failure) { exit(MutexControlTests.play(.notTaken)) }
        #expect(isCaught(result?.exitStatus))
    }
}

import LockLadder
import Testing

/// Whether the figures of a read-write lock tell what happened.
@Suite struct RWLockStatisticsTests {
    private static let readerSite = CallSite(fileID: "Scene/Reader.swift", line: 11)
    private static let writerSite = CallSite(fileID: "Scene/Writer.swift", line: 22)
    private static let held: UInt64 = 5_000_000

    private static func hold() -> UInt64 {
        let start = MonotonicTime.now
        while MonotonicTime.now.nanoseconds(since: start) < held {}
        return MonotonicTime.now.nanoseconds(since: start)
    }

    /// What is looked up while a thread sleeps in front of the lock.
    private struct Meanwhile: Sendable {
        var figures = LockStatistics()
        var waiter: UInt32 = 0
    }

    @Test(arguments: ReadingBy.allCases)
    func tellOfAReaderThatWaitedForAWriter(by reading: ReadingBy) throws {
        let name: StaticString = reading == .handle ? "test.rwfigures.reader.h" : "test.rwfigures.reader.t"
        let lock = RWLock(name, Ledger())
        let scene = Scene()
        let meanwhile = Plain(Meanwhile())
        let records = try ContentionHook.shared.records(of: name) {
            try onThreads(2) { index in
                if index == 0 {
                    lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { _ in
                        scene.isHeld.add(1)
                        scene.expect("nobody sleeps") { lock.statistics.waiting == 1 && scene.sleeps(1) }
                        _ = Self.hold()
                        let figures = lock.statistics
                        meanwhile.change { $0.figures = figures }
                    }
                } else {
                    scene.expect("nobody writes") { scene.isHeld.now == 1 }
                    scene.enter(1)
                    meanwhile.change { $0.waiter = CurrentThread.id }
                    Self.read(lock, by: reading)
                }
            }
        }
        #expect(scene.findings.all == [])
        let seen = meanwhile.now.figures
        #expect(seen.waiting == 1 && seen.waitingSite == Self.readerSite)
        #expect(seen.waitingNanoseconds >= Self.held && seen.lastHolderSite == Self.writerSite)
        let figures = lock.statistics
        #expect(figures.acquisitions == 2 && figures.contended == 1 && figures.spun == 0 && figures.parks >= 1)
        #expect(figures.waiting == 0 && figures.waitersMax == 1)
        #expect(figures.waitMaxSite == Self.readerSite)
        #expect(figures.holdMaxSite == Self.writerSite && figures.holdMaxNanoseconds >= Self.held)
        #expect(records.count == 1)
        let record = try #require(records.first)
        #expect(record.mode == .shared && record.kind == .rwlock)
        #expect(record.waiter == Self.readerSite && record.holder == Self.writerSite)
        #expect(record.threadID == meanwhile.now.waiter)
        #expect(record.holdNanoseconds >= Self.held)
        #expect(record.waitNanoseconds == record.holdNanoseconds + record.wakeNanoseconds)
        #expect(record.waitNanoseconds == figures.waitTotalNanoseconds)
    }

    private static func read(_ lock: RWLock<Ledger>, by reading: ReadingBy, _ body: () -> Void = {}) {
        switch reading {
        case .thread: lock.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in body() }
        case .handle:
            var reader = lock.makeReader()
            reader.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in body() }
        }
    }

    @Test(arguments: ReadingBy.allCases)
    func tellOfAWriterThatWaitedForAReader(by reading: ReadingBy) throws {
        let name: StaticString = reading == .handle ? "test.rwfigures.writer.h" : "test.rwfigures.writer.t"
        let lock = RWLock(name, Ledger())
        let scene = Scene()
        let meanwhile = Plain(Meanwhile())
        let records = try ContentionHook.shared.records(of: name) {
            try onThreads(2) { index in
                if index == 0 {
                    Self.read(lock, by: reading) {
                        scene.isHeld.add(1)
                        scene.expect("nobody sleeps") { lock.statistics.waiting == 1 && scene.sleeps(1) }
                        _ = Self.hold()
                        let figures = lock.statistics
                        meanwhile.change { $0.figures = figures }
                    }
                } else {
                    scene.expect("nobody reads") { scene.isHeld.now == 1 }
                    scene.enter(1)
                    lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { $0.write(pausing: false) }
                }
            }
        }
        #expect(scene.findings.all == [])
        let seen = meanwhile.now.figures
        #expect(seen.waiting == 1 && seen.waitingSite == Self.writerSite)
        #expect(seen.waitingNanoseconds >= Self.held && seen.lastHolderSite == Self.readerSite)
        let figures = lock.statistics
        #expect(figures.acquisitions == 2 && figures.contended == 1 && figures.spun == 0 && figures.parks >= 1)
        #expect(figures.waitMaxSite == Self.writerSite && figures.waiting == 0)
        #expect(figures.holdMaxSite == Self.readerSite && figures.holdMaxNanoseconds >= Self.held)
        #expect(records.count == 1)
        let record = try #require(records.first)
        #expect(record.mode == .exclusive && record.kind == .rwlock)
        #expect(record.waiter == Self.writerSite && record.holder == Self.readerSite)
        #expect(record.holdNanoseconds >= Self.held)
        #expect(record.waitNanoseconds == record.holdNanoseconds + record.wakeNanoseconds)
    }

    /// A writer that waits for another writer and then for a reader waited once.
    @Test func tellOfAWaitForAWriterAndThenAReaderOnce() throws {
        let lock = RWLock("test.rwfigures.both", Ledger())
        let scene = Scene()
        let records = try ContentionHook.shared.records(of: "test.rwfigures.both") {
            try onThreads(3) { index in
                switch index {
                case 0:
                    Self.read(lock, by: .thread) {
                        scene.isHeld.add(1)
                        // One writer in front of the reader, one behind that writer.
                        scene.expect("not both sleep") {
                            lock.statistics.waiting == 2 && scene.sleeps(1) && scene.sleeps(2)
                        }
                        _ = Self.hold()
                    }
                case 1:
                    scene.expect("nobody reads") { scene.isHeld.now == 1 }
                    scene.enter(1)
                    lock.withWriteLock { $0.write(pausing: false) }
                default:
                    scene.expect("nobody writes") { lock.statistics.waiting == 1 && scene.sleeps(1) }
                    scene.enter(2)
                    lock.withWriteLock { $0.write(pausing: false) }
                }
            }
        }
        #expect(scene.findings.all == [])
        let figures = lock.statistics
        #expect(figures.acquisitions == 3 && figures.contended == 2 && figures.spun == 0)
        #expect(records.count == 2)
        #expect(records.reduce(0) { $0 + $1.waitNanoseconds } == figures.waitTotalNanoseconds)
        #expect(records.map(\.waitNanoseconds).max() == figures.waitMaxNanoseconds)
    }

    /// A record is told when the lock is free again: the observer may take it.
    @Test(arguments: [LockMode.shared, .exclusive])
    func tellOfAWaitAfterTheRelease(mode: LockMode) throws {
        let name: StaticString = mode == .shared ? "test.rwfigures.after.s" : "test.rwfigures.after.x"
        let lock = RWLock(name, Ledger())
        let scene = Scene()
        let told = Count()
        try ContentionHook.shared.listen(
            to: name,
            { _ in
                scene.findings.expect(returns { lock.withWriteLock { _ in } }, "told under the lock")
                told.add(1)
            },
            {
                try onThreads(2) { index in
                    if index == 0 {
                        lock.withWriteLock { _ in
                            scene.isHeld.add(1)
                            scene.expect("nobody sleeps") { lock.statistics.waiting == 1 && scene.sleeps(1) }
                        }
                    } else {
                        scene.expect("nobody writes") { scene.isHeld.now == 1 }
                        scene.enter(1)
                        mode == .shared ? lock.withReadLock { _ in } : lock.withWriteLock { _ in }
                    }
                }
            }
        )
        #expect(scene.findings.all == [])
        // The observer's own write may have met the last steps of the other one, and waited.
        #expect(told.now >= 1)
    }

    /// Under load each acquisition is exactly one of three: at once, by spinning, or after sleep.
    @Test(arguments: ReadingBy.allCases)
    func addUpUnderLoad(by reading: ReadingBy) throws {
        let name: StaticString = reading == .handle ? "test.rwfigures.load.h" : "test.rwfigures.load.t"
        let lock = RWLock(name, Ledger())
        var shares = Shares()
        let records = try ContentionHook.shared.records(of: name) {
            shares = try readWhileWriting(Sharing(lock, by: reading), writes: 300)
        }
        #expect(shares.findings == [])
        let figures = lock.statistics
        #expect(figures.acquisitions == UInt64(shares.reads + 1 + 600))
        #expect(UInt64(records.count) == figures.contended - figures.spun, "each sleeper is told of exactly once")
        #expect(records.reduce(0) { $0 + $1.waitNanoseconds } == figures.waitTotalNanoseconds)
        #expect(records.map(\.waitNanoseconds).max() ?? 0 == figures.waitMaxNanoseconds)
        #expect(records.map(\.wakeNanoseconds).max() ?? 0 == figures.wakeMaxNanoseconds)
        #expect(records.allSatisfy { $0.waitNanoseconds == $0.holdNanoseconds + $0.wakeNanoseconds })
        #expect(records.contains { $0.mode == .shared } && records.contains { $0.mode == .exclusive })
        // A wait that came to nothing may have been the most crowded.
        #expect(records.map(\.waiters).max() ?? 0 <= figures.waitersMax && figures.waitersMax <= 6)
        #expect(figures.waiting == 0)
    }
}

import CLockLadder
import Glibc
import Synchronization
import Testing

@testable import LockLadder

/// How a read is made.
enum ReadingBy: String, CaseIterable, Sendable, Codable {
    case handle, thread
}

/// Holds a reader where a closure can change it.
final class LedgerReader {
    var reader: RWReader<Ledger>

    init(_ lock: RWLock<Ledger>) { reader = lock.makeReader() }
}

extension Sharing {
    init(_ lock: RWLock<Ledger>, by reading: ReadingBy) {
        self.init(
            makeReading: {
                guard reading == .handle else { return { body in lock.withReadLock { body($0) } } }
                let reader = LedgerReader(lock)
                return { body in reader.reader.withReadLock { body($0) } }
            },
            write: { body in lock.withWriteLock { body($0) } }
        )
    }
}

@Suite struct RWLockTests {
    @Test(arguments: ReadingBy.allCases, [RWLock<Ledger>.Preference.writers, .readers(writerPatience: 1_000_000)])
    func letsManyReadOrOneWrite(by reading: ReadingBy, preference: RWLock<Ledger>.Preference) throws {
        let lock = RWLock("test.rw.exclusion", preference: preference, Ledger())
        let shares = try readWhileWriting(Sharing(lock, by: reading), writes: 400)
        #expect(shares.findings == [])
        #expect(shares.fewestChanges > 20, "the readers saw next to nothing")
        let figures = lock.statistics
        // One read more: that at the end.
        #expect(figures.acquisitions == UInt64(shares.reads + 1 + 800))
        #expect(figures.contended >= figures.spun && figures.contended <= figures.acquisitions)
        #expect(figures.waiting == 0)
    }

    @Test(arguments: [3, 4, 5] as [UInt64])
    func agreesWithThePlainestLock(seed: UInt64) throws {
        let reference = Plain(Ledger())
        let plain = Sharing(
            makeReading: { { body in reference.change { body($0) } } },
            write: { body in reference.change { body($0) } }
        )
        let expected = try readWhileWriting(plain, writes: 100, seed: seed)
        let lock = RWLock("test.rw.reference", Ledger())
        let shares = try readWhileWriting(Sharing(lock, by: .thread), writes: 100, seed: seed)
        #expect(expected.findings == [] && shares.findings == [])
    }

    // MARK: Who goes first

    /// A reader is inside, a writer waits, and another reader comes: for the writer's sake it waits too.
    @Test func holdsUpReadersThatComeAfterAWriter() throws {
        let lock = RWLock("test.rw.writersfirst", Ledger())
        let scene = Scene()
        try onThreads(3) { index in
            switch index {
            case 0:
                lock.withReadLock { _ in
                    scene.isHeld.add(1)
                    scene.expect("the writer does not wait") { lock.statistics.waiting == 1 }
                    scene.mayGoOn.add(1)
                    scene.expect("the reader does not wait") { lock.statistics.waiting == 2 && scene.sleeps(2) }
                }
            case 1:
                scene.expect("nobody reads") { scene.isHeld.now == 1 }
                lock.withWriteLock { $0.write(pausing: true) }
            default:
                scene.expect("no writer") { scene.mayGoOn.now == 1 }
                scene.enter(2)
                let version = lock.withReadLock { $0.read(pausing: false).version }
                scene.findings.expect(version == 1, "the reader was first")
            }
        }
        #expect(scene.findings.all == [])
    }

    /// A writer that sleeps for its readers is woken however often writers have slept before.
    @Test func outlivesItsCountOfDepartures() throws {
        let lock = RWLock("test.rw.departures", Ledger())
        lock.core.pointee.departures.store(.max - 1, ordering: .relaxed)
        for turn in 1...3 {
            let scene = Scene()
            try onThreads(2) { index in
                if index == 0 {
                    lock.withReadLock { _ in
                        scene.isHeld.add(1)
                        scene.expect("the writer does not sleep") { scene.sleeps(1) }
                    }
                } else {
                    scene.enter(1)
                    scene.expect("nobody reads") { scene.isHeld.now == 1 }
                    lock.withWriteLock { $0.write(pausing: false) }
                }
            }
            #expect(scene.findings.all == [])
            #expect(lock.withReadLock { $0.read(pausing: false).version } == turn)
        }
        #expect(lock.core.pointee.departures.load(ordering: .relaxed) < 8, "wrapped")
    }

    /// With patience left, readers go on while a writer waits, and it gets in once nobody reads.
    @Test func letsReadersGoOnWhileTheWriterHasPatience() throws {
        let lock = RWLock("test.rw.readersfirst", preference: .readers(writerPatience: .max), Ledger())
        let scene = Scene()
        try onThreads(3) { index in
            switch index {
            case 0:
                lock.withReadLock { _ in
                    scene.isHeld.add(1)
                    scene.expect("the readers do not go on") { scene.mayGoOn.now == 1 }
                }
            case 1:
                scene.expect("nobody reads") { scene.isHeld.now == 1 }
                lock.withWriteLock { $0.write(pausing: true) }
            default:
                scene.expect("the writer does not wait") { lock.statistics.waiting >= 1 }
                for _ in 0..<200 {
                    let version = lock.withReadLock { $0.read(pausing: false).version }
                    scene.findings.expect(version == 0, "the writer is in beside a reader")
                }
                scene.mayGoOn.add(1)
            }
        }
        #expect(scene.findings.all == [])
        #expect(lock.withReadLock { $0.read(pausing: false).version } == 1)
    }

    /// Patience ends: readers that come then wait, though others still read.
    @Test func holdsUpReadersWhenTheWritersPatienceIsOver() throws {
        let lock = RWLock("test.rw.patience", preference: .readers(writerPatience: 5_000_000), Ledger())
        let scene = Scene()
        try onThreads(3) { index in
            switch index {
            case 0:
                lock.withReadLock { _ in
                    scene.isHeld.add(1)
                    scene.expect("readers still go on") { lock.statistics.waiting == 2 && scene.sleeps(2) }
                    // Once more after a moment: a reader may wait for a moment within the patience too.
                    usleep(8_000)
                    scene.expect("readers still go on") { lock.statistics.waiting == 2 && scene.sleeps(2) }
                }
            case 1:
                scene.expect("nobody reads") { scene.isHeld.now == 1 }
                lock.withWriteLock { $0.write(pausing: true) }
            default:
                scene.expect("the writer does not wait") { lock.statistics.waiting >= 1 }
                scene.enter(2)
                let isOver = eventually { lock.withReadLock { $0.read(pausing: false).version } == 1 }
                scene.findings.expect(isOver, "the writer does not get in")
            }
        }
        #expect(scene.findings.all == [])
    }

    /// Readers that overlap, so that the lock is hardly ever without one.
    @Test(arguments: [RWLock<Ledger>.Preference.writers, .readers(writerPatience: 2_000_000)])
    func letsAWriterInAmongContinuousReaders(preference: RWLock<Ledger>.Preference) throws {
        let lock = RWLock("test.rw.continuous", preference: preference, Ledger())
        let inside = LooseCount()
        let writes = Count()
        let findings = Findings()
        try onThreads(4) { index in
            guard index > 0 else {
                for _ in 0..<20 {
                    lock.withWriteLock { $0.write(pausing: false) }
                    writes.add(1)
                }
                return
            }
            let limit = MonotonicTime.now.advanced(byNanoseconds: patience)
            while writes.now < 20 {
                if MonotonicTime.now > limit { return findings.note("\(writes.now) writes only") }
                lock.withReadLock { _ in
                    inside.add(1)
                    // Until another one is in, or a writer keeps it out.
                    _ = eventually(within: 500_000) { inside.now > 1 || writes.now == 20 }
                    inside.add(-1)
                }
            }
        }
        #expect(findings.all == [])
    }

    // MARK: Deadlines

    @Test(
        arguments: [
            RWLock<Ledger>.Preference.writers, .readers(writerPatience: 1_000_000), .readers(writerPatience: .max),
        ]
    )
    func givesUpAWriteWhoseDeadlineHasPassed(preference: RWLock<Ledger>.Preference) throws {
        let lock = RWLock("test.rw.deadline", preference: preference, Ledger())
        let scene = Scene()
        try onThreads(3) { index in
            switch index {
            case 0:
                lock.withReadLock { _ in
                    scene.isHeld.add(1)
                    scene.expect("the write does not end") { scene.mayGoOn.now == 2 }
                }
            case 1:
                scene.expect("nobody reads") { scene.isHeld.now == 1 }
                let deadline = MonotonicTime.now.advanced(byNanoseconds: 10_000_000)
                do {
                    try lock.withWriteLock(until: deadline) { _ in scene.findings.note("written beside a reader") }
                } catch let error as RWLock<Ledger>.DeadlinePassed {
                    scene.findings.expect(error.lock == "test.rw.deadline", "another lock")
                } catch { scene.findings.note("\(error)") }
                scene.findings.expect(MonotonicTime.now >= deadline, "too early")
                scene.mayGoOn.add(1)
            default:
                // Comes while the writer waits, and must not be left asleep when that gives up.
                scene.expect("no writer") { lock.statistics.waiting > 0 || scene.mayGoOn.now > 0 }
                scene.findings.expect(lock.withReadLock { $0.read(pausing: true).version } == 0, "written")
                scene.mayGoOn.add(1)
            }
        }
        #expect(scene.findings.all == [])
        #expect(returns { lock.withWriteLock { $0.write(pausing: false) } }, "the lock is still held")
        #expect(lock.withReadLock { $0.read(pausing: false).version } == 1)
        #expect(lock.statistics.waiting == 0)
        // Of the writes, one was made.
        #expect(lock.statistics.acquisitions == 2 + 1 + 1)
    }

    @Test func givesUpAWriteThatAnotherWriterHoldsUp() throws {
        let lock = RWLock("test.rw.deadline.writer", Ledger())
        let scene = Scene()
        try onThreads(2) { index in
            if index == 0 {
                lock.withWriteLock { ledger in
                    scene.isHeld.add(1)
                    scene.expect("the other write does not end") { scene.mayGoOn.now == 1 }
                    ledger.write(pausing: false)
                }
            } else {
                scene.expect("nobody writes") { scene.isHeld.now == 1 }
                #expect(throws: RWLock<Ledger>.DeadlinePassed.self) {
                    try lock.withWriteLock(until: MonotonicTime.now.advanced(byNanoseconds: 5_000_000)) { _ in }
                }
                #expect(throws: RWLock<Ledger>.DeadlinePassed.self) {
                    try lock.withWriteLock(until: MonotonicTime(nanoseconds: 0)) { _ in }
                }
                scene.mayGoOn.add(1)
            }
        }
        #expect(scene.findings.all == [])
        // A deadline that has passed already keeps nobody from a free lock.
        try lock.withWriteLock(until: MonotonicTime(nanoseconds: 0)) { $0.write(pausing: false) }
        #expect(lock.withReadLock { $0.read(pausing: false).version } == 2)
    }

    /// Writers that give up all the time, among readers and patient writers.
    @Test func standsWritersThatGiveUp() throws {
        let lock = RWLock("test.rw.giveup", Ledger())
        let impatient = Sharing(
            makeReading: Sharing(lock, by: .thread).makeReading,
            write: { body in
                var random = SplitMix(seed: MonotonicTime.now.nanoseconds)
                for _ in 0..<4 {
                    let deadline = MonotonicTime.now.advanced(byNanoseconds: random.next() % 40_000)
                    if (try? lock.withWriteLock(until: deadline) { body($0) }) != nil { return }
                }
                lock.withWriteLock { body($0) }
            }
        )
        let shares = try readWhileWriting(impatient, writes: 300)
        #expect(shares.findings == [])
        #expect(lock.statistics.acquisitions == UInt64(shares.reads + 1 + 600))
    }

    // MARK: On one thread

    private struct Refused: Error {}

    @Test func isReleasedWhenTheBodyThrows() {
        let lock = RWLock("test.rw.throwing", 0)
        var reader = lock.makeReader()
        #expect(throws: Refused.self) { try lock.withWriteLock { _ throws(Refused) in throw Refused() } }
        #expect(throws: Refused.self) { try lock.withReadLock { _ throws(Refused) in throw Refused() } }
        #expect(throws: Refused.self) { try reader.withReadLock { _ throws(Refused) in throw Refused() } }
        #expect(returns { lock.withWriteLock { $0 += 1 } }, "the lock is still held")
        #expect(lock.withReadLock { $0 } == 1)
        #expect(lock.statistics.contended == 0)
    }

    /// A thread reads, a writer comes to wait, and the thread reads again inside.
    private static func nest(_ lock: RWLock<Ledger>) throws -> [String] {
        let scene = Scene()
        try onThreads(2) { index in
            if index == 0 {
                lock.withReadLock { outer in
                    let version = outer.read(pausing: false).version
                    scene.isHeld.add(1)
                    scene.expect("the writer does not wait") { lock.statistics.waiting == 1 }
                    lock.withReadLock { inner in
                        scene.findings.expect(inner === outer, "another value")
                        lock.withReadLock { _ in }
                    }
                    scene.findings.expect(outer.read(pausing: true) == (version, nil), "written beside a reader")
                }
            } else {
                scene.expect("nobody reads") { scene.isHeld.now == 1 }
                lock.withWriteLock { $0.write(pausing: false) }
            }
        }
        return scene.findings.all
    }

    @Test func letsReadsNestWithAWriterInBetween() throws {
        #expect(try Self.nest(RWLock("test.rw.nested", Ledger())) == [])
    }

    @Test func endsTheProcessWhenAWriteWouldWaitForItsOwnRead() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let lock = RWLock("test.rw.own", 0)
            lock.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in
                lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { $0 += 1 }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("test.rw.own"))
        #expect(said.contains("Scene/Reader.swift:11") && said.contains("Scene/Writer.swift:22"))
    }

    #if DEBUG
        @Test func endsTheProcessWhenAWriteWouldWaitForItsOwnReadThroughAReader() async {
            let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
                let lock = RWLock("test.rw.own", 0)
                var reader = lock.makeReader()
                reader.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in
                    lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { $0 += 1 }
                }
            }
            let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(said.contains("test.rw.own"))
            #expect(said.contains("Scene/Reader.swift:11") && said.contains("Scene/Writer.swift:22"))
        }
    #endif

    @Test func endsTheProcessWhenAReadWouldWaitForItsOwnWrite() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let lock = RWLock("test.rw.own", 0)
            lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { _ in
                lock.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("Scene/Reader.swift:11") && said.contains("Scene/Writer.swift:22"))
    }

    @Test func endsTheProcessWhenAWriteWouldWaitForItsOwnWrite() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let lock = RWLock("test.rw.own", 0)
            lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { _ in
                lock.withWriteLock(fileID: "Scene/Writer.swift", line: 33) { $0 += 1 }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("Scene/Writer.swift:22") && said.contains("Scene/Writer.swift:33"))
    }

    // MARK: Readers that come and go

    @Test func standsReadersThatComeAndGo() throws {
        let lock = RWLock("test.rw.churn", Ledger())
        let fleeting = Sharing(
            makeReading: { { body in Sharing(lock, by: .handle).makeReading()(body) } },
            write: { body in lock.withWriteLock { body($0) } }
        )
        let shares = try readWhileWriting(fleeting, writes: 200)
        #expect(shares.findings == [])
        #expect(lock.statistics.acquisitions == UInt64(shares.reads + 1 + 400), "reads of those that have gone")
    }

    /// Threads that end give back their slots, and what they counted stays.
    @Test func takesOverTheSlotsOfThreadsThatHaveEnded() throws {
        let lock = try #require(
            withEntry {
                RWLock("test.rw.threads", Ledger())
            } number: {
                $0.number
            }
        )
        let slots = Plain<Set<UInt>>([])
        let findings = Findings()
        for round in 0..<250 {
            try onThreads(4) { index in
                if index == 3 { return lock.withWriteLock { $0.write(pausing: round % 4 == 0) } }
                let (version, finding) = lock.withReadLock { $0.read(pausing: round % 4 == 1) }
                if let finding { findings.note(finding) }
                findings.expect(version == round || version == round + 1, "\(version) writes in round \(round)")
                let slot = UInt(bitPattern: cll_entry_at(lock.number).pointee.slot)
                slots.change { _ = $0.insert(slot) }
            }
        }
        #expect(findings.all == [])
        // A thread's last steps may go on while the next ones begin.
        #expect(slots.now.count <= 12, "\(slots.now.count) slots for three readers at a time")
        #expect(lock.statistics.acquisitions == 1_000)
    }

    // MARK: More locks than threads keep entries for

    @Test func isRightWithoutAnEntry() async {
        await #expect(processExitsWith: .success) {
            let locks = (0..<40).map { _ in RWLock("test.rw.many", Ledger()) }
            let late = try #require(locks.last)
            #expect(late.number == 0 && locks[0].number != 0)
            let shares = try readWhileWriting(Sharing(late, by: .thread), writes: 150)
            #expect(shares.findings == [])
            #expect(late.statistics.acquisitions == UInt64(shares.reads + 1 + 300))
            #expect(try RWLockTests.nest(late) == [])
            for lock in locks { #expect(lock.withReadLock { $0.read(pausing: false).version } >= 0) }
        }
    }

    @Test func endsTheProcessWithoutAnEntryToo() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            let locks = (0..<40).map { _ in RWLock("test.rw.many", 0) }
            locks[39].withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in
                locks[39].withWriteLock(fileID: "Scene/Writer.swift", line: 22) { $0 += 1 }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("Scene/Reader.swift:11") && said.contains("Scene/Writer.swift:22"))
    }
}

/// Makes an object for which threads keep entries: other tests may hold all the numbers for a moment.
func withEntry<Object>(_ make: () -> Object, number: (Object) -> UInt) -> Object? {
    var made: Object?
    let hasOne = eventually {
        let object = make()
        guard number(object) != 0 else { return false }
        made = object
        return true
    }
    return hasOne ? made : nil
}

/// What the threads of a test tell each other.
final class Scene: Sendable {
    let findings = Findings()
    let isHeld = Count()
    let mayGoOn = Count()
    private let threads = Plain<[Int: UInt32]>([:])

    func expect(_ line: String, _ condition: () -> Bool) { findings.expect(eventually(condition), line) }

    /// The calling thread is about to take the lock.
    func enter(_ index: Int) { threads.change { $0[index] = CurrentThread.id } }

    func sleeps(_ index: Int) -> Bool { threads.now[index].map { Kernel.futexSleep(of: $0) != nil } ?? false }
}

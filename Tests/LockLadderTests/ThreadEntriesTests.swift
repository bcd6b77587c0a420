import CLockLadder
import Glibc
import Testing

@testable import LockLadder

/// What threads keep for the objects that they read, where the process has no key left by which a thread's end is
/// noticed.
@Suite struct ThreadEntriesTests {
    /// - Returns: how many keys were taken: all that there were.
    private static func takeAllKeys() -> Int {
        var count = 0
        var key = pthread_key_t()
        // Ends: a process has PTHREAD_KEYS_MAX.
        while pthread_key_create(&key, nil) == 0 { count += 1 }
        return count
    }

    @Test func nothingIsKeptForThreadsWhoseEndGoesUnnoticed() async {
        await #expect(processExitsWith: .success) {
            #expect(ThreadEntriesTests.takeAllKeys() > 0)
            let live = LooseCount()
            let findings = Findings()
            let slots = Plain<[Set<UInt>]>([[], []])
            for round in 1...5 {
                let cell = SnapshotCell("test.entries.cell", Versioned(round, in: live))
                let lock = RWLock("test.entries.rw", round)
                #expect(cell.number != 0 && lock.number != 0)
                for _ in 0..<20 {
                    try onThreads(4) { _ in
                        // Whichever a thread reads first is the one that is refused a key.
                        if round % 2 == 0 { findings.expect(lock.withReadLock { $0 } == round, "another value") }
                        cell.withSnapshot { outer in
                            findings.expect(outer.version == round && outer.isWhole, "freed during the read")
                            findings.expect(cell.withSnapshot { $0.version } == round, "another version")
                        }
                        cell.park()
                        let inner = lock.withReadLock { outer in lock.withReadLock { outer + $0 } }
                        findings.expect(inner == 2 * round, "\(inner)")
                        let thread = cll_current_thread()
                        findings.expect(!thread.pointee.listed, "in the list, and never taken out of it")
                        for number in [cell.number, lock.number] {
                            findings.expect(cll_entry_at(number).pointee.slot == nil, "a slot is kept")
                        }
                        let cellReader = cell.makeReader()
                        let lockReader = lock.makeReader()
                        let own = [UInt(bitPattern: cellReader.slot), UInt(bitPattern: lockReader.slot)]
                        slots.change { for index in own.indices { $0[index].insert(own[index]) } }
                    }
                }
                #expect(lock.statistics.acquisitions == (round % 2 == 0 ? 160 : 80))
                // Each thread needs one at a time, and a thread's last steps may go on while the next ones begin.
                #expect(slots.now.allSatisfy { $0.count <= 12 }, "\(slots.now.map(\.count)) slots for four threads")
                slots.change { $0 = [[], []] }
                cell.publish(Versioned(0, in: live))
                #expect(cell.retiredCount == 0, "kept for threads that have ended")
                #expect(returns { lock.withWriteLock { $0 += 1 } }, "a slot was left taken")
                // Cell and lock go, and with them the entries of all threads in the list.
            }
            #expect(findings.all == [])
            #expect(eventually { live.now == 0 })
        }
    }

    /// The lock excludes and the cell protects all the same, under load.
    @Test func readsAreRightAllTheSame() async {
        await #expect(processExitsWith: .success) {
            #expect(ThreadEntriesTests.takeAllKeys() > 0)
            let lock = RWLock("test.entries.load.rw", Ledger())
            let shares = try readWhileWriting(Sharing(lock, by: .thread), writes: 100)
            #expect(shares.findings == [])
            let live = LooseCount()
            do {
                let cell = SnapshotCell("test.entries.load", Versioned(0, in: live))
                let publication = Publication(
                    makeReading: { { body in cell.withSnapshot { body($0) } } },
                    publish: { cell.publish($0) },
                    retiredCount: { cell.retiredCount }
                )
                let traffic = try readWhilePublishing(publication, readers: 4, publications: 1_000, live: live)
                #expect(traffic.findings == [])
            }
            #expect(eventually { live.now == 0 })
        }
    }

    /// Destructors of thread-local values run up to four times, and the last one has nobody to clear up behind it.
    @Test(.enabled(if: !Linked.hasThreadSanitizer, "the sanitizer's own state of a thread is gone by then"))
    func aThreadThatReadsAtItsVeryEndIsNotKept() throws {
        var key = pthread_key_t()
        let created = pthread_key_create(&key) { start in
            guard let start else { return }
            let ending = Unmanaged<Ending>.fromOpaque(start).takeUnretainedValue()
            ending.read()
            pthread_setspecific(ending.key.now, start)
        }
        #expect(created == 0)
        let ending = Ending(key)
        for _ in 0..<4 {
            try onThreads(1) { _ in
                ending.cell.withSnapshot { #expect($0.number == 1) }
                #expect(cll_current_thread().pointee.listed)
                pthread_setspecific(ending.key.now, Unmanaged.passUnretained(ending).toOpaque())
            }
        }
        // `onThreads` returns when the bodies are over, which is before the threads are.
        #expect(eventually { ending.states.now.values.reduce(0) { $0 + $1.count } == 4 * 4 })
        // The first may come before the thread is taken out of the list. Numbers of threads may come back.
        for states in ending.states.now.values {
            for last in stride(from: 3, to: states.count, by: 4) {
                #expect(!states[last], "in the list, and never taken out of it: \(states)")
            }
        }
        pthread_key_delete(key)
    }

    /// What a thread does at its end: it reads.
    private final class Ending: Sendable {
        let key: Plain<pthread_key_t>
        let cell = SnapshotCell("test.entries.ending", Counted(1, in: LooseCount()))
        /// By threads: after each read, whether it is in the list.
        let states = Plain<[UInt32: [Bool]]>([:])

        init(_ key: pthread_key_t) { self.key = Plain(key) }

        func read() {
            cell.withSnapshot { #expect($0.number == 1) }
            let isListed = cll_current_thread().pointee.listed
            states.change { $0[CurrentThread.id, default: []].append(isListed) }
        }
    }

    /// A write inside a read of the same thread is found out there too.
    @Test func aWriteInsideItsOwnReadEndsTheProcess() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            #expect(ThreadEntriesTests.takeAllKeys() > 0)
            let lock = RWLock("test.entries.own", 0)
            lock.withReadLock(fileID: "Scene/Reader.swift", line: 11) { _ in
                lock.withWriteLock(fileID: "Scene/Writer.swift", line: 22) { $0 += 1 }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("the write at Scene/Writer.swift:22 would wait for this thread's own read"))
        #expect(said.contains("Scene/Reader.swift:11"))
    }
}

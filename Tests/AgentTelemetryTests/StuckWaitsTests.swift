import Foundation
import Testing

@testable import AgentTelemetry
@testable import LockLadder

@Suite("Waits told while they last")
struct StuckWaitsTests {
    private let start = MonotonicTime(nanoseconds: 1_000 * second)

    private func lock(waiting nanoseconds: UInt64, _ id: UInt64 = 1, threads: UInt32 = 3) -> StuckWaits.Lock {
        var figures = LockStatistics()
        figures.waiting = threads
        figures.waitingNanoseconds = nanoseconds
        figures.waitingSite = CallSite(fileID: "Module/Waiter.swift", line: 12)
        figures.lastHolderSite = CallSite(fileID: "Module/Holder.swift", line: 34)
        figures.contended = 8
        return StuckWaits.Lock(id: id, name: "test.stuck", kind: .mutex, figures: figures)
    }

    /// Looks once a second at a wait that began at `start`, and gives the seconds at which it was told.
    private func tellings(until end: UInt64, warnWait: UInt64 = 0) -> [UInt64] {
        var stuck = StuckWaits()
        return (0...end).filter { age in
            let now = start.advanced(byNanoseconds: age * second)
            let records = stuck.look(
                at: [lock(waiting: age * second)],
                now: now,
                warnWait: warnWait,
                generation: 1
            )
            return !records.isEmpty
        }
    }

    @Test("Once, and again at each order of magnitude")
    func onceAndAgain() {
        #expect(tellings(until: 12_000) == [1, 10, 100, 1_000, 10_000])
        #expect(tellings(until: 120, warnWait: 5_000_000) == [1, 10, 100])
        #expect(tellings(until: 120, warnWait: 3 * second) == [3, 10, 100])
        #expect(tellings(until: 120, warnWait: 30 * second) == [30, 100])
        #expect(tellings(until: 120, warnWait: .max).isEmpty)
    }

    @Test func fields() throws {
        var stuck = StuckWaits()
        let records = stuck.look(at: [lock(waiting: 12_400_000_000)], now: start, warnWait: 0, generation: 9)
        let record = try #require(records.first)
        #expect(records.count == 1)
        #expect(record.level == .warning && record.id == .lockStuck)
        let holder = CallSite(fileID: "Module/Holder.swift", line: 34)
        let expected = [
            "AGENT_EVENT": "lock_stuck", "AGENT_LOCK": "test.stuck", "AGENT_LOCK_KIND": "mutex",
            "AGENT_WAIT_US": "12400000", "AGENT_WAITERS": "3", "AGENT_CONTENDED": "8",
            "AGENT_WAITER_SITE": "Module/Waiter.swift:12", "AGENT_HOLDER_SITE": "Module/Holder.swift:34",
            "AGENT_TRY": ContentionAdvice.stillHeld.sentence(holder: holder), "AGENT_GENERATION": "9",
            "AGENT_SUPPRESSED": "0", "CODE_FILE": "Module/Waiter.swift", "CODE_LINE": "12",
        ]
        for (name, value) in expected { #expect(record.values(name) == [value], "\(name)") }
        #expect(Set(record.fields.map(\.name)) == Set(expected.keys).union(["AGENT_WAIT_GE"]))
        #expect(record.values("AGENT_WAIT_GE").last == "1s")
        for part in ["3 threads", "test.stuck", "12400000 µs", "Waiter.swift:12", "Holder.swift:34"] {
            #expect(record.message.contains(part), "\(record.message)")
        }
    }

    @Test("Where the waiter's site is not known the record says so")
    func unknownSite() throws {
        var lock = lock(waiting: 2 * second, threads: 1)
        lock.figures.waitingSite = .none
        var stuck = StuckWaits()
        let record = try #require(stuck.look(at: [lock], now: start, warnWait: 0, generation: 9).first)
        #expect(record.value("AGENT_WAITER_SITE") == "-")
        #expect(record.value("CODE_FILE") == nil)
        #expect(record.message.hasPrefix("1 thread waiting"))
    }

    @Test("The next wait for the same lock is told anew; one that goes on is not")
    func nextWait() {
        var stuck = StuckWaits()
        func look(_ age: UInt64, after seconds: UInt64) -> Int {
            let now = start.advanced(byNanoseconds: seconds * second)
            return stuck.look(at: [lock(waiting: age * second)], now: now, warnWait: 0, generation: 1).count
        }
        #expect(look(2, after: 0) == 1)
        #expect(look(3, after: 1) == 0)
        // Began after the last look, although older than the other one was then.
        #expect(look(4, after: 6) == 1)
        #expect(look(5, after: 7) == 0)
        #expect(stuck.look(at: [], now: start.advanced(byNanoseconds: 8 * second), warnWait: 0, generation: 1).isEmpty)
        #expect(look(8, after: 10) == 1)
    }

    @Test("Each lock has its own story, and a hundred of one name do not fill the journal")
    func manyLocks() {
        var stuck = StuckWaits()
        let others = (2..<102).map { UInt64($0) }
        let locks = others.map { lock(waiting: 2 * second, $0) }
        let records = stuck.look(at: locks, now: start, warnWait: 0, generation: 1)
        #expect(records.count == ContentionLimiter.perWindow)
        let later = start.advanced(byNanoseconds: 9 * second)
        let again = stuck.look(
            at: others.map { lock(waiting: 11 * second, $0) },
            now: later,
            warnWait: 0,
            generation: 1
        )
        #expect(again.count == ContentionLimiter.perWindow, "another order of magnitude")
        let end = start.advanced(byNanoseconds: 200 * second)
        let last = stuck.look(at: [lock(waiting: 2 * second)], now: end, warnWait: 0, generation: 1)
        #expect(last.first?.value("AGENT_SUPPRESSED") == "95")
    }

    @Test("A held lock is told of while it is held, on the journal's own thread")
    func live() async {
        await #expect(processExitsWith: .success) {
            let path = temporaryPath()
            defer { unlink(path) }
            redirectStandardError(to: path)
            let journal = Journal(level: .info, warnWait: 20_000_000, reportInterval: 3_600 * second)
            try ensure(journal.start(), "no thread")
            journal.note(generation: 42)
            let lock = ContendedLock("test.stuck.live")
            var isTold = false
            func lines(_ kind: String) -> [String] {
                readLines(path).filter { $0.contains("AGENT_LOCK=test.stuck.live") && $0.contains(kind) }
            }
            // Held until it is told: nothing of the wait is over by then.
            lock.withHolder {
                let end = Date().addingTimeInterval(30)
                while !isTold, Date() < end {
                    isTold = !lines("still waiting").isEmpty
                    Thread.sleep(forTimeInterval: 0.01)
                }
            }
            try ensure(isTold, "\(readLines(path))")
            try ensureSoon("the record of the end") { lines("warning waited").count == 1 }
            try ensure(journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)), "not stopped")
            let told = lines("still waiting")
            try ensure(told.count == 1, "\(told)")
            for part in ["AGENT_GENERATION=42", "AGENT_WAIT_GE=1s", "AGENT_WAITERS=1", "Support.swift", "AGENT_TRY="] {
                try ensure(told[0].contains(part), told[0])
            }
        }
    }
}

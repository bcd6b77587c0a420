import Testing

@testable import AgentTelemetry
@testable import LockLadder

@Suite("Contention as records")
struct ContentionTests {
    private func record(_ lock: StaticString = "test.a", wait: UInt64, hold: UInt64 = 0, taken: UInt64 = 0)
        -> ContentionRecord
    {
        ContentionRecord(
            lock: lock,
            kind: .mutex,
            mode: .exclusive,
            waiter: CallSite(fileID: "Module/Waiter.swift", line: 12),
            waiterFunction: "wait()",
            holder: CallSite(fileID: "Module/Holder.swift", line: 34),
            waitNanoseconds: wait,
            holdNanoseconds: hold,
            wakeNanoseconds: 2_999,
            takenMeanwhile: taken,
            waiters: 3,
            threadID: 77,
            contended: 3,
            endedAt: .now
        )
    }

    @Test func fields() {
        let text = ContentionText.record(record(wait: 1_500_999, hold: 1_400_000), generation: 9, suppressed: 4)
        #expect(text.level == .warning)
        #expect(text.id == .lockContended)
        let expected = [
            "AGENT_EVENT": "lock_contended", "AGENT_LOCK": "test.a", "AGENT_LOCK_KIND": "mutex",
            "AGENT_LOCK_MODE": "exclusive", "AGENT_CONTENDED": "3",
            "AGENT_TRY": ContentionAdvice.longHold.sentence(holder: CallSite(fileID: "Module/Holder.swift", line: 34)),
            "AGENT_TAKEN_MEANWHILE": "0", "AGENT_WAIT_US": "1500", "AGENT_HOLD_US": "1400", "AGENT_WAKE_US": "2",
            "AGENT_WAITERS": "3",
            "AGENT_WAITER_SITE": "Module/Waiter.swift:12", "AGENT_HOLDER_SITE": "Module/Holder.swift:34",
            "AGENT_GENERATION": "9", "AGENT_SUPPRESSED": "4", "CODE_FILE": "Module/Waiter.swift", "CODE_LINE": "12",
            "CODE_FUNC": "wait()",
            "TID": "77",
        ]
        for (name, value) in expected { #expect(text.values(name) == [value], "\(name)") }
        #expect(Set(text.fields.map(\.name)) == Set(expected.keys).union(["AGENT_WAIT_GE"]))
        #expect(text.message.contains("test.a") && text.message.contains("Module/Waiter.swift:12"))
        #expect(!text.message.contains("\n"))
    }

    @Test("Nobody is blamed for holds that were not his")
    func changedHands() {
        func message(taken: UInt64) -> String {
            ContentionText.record(record(wait: 9_000_000, hold: 9_000_000, taken: taken), generation: 1, suppressed: 0)
                .message
        }
        #expect(message(taken: 0).contains("held at Module/Holder.swift:34 for 9000 µs of it"))
        let shared = message(taken: 1_234)
        #expect(shared.contains("taken by others 1234 times meanwhile") && !shared.contains("of it"))
    }

    @Test(
        "Marks say 'at least', each with all below it",
        arguments: [
            (UInt64(0), 0), (9_999, 0), (10_000, 1), (99_999, 1), (100_000, 2), (1_000_000, 3), (9_999_999, 3),
            (10_000_000, 4), (100_000_000, 5), (999_999_999, 5), (1_000_000_000, 6), (.max, 6),
        ]
    )
    func marks(wait: UInt64, count: Int) {
        let names = ["10us", "100us", "1ms", "10ms", "100ms", "1s"]
        let text = ContentionText.record(record(wait: wait), generation: 1, suppressed: 0)
        #expect(text.values("AGENT_WAIT_GE") == Array(names.prefix(count)))
    }

    @Test func limiter() {
        var limiter = ContentionLimiter()
        let start = MonotonicTime(nanoseconds: 1_000 * second)
        for _ in 0..<ContentionLimiter.perWindow { #expect(limiter.admit(record(wait: 20_000), at: start) == 0) }
        for _ in 0..<7 { #expect(limiter.admit(record(wait: 90_000), at: start) == nil) }
        // Other orders of magnitude and other locks have windows of their own.
        #expect(limiter.admit(record(wait: 200_000), at: start) == 0)
        #expect(limiter.admit(record(wait: 5), at: start) == 0)
        #expect(limiter.admit(record("test.b", wait: 20_000), at: start) == 0)
        let end = start.advanced(byNanoseconds: ContentionLimiter.windowNanoseconds)
        #expect(limiter.admit(record(wait: 20_000), at: end) == nil)
        let next = end.advanced(byNanoseconds: 1)
        #expect(limiter.admit(record(wait: 20_000), at: next) == 8)
        for _ in 1..<ContentionLimiter.perWindow { #expect(limiter.admit(record(wait: 20_000), at: next) == 0) }
        #expect(limiter.admit(record(wait: 20_000), at: next) == nil)
    }

    @Test("A report tells what was contended since the last one, and nothing else")
    func reporter() throws {
        let lock = ContendedLock("test.reporter")
        var reporter = LockReporter()
        func mine() -> [JournalRecord] {
            reporter.report(generation: 5).filter { $0.value("AGENT_LOCK") == "test.reporter" }
        }
        lock.take()
        #expect(mine().isEmpty)
        contend(lock)
        let first = try #require(mine().first)
        #expect(first.level == .info)
        #expect(first.id == .lockReport)
        #expect(first.value("AGENT_EVENT") == "lock_report")
        #expect(first.value("AGENT_GENERATION") == "5")
        #expect(first.value("AGENT_LOCK_KIND") == "mutex")
        #expect((Int(first.value("AGENT_CONTENDED") ?? "") ?? 0) >= 1)
        #expect((Int(first.value("AGENT_ACQUISITIONS") ?? "") ?? 0) >= 2)
        #expect((Int(first.value("AGENT_WAIT_TOTAL_US") ?? "") ?? 0) >= 1)
        #expect(first.value("AGENT_HOLDER_SITE")?.contains("Support.swift") == true)
        #expect(mine().isEmpty)
        for _ in 0..<10 { lock.take() }
        #expect(mine().isEmpty)
        let parks = lock.parks
        while lock.parks == parks { lock.withHolder { for _ in 0..<10_000 { _ = MonotonicTime.now } } }
        let second = try #require(mine().first)
        #expect((Int(second.value("AGENT_ACQUISITIONS") ?? "") ?? 0) >= 2)
    }

    @Test("Of a lock that was only spun for no wait is told")
    func onlySpun() throws {
        var figures = figures("test.spun") {
            $0.acquisitions = 44_002
            $0.contended = 1
            $0.spun = 1
        }
        var news = LockReporter.News()
        news.add(figures.statistics, since: LockStatistics())
        let spun = LockReporter.record(figures, news, generation: 1)
        #expect(
            spun.message == "lock test.spun: 1 of 44002 acquisitions contended since the last report, "
                + "only spun: nobody slept for it"
        )
        #expect(spun.value("AGENT_SPINS") == "1")
        figures.statistics.contended += 1
        figures.statistics.waitTotalNanoseconds = 7_000
        figures.statistics.waitMaxNanoseconds = 7_000
        news = LockReporter.News()
        news.add(figures.statistics, since: LockStatistics())
        let waited = LockReporter.record(figures, news, generation: 1)
        #expect(waited.message.hasSuffix("contended since the last report, 7 µs waited; longest wait so far 7 µs"))
    }

    @Test("Locks come and go: a new one under an old name has figures of its own")
    func lockThatComesAgain() async {
        await #expect(processExitsWith: .success) {
            var reporter = LockReporter()
            var lock: ContendedLock? = ContendedLock("test.again")
            if let lock { contend(lock) }
            _ = reporter.report(generation: 1)
            lock = nil
            let next = ContendedLock("test.again")
            next.take()
            _ = reporter.report(generation: 1)
            contend(next)
            let told = reporter.report(generation: 1).filter { $0.value("AGENT_LOCK") == "test.again" }
            try ensure(told.count == 1, "\(told)")
        }
    }

    @Test("Of several locks of one name the figures are added up")
    func figures() throws {
        let locks = (0..<3).map { _ in ContendedLock("test.figures") }
        for lock in locks { lock.take() }
        contend(locks[1])
        let figures = try #require(LockFigures.collect().first { $0.name == "test.figures" })
        #expect(figures.instances == 3)
        #expect(figures.statistics.acquisitions >= 5)
        #expect(figures.statistics.parks == locks[1].parks)
        #expect(figures.waits.map(\.count).reduce(0, +) >= 1)
        let bounds = figures.waits.map { $0.upperBoundNanoseconds ?? .max }
        #expect(bounds == bounds.sorted())
        #expect(figures.statistics.waitMaxSite.description.contains("Support.swift"))
        #expect(figures.statistics.waiting == 0)
    }

    private func figures(_ name: String, _ change: (inout LockStatistics) -> Void) -> LockFigures {
        var statistics = LockStatistics()
        change(&statistics)
        return LockFigures(name: name, kind: .mutex, instances: 1, statistics: statistics, waits: [])
    }

    @Test("Of a sum the sites are those of the worst")
    func sums() {
        let here = CallSite(fileID: "Module/Here.swift", line: 1)
        let there = CallSite(fileID: "Module/There.swift", line: 2)
        let calm = figures("a") {
            $0.waitMaxNanoseconds = 5
            $0.waitMaxSite = here
            $0.holdMaxNanoseconds = 9
            $0.holdMaxSite = here
            $0.lastHolderSite = here
            $0.wakeTotalNanoseconds = 1
            $0.holdSamples = 2
            $0.holdSampledNanoseconds = 20
        }
        let waitedFor = figures("a") {
            $0.waitMaxNanoseconds = 7
            $0.waitMaxSite = there
            $0.holdMaxNanoseconds = 8
            $0.holdMaxSite = there
            $0.lastHolderSite = there
            $0.wakeTotalNanoseconds = 10
            $0.holdSamples = 3
            $0.holdSampledNanoseconds = 300
            $0.waiting = 2
            $0.waitingNanoseconds = 50
            $0.waitingSite = there
        }
        for sum in [calm.adding(waitedFor).statistics, waitedFor.adding(calm).statistics] {
            #expect(sum.waitMaxNanoseconds == 7 && sum.waitMaxSite == there)
            #expect(sum.holdMaxNanoseconds == 9 && sum.holdMaxSite == here)
            #expect(sum.wakeTotalNanoseconds == 11)
            #expect(sum.holdSamples == 5 && sum.holdSampledNanoseconds == 320)
            #expect(sum.waiting == 2 && sum.waitingNanoseconds == 50)
            #expect(sum.waitingSite == there && sum.lastHolderSite == there)
        }
        let longer = figures("a") {
            $0.waiting = 1
            $0.waitingNanoseconds = 60
            $0.waitingSite = here
            $0.lastHolderSite = there
        }
        for sum in [longer.adding(waitedFor).statistics, waitedFor.adding(longer).statistics] {
            #expect(sum.waiting == 3 && sum.waitingNanoseconds == 60)
            #expect(sum.waitingSite == here)
        }
    }

    @Test("Who waits now comes first, then who has waited most")
    func worstFirst() {
        let locks = [
            figures("quiet") { _ in }, figures("also.quiet") { _ in }, figures("once") { $0.waitTotalNanoseconds = 99 },
            figures("now") { $0.waiting = 1 },
            figures("long") {
                $0.waiting = 1
                $0.waitingNanoseconds = 7
            },
        ]
        let sorted = locks.shuffled().sorted { $0.isWorse(than: $1) }.map(\.name)
        #expect(sorted == ["long", "now", "once", "also.quiet", "quiet"])
    }
}

import AgentAPI
import Testing

@testable import AgentctlKit

@Suite("agentctl locks")
struct LocksTextTests {
    private let style = TextStyle(width: 80)

    static func lock(
        _ name: String,
        waited: UInt64,
        histogram: [HistogramBucket] = [],
        _ change: (inout LockStatus) -> Void = { _ in }
    ) -> LockStatus {
        var lock = LockStatus(
            name: name,
            kind: "mutex",
            instances: name == "ring" ? 2 : 1,
            acquisitions: 1000,
            contended: waited > 0 ? 12 : 0,
            spins: 40,
            parks: 5,
            waiting: 0,
            waitingMicroseconds: 0,
            waitTotalMicroseconds: waited,
            waitMaxMicroseconds: waited / 2,
            waitMaxSite: waited > 0 ? "Store/Writer.swift:7" : nil,
            wakeTotalMicroseconds: waited / 10,
            wakeLatencyMaxMicroseconds: 90,
            waitersMax: 3,
            holderSite: waited > 0 ? "Publisher.swift:44" : nil,
            holdMaxMicroseconds: 950,
            holdSamples: waited > 0 ? 4 : 0,
            holdMeanMicroseconds: waited > 0 ? 0.25 : 0,
            waitCount: waited > 0 ? 13 : 0,
            waitHistogram: histogram
        )
        change(&lock)
        return lock
    }

    static func report(_ locks: [LockStatus], since: Int64 = 500) -> LocksReport {
        LocksReport(accounting: true, since: Fixtures.ago(since), locks: locks)
    }

    private static let buckets = [(10, 2), (100, 2), (1000, 10), (10_000, 12)].map {
        HistogramBucket(upToMicroseconds: UInt64($0.0), count: UInt64($0.1))
    }

    @Test func worstFirst() {
        let report = Self.report([
            Self.lock("ring", waited: 0), Self.lock("publish", waited: 45_000, histogram: Self.buckets),
            Self.lock("fetch", waited: 9) {
                $0.waiting = 3
                $0.waitingMicroseconds = 12_400_000
                $0.waitingSite = "Fetch/Flights.swift:133"
                $0.holdingSite = "Fetch/Flights.swift:99"
                $0.waitCount = 0
                $0.waitMaxSite = nil
                $0.holderSite = nil
            },
        ])
        #expect(
            LocksText.render(report, histograms: false, style: style) == """
                LOCK      KIND   WAITED  LONGEST  CONTENDED  ACQUIRED   HELD
                fetch     mutex     9us      4us  12 (1.2%)      1000  950us
                    waiting now: 3 threads, 12.4s, at Fetch/Flights.swift:133; held by
                    Fetch/Flights.swift:99
                publish   mutex  45.0ms   22.5ms  12 (1.2%)      1000  950us
                    waits 8us :     #   :. 32.8ms, at most 3 at once, parked 5 times, spun 40
                    longest wait 22.5ms at Store/Writer.swift:7; wake-ups 4.5ms in all
                    longest hold 950us at Publisher.swift:44, 0.3us on average (4 samples)
                ring (2)  mutex     0us      0us          0      1000  950us

                """
        )
    }

    @Test func histograms() {
        let report = Self.report([
            Self.lock("ring", waited: 0), Self.lock("publish", waited: 45_000, histogram: Self.buckets),
        ])
        #expect(
            LocksText.render(report, histograms: true, style: style).contains(
                """
                      <= 10us  ########## 2
                     <= 100us  0
                     <= 1.0ms  ######################################## 8
                    <= 10.0ms  ########## 2
                       longer  ##### 1
                ring (2)
                """
            )
        )
    }

    @Test func nothingToShow() {
        #expect(LocksText.render(Self.report([]), histograms: true, style: style) == "no locks\n")
        var report = Self.report([Self.lock("ring", waited: 0)])
        report.accounting = false
        #expect(LocksText.render(report, histograms: false, style: style).contains("without contention accounting"))
        #expect(LocksChanges(from: report, to: report, seconds: 1).render(style: style).contains("without"))
    }

    @Test("Whoever waits now stands out")
    func bold() {
        let lock = Self.lock("fetch", waited: 9) { $0.waiting = 1 }
        let text = LocksText.render(Self.report([lock]), histograms: false, style: TextStyle(colour: true, width: 80))
        #expect(text.contains("\u{1B}[1mfetch\u{1B}[0m"))
        #expect(text.contains("\u{1B}[1m    waiting now: 1 thread, 0us\u{1B}[0m\n"))
        let calm = Self.lock("fetch", waited: 9)
        #expect(
            !LocksText.render(Self.report([calm]), histograms: false, style: TextStyle(colour: true)).contains(
                "\u{1B}[1mfetch"
            )
        )
    }

    @Test("Rows with names of the agent's own length fit eighty columns")
    func width() {
        let locks = ["contention.registry", "control.connections"].map { name in
            Self.lock(name, waited: 59_000_000, histogram: Self.buckets) {
                $0.acquisitions = 123_456_789
                $0.contended = 12_345
                $0.kind = "rwlock"
                $0.holdMaxMicroseconds = 59_900_000
                $0.waitMaxSite = "LockLadder/SingleFlight.swift:133"
                $0.holderSite = "LockLadder/SingleFlight.swift:133"
            }
        }
        let text = LocksText.render(Self.report(locks), histograms: false, style: style)
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    // MARK: A histogram in one line

    private func line(_ buckets: [(UInt64, UInt64)], all: UInt64, longest: UInt64 = 0, blocks: Bool = true) -> String? {
        let histogram = buckets.map { HistogramBucket(upToMicroseconds: $0.0, count: $0.1) }
        let lock = Self.lock("a", waited: 1, histogram: histogram) {
            $0.waitCount = all
            $0.waitMaxMicroseconds = longest
        }
        return HistogramLine.render(lock, style: TextStyle(blocks: blocks))
    }

    @Test func oneMarkForEachDoubling() {
        #expect(line([], all: 0) == nil)
        #expect(line([(1, 5)], all: 5) == "0us ▇ 1us")
        #expect(line([(2, 5)], all: 5) == "1us ▇ 2us")
        #expect(line([(1, 1), (2, 101)], all: 101) == "0us ▁▇ 2us")
        // Quarters of one doubling are one mark; what is not there is blank.
        #expect(line([(5, 1), (6, 2), (7, 3), (8, 4), (64, 5)], all: 5) == "4us ▇  ▂ 64us")
        #expect(line([(5, 1), (6, 2), (7, 3), (8, 4), (64, 5)], all: 5, blocks: false) == "4us #  : 64us")
        #expect(line([(16, 1), (32, 3), (64, 6), (128, 10), (256, 15)], all: 15) == "8us ▁▂▃▅▇ 256us")
    }

    @Test func waitsWithoutBound() {
        #expect(line([(16_777_216, 2)], all: 3, longest: 30_000_000) == "8.4s ▇▃ 33.6s")
        #expect(line([], all: 1, longest: 30_000_000) == "16.8s ▇ 33.6s")
        #expect(line([], all: 1, longest: .max)?.contains("▇") == true)
        // Figures that were read a moment apart.
        #expect(line([(16, 4), (32, 2)], all: 1) == "8us ▇ 16us")
        #expect(line([(64, 1)], all: 2, longest: 3) == "32us ▇▇ 128us")
    }

    // MARK: Watching

    @Test("Changes are told for each second, worst first, and what did not change is not told")
    func changes() {
        let before = Self.report([
            Self.lock("ring", waited: 0), Self.lock("publish", waited: 45_000), Self.lock("fetch", waited: 20),
        ])
        let now = Self.report([
            Self.lock("publish", waited: 65_000) {
                $0.acquisitions += 4_001
                $0.contended += 7
                $0.parks += 3
            }, Self.lock("fetch", waited: 20) { $0.acquisitions += 6 }, Self.lock("ring", waited: 0),
            Self.lock("new", waited: 0) {
                $0.waiting = 2
                $0.waitingMicroseconds = 1_500_000
                $0.waitingSite = "A.swift:1"
                $0.parks = 0
            },
        ])
        let changes = LocksChanges(from: before, to: now, seconds: 2)
        #expect(!changes.isRestart)
        #expect(
            changes.render(style: style) == """
                LOCK     WAITED/S  CONTENDED/S  ACQUIRED/S  PARKS/S  LONGEST
                new           0us            0         500        0      0us
                    waiting now: 2 threads, 1.5s, at A.swift:1
                publish    10.0ms          3.5        2001      1.5  32.5ms!
                fetch         0us            0           3        0     10us

                """
        )
        #expect(LocksChanges(from: now, to: now, seconds: 1).render(style: style).contains("waiting now: 2 threads"))
        #expect(LocksChanges(from: before, to: before, seconds: 1).render(style: style) == "no lock was taken\n")
    }

    @Test("Locks that are gone take their counts with them: nothing falls below zero")
    func fallingCounts() {
        let before = Self.report([Self.lock("a", waited: 100)])
        let now = Self.report([
            Self.lock("a", waited: 10) {
                $0.acquisitions = 3
                $0.parks = 0
                $0.contended = 13
            }
        ])
        let text = LocksChanges(from: before, to: now, seconds: 0).render(style: style)
        #expect(text.contains("a          0us         1000           0        0      5us"), "\(text)")
    }

    @Test("Totals first, then changes; a restart and an absence are told, and it goes on")
    func story() {
        var watch = LocksWatchText()
        let first = Self.report([Self.lock("a", waited: 100)])
        var second = first
        second.locks[0].acquisitions += 10
        var third = Self.report([Self.lock("a", waited: 7)], since: 3)
        let totals = watch.table(first, at: 5_000, style: style)
        #expect(totals.text == LocksText.render(first, histograms: false, style: style))
        #expect(totals.what == "totals since \(first.since.forPeople)")
        let (what, changes) = watch.table(second, at: 7_000, style: style)
        #expect(what == "changes in each second")
        #expect(changes.hasPrefix("LOCK  WAITED/S"))
        #expect(changes.contains("a          0us            0           5 "), "\(changes)")
        let problem = Problem("nobody is\nthere", remedy: "start it", exit: .notRunning)
        let away = watch.away(problem)
        #expect(away?.hasSuffix("nobody is\\u{a}there\n") == true)
        #expect(watch.away(problem) == nil)
        let restarted = watch.table(third, at: 9_000, style: style)
        #expect(restarted.what == "totals since \(third.since.forPeople)", "no changes: it counts from the start")
        #expect(restarted.text.hasPrefix("the agent has restarted"))
        #expect(restarted.text.hasSuffix(LocksText.render(third, histograms: false, style: style)))
        third.locks[0].acquisitions += 3
        let after = watch.table(third, at: 10_000, style: style)
        #expect(after.what == "changes in each second" && after.text.contains("           3 "))
        #expect(watch.away(problem) != nil)
    }
}

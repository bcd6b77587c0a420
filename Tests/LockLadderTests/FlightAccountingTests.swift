import Testing

@testable import LockLadder

/// What a group's waits look like in the contention figures.
@Suite struct FlightAccountingTests {
    @Test func tellsWhoWaitedForWhoseWork() throws {
        let gate = Gate()
        let group = ThreadSingleFlight<String, Int>("test.flightfigures.threads") { _, _ in
            gate.passOnThread()
            return 1
        }
        let findings = Findings()
        let records = try ContentionHook.shared.records(of: "test.flightfigures.threads") {
            try onThreads(5) { index in
                switch index {
                case 0:
                    let value = try? group.value(for: "a", fileID: "Scene/Worker.swift", line: 1)
                    findings.expect(value == 1, "the worker got no value")
                case 4:
                    findings.expect(eventually { group.accounting.statistics.waiting == 3 }, "not all wait")
                    let now = group.accounting.statistics
                    findings.expect(now.lastHolderSite.description == "Scene/Worker.swift:1", "\(now.lastHolderSite)")
                    findings.expect(now.waitingSite.description == "Scene/Caller.swift:2", "\(now.waitingSite)")
                    findings.expect(now.waitingNanoseconds > 0, "nobody waits")
                    // One leaves in vain: after a time that is not over before it has come, on a busy machine either.
                    let late = MonotonicTime.now.advanced(byNanoseconds: 500_000_000)
                    let value = try? group.value(for: "a", until: late, fileID: "Scene/Late.swift", line: 3)
                    findings.expect(value == nil, "the late one got a value")
                    gate.open()
                default:
                    findings.expect(eventually { group.statistics.calls > 0 }, "nobody flies")
                    let value = try? group.value(for: "a", fileID: "Scene/Caller.swift", line: 2)
                    findings.expect(value == 1, "a caller got no value")
                }
            }
        }
        #expect(findings.all == [])
        let figures = group.accounting.statistics
        #expect(figures.acquisitions == 5)
        #expect(figures.contended == 4 && figures.parks == 4 && figures.gaveUp == 1)
        #expect(figures.waitersMax == 4 && figures.waiting == 0)
        #expect(figures.waitMaxSite.description == "Scene/Caller.swift:2")
        #expect(figures.waitMaxHolderSite.description == "Scene/Worker.swift:1")
        let flights = records.filter { $0.kind == .flight }
        #expect(flights.count == 3, "whoever left has nothing to tell")
        #expect(
            flights.allSatisfy {
                $0.waiter.description == "Scene/Caller.swift:2" && $0.holder.description == "Scene/Worker.swift:1"
                    && $0.waitNanoseconds == $0.holdNanoseconds + $0.wakeNanoseconds
            }
        )
    }

    @Test func countsTasksToo() async throws {
        let gate = Gate()
        let group = AsyncSingleFlight<String, Int>("test.flightfigures.tasks") { _ in
            try await gate.pass()
            return 1
        }
        let sum = try await withThrowingTaskGroup(of: Int.self) { tasks in
            for _ in 0..<8 { tasks.addTask { try await group.value(for: "a") } }
            #expect(await soon { group.accounting.statistics.waiting == 7 })
            gate.open()
            return try await tasks.reduce(0, +)
        }
        #expect(sum == 8)
        let figures = group.accounting.statistics
        #expect(figures.acquisitions == 8 && figures.contended == 7 && figures.waiting == 0)
        #expect(figures.waitTotalNanoseconds >= figures.waitMaxNanoseconds && figures.waitMaxNanoseconds > 0)
    }
}

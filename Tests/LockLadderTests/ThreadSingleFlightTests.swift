import Testing

@testable import LockLadder

/// Scripts with threads: each step is known, and so is each answer.
@Suite struct ThreadSingleFlightTests {
    private typealias Group = ThreadSingleFlight<String, Int>

    /// A call on a thread of its own.
    private final class Caller: Sendable {
        private let answer = Plain<String?>(nil)

        init(_ body: @escaping @Sendable () throws -> Int) {
            let answer = answer
            let thread = NamedThread("test-caller") {
                let told = toldNow(body)
                answer.change { $0 = told }
            }
            if thread == nil { answer.change { $0 = "no thread" } }
        }

        var isAnswered: Bool { answer.now != nil }

        var told: String {
            _ = eventually { self.isAnswered }
            return answer.now ?? "nothing"
        }
    }

    @Test func doesTheWorkOnTheThreadOfTheFirst() throws {
        let group = ThreadSingleFlight<String, UInt32>("test.thread.own") { _, flight in
            #expect(!flight.isCancelled)
            return CurrentThread.id
        }
        #expect(try group.value(for: "a") == CurrentThread.id)
        #expect(try group.value(for: "a", until: .inMilliseconds(60_000)) != CurrentThread.id)
        #expect(group.threads == 0)
    }

    @Test func foldsACrowdIntoOneFlight() throws {
        let gate = Gate()
        let runs = Count()
        let group = Group("test.thread.crowd") { _, _ in
            gate.passOnThread()
            return runs.add(1)
        }
        let deadline = MonotonicTime.inMilliseconds(60_000)
        let callers = (0..<32).map { index in
            Caller { try group.value(for: "a", until: index % 2 == 0 ? deadline : nil) }
        }
        #expect(eventually { group.statistics.calls == 32 })
        gate.open()
        #expect(Set(callers.map(\.told)) == ["1"])
        #expect(group.statistics.folded == 31 && group.statistics.flights == 1 && group.statistics.inFlight == 0)
    }

    @Test func tellsAllTheErrorOfTheWork() {
        let gate = Gate()
        let group = Group("test.thread.error") { _, _ in
            gate.passOnThread()
            throw Vain.broken
        }
        let callers = (0..<3).map { _ in Caller { try group.value(for: "a") } }
        #expect(eventually { group.statistics.calls == 3 })
        gate.open()
        #expect(callers.map(\.told) == ["broken", "broken", "broken"])
        #expect(group.statistics.failures == 1)
    }

    @Test func letsOneLeaveAtItsDeadlineAndAnswersTheOther() {
        let gate = Gate()
        let group = Group("test.thread.deadline") { _, flight in
            gate.passOnThread { flight.isCancelled }
            return 5
        }
        let patient = Caller { try group.value(for: "a") }
        #expect(eventually { gate.arrivals.now == 1 })
        let late = "\(SingleFlightError.deadlineExceeded)"
        #expect(toldNow { try group.value(for: "a", until: .inMilliseconds(5)) } == late)
        #expect(!patient.isAnswered)
        gate.open()
        #expect(patient.told == "5")
        #expect(group.statistics.abandoned == 0)
    }

    @Test func tellsTheWorkWhenTheLastHasLeft() {
        let noticed = Count()
        let gate = Gate()
        let group = Group("test.thread.last") { _, flight in
            if !gate.passOnThread({ flight.isCancelled }) { noticed.add(1) }
            return 1
        }
        let late = "\(SingleFlightError.deadlineExceeded)"
        #expect(toldNow { try group.value(for: "a", until: .inMilliseconds(5)) } == late)
        #expect(group.statistics.abandoned == 1 && group.statistics.inFlight == 0)
        #expect(eventually { noticed.now == 1 || group.threads == 0 })
        gate.open()
        #expect(toldNow { try group.value(for: "a", until: .inMilliseconds(60_000)) } == "1")
        #expect(eventually { group.threads == 0 })
    }

    @Test func runsNoMoreThreadsThanItMay() {
        let gate = Gate()
        let group = Group("test.thread.bound", threads: 1) { _, _ in
            gate.passOnThread()
            return 1
        }
        let deadline = MonotonicTime.inMilliseconds(60_000)
        let first = Caller { try group.value(for: "a", until: deadline) }
        #expect(eventually { gate.arrivals.now == 1 })
        #expect(throws: SingleFlightError.tooManyThreads(limit: 1)) { try group.value(for: "b", until: deadline) }
        let own = Caller { try group.value(for: "b") }
        #expect(eventually { gate.arrivals.now == 2 }, "who does the work itself needs no thread of the group's")
        gate.open()
        #expect(first.told == "1" && own.told == "1")
        #expect(toldNow { try group.value(for: "b", until: deadline) } == "1", "the thread is free again")
    }

    /// The work of a rerun is done by one who waits for it and cannot leave, or else by a thread of the group's.
    @Test(arguments: [true, false])
    func runsAgainForWhoeverWantsALaterRequest(hasDeadline: Bool) {
        let gates = [Gate(), Gate()]
        let runs = Count()
        let workers = Plain<[UInt32]>([])
        let group = Group("test.thread.rerun", threads: 1) { _, _ in
            let number = runs.add(1)
            workers.change { $0.append(CurrentThread.id) }
            gates[number - 1].passOnThread()
            return number
        }
        let first = Caller { try group.value(for: "a") }
        #expect(eventually { gates[0].arrivals.now == 1 })
        let askers = Plain<[UInt32]>([])
        let later = (0..<3).map { _ in
            Caller {
                askers.change { $0.append(CurrentThread.id) }
                return try group.value(for: "a", .requestedAfterNow, until: hasDeadline ? .inMilliseconds(60_000) : nil)
            }
        }
        #expect(eventually { group.statistics.calls == 4 })
        gates[0].open()
        #expect(first.told == "1")
        #expect(eventually { gates[1].arrivals.now == 1 })
        #expect(group.threads == (hasDeadline ? 1 : 0))
        #expect(askers.now.contains(workers.now[1]) == !hasDeadline)
        gates[1].open()
        #expect(later.map(\.told) == ["2", "2", "2"])
        #expect(group.statistics.folded == 2 && group.statistics.flights == 2)
    }

    @Test func refusesWhatGoesPastItsBounds() {
        let gate = Gate()
        let group = Group("test.thread.bounds", limits: FlightLimits(keys: 1, callers: 2)) { _, _ in
            gate.passOnThread()
            return 1
        }
        let callers = (0..<2).map { _ in Caller { try group.value(for: "a") } }
        #expect(eventually { group.statistics.calls == 2 })
        #expect(throws: SingleFlightError.refused(.tooManyCallers(limit: 2))) { try group.value(for: "a") }
        #expect(throws: SingleFlightError.refused(.tooManyKeys(limit: 1))) { try group.value(for: "b") }
        gate.open()
        #expect(callers.map(\.told) == ["1", "1"])
        #expect(group.statistics.refused == 2)
    }

    @Test func leavesNothingBehind() throws {
        let live = LooseCount()
        do {
            let group = ThreadSingleFlight<Int, Counted>("test.thread.nothing") { key, _ in Counted(key, in: live) }
            for key in 0..<20 {
                #expect(try group.value(for: key).number == key)
                #expect(try group.value(for: key, until: .inMilliseconds(60_000)).number == key)
            }
        }
        #expect(eventually { live.now == 0 })
    }
}

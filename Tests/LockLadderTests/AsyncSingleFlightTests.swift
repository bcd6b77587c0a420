import Testing

@testable import LockLadder

/// Scripts with tasks: each step is known, and so is each answer.
@Suite struct AsyncSingleFlightTests {
    private typealias Group = AsyncSingleFlight<String, Int>

    private enum Marked { @TaskLocal static var mark = 0 }

    @Test func foldsACrowdIntoOneFlight() async throws {
        let gate = Gate()
        let runs = Count()
        let group = Group("test.async.crowd") { _ in
            try await gate.pass()
            return runs.add(1)
        }
        let values = await withTaskGroup(of: String.self) { tasks in
            for _ in 0..<64 { tasks.addTask { await told { try await group.value(for: "a") } } }
            #expect(await soon { group.statistics.calls == 64 })
            gate.open()
            return await tasks.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(values == ["1"])
        let figures = group.statistics
        #expect(figures.calls == 64 && figures.folded == 63 && figures.flights == 1 && figures.inFlight == 0)
        #expect(await told { try await group.value(for: "a") } == "2", "nothing is kept")
    }

    @Test func tellsAllTheErrorOfTheWork() async throws {
        let gate = Gate()
        let group = Group("test.async.error") { _ in
            try await gate.pass()
            throw Vain.broken
        }
        async let first = told { try await group.value(for: "a") }
        async let second = told { try await group.value(for: "a") }
        #expect(await soon { group.statistics.calls == 2 })
        gate.open()
        #expect(await [first, second] == ["broken", "broken"])
        #expect(group.statistics.failures == 1)
    }

    /// Neither the task-local values nor the priority nor the cancellation of the first caller are the work's.
    @Test func keepsTheFirstCallersContextOutOfTheWork() async throws {
        let gate = Gate()
        let group = Group("test.async.context") { _ in
            try await gate.pass()
            return Marked.mark
        }
        let first = Marked.$mark.withValue(7) { Task { await told { try await group.value(for: "a") } } }
        #expect(await soon { group.statistics.calls == 1 })
        let second = Task { await told { try await group.value(for: "a") } }
        #expect(await soon { group.statistics.calls == 2 })
        first.cancel()
        #expect(await first.value == "cancelled")
        gate.open()
        #expect(await second.value == "0")
        #expect(group.statistics.abandoned == 0)
    }

    @Test func cancelsTheWorkWhenTheLastHasLeft() async throws {
        let cancelled = Count()
        let gate = Gate()
        let group = Group("test.async.last") { _ in
            do { try await gate.pass() } catch {
                cancelled.add(1)
                throw error
            }
            return 1
        }
        let callers = (0..<3).map { _ in Task { await told { try await group.value(for: "a") } } }
        #expect(await soon { group.statistics.calls == 3 && gate.arrivals.now == 1 })
        callers[0].cancel()
        callers[1].cancel()
        #expect(await callers[0].value == "cancelled")
        #expect(await callers[1].value == "cancelled")
        #expect(cancelled.now == 0 && group.statistics.inFlight == 1)
        callers[2].cancel()
        #expect(await callers[2].value == "cancelled")
        // Whoever comes now gets a flight of its own, whatever the cancelled work still does.
        #expect(group.statistics.inFlight == 0 && group.statistics.abandoned == 1)
        gate.open()
        #expect(await told { try await group.value(for: "a") } == "1")
        #expect(await soon { cancelled.now == 1 })
    }

    @Test func asksNothingForWhoeverIsCancelledAlready() async {
        let group = Group("test.async.already") { _ in 1 }
        let gate = Gate()
        let caller = Task {
            try? await gate.pass()
            return await told { try await group.value(for: "a") }
        }
        caller.cancel()
        #expect(await caller.value == "cancelled")
        #expect(group.statistics.calls == 0)
    }

    @Test func letsOneLeaveAtItsDeadlineAndAnswersTheOther() async {
        let gate = Gate()
        let group = Group("test.async.deadline") { _ in
            try await gate.pass()
            return 5
        }
        async let patient = told { try await group.value(for: "a") }
        #expect(await soon { group.statistics.calls == 1 })
        let hasty = await told { try await group.value(for: "a", until: .inMilliseconds(5)) }
        #expect(hasty == "\(SingleFlightError.deadlineExceeded)")
        gate.open()
        #expect(await patient == "5")
        #expect(await told { try await group.value(for: "a", until: .inMilliseconds(0)) } == hasty)
        #expect(group.statistics.calls == 2, "whose deadline has passed asks nothing")
    }

    @Test func cancelsTheWorkWhoseLastCallersDeadlinePassed() async {
        let begun = Count()
        let cancelled = Count()
        let group = Group("test.async.deadline.last") { _ in
            begun.add(1)
            do { try await Gate().pass() } catch { cancelled.add(1) }
            return 1
        }
        // On a busy machine the deadline may pass before the work has begun, which then never does.
        var calls: UInt64 = 0
        repeat {
            calls += 1
            let answer = await told { try await group.value(for: "a", until: .inMilliseconds(5 * calls)) }
            #expect(answer == "\(SingleFlightError.deadlineExceeded)")
        } while begun.now == 0 && calls < 200
        #expect(await soon { cancelled.now == 1 && begun.now == 1 })
        #expect(group.statistics.abandoned == calls && group.statistics.inFlight == 0)
    }

    /// Handlers of the work's may take their time; other callers' deadlines do not wait for them.
    @Test func keepsDeadlinesWhileACancellationHandlerTakesItsTime() async {
        let release = Count()
        let begun = Count()
        let handling = Count()
        // Work that does not run meanwhile: the runtime would let it wait for its handlers.
        let waiting = Plain<CheckedContinuation<Void, Never>?>(nil)
        let stubborn = Group("test.async.stubborn") { _ in
            begun.add(1)
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in waiting.change { $0 = continuation } }
            } onCancel: {
                handling.add(1)
                _ = eventually { release.now == 1 }
            }
            return 1
        }
        var calls: UInt64 = 0
        repeat {
            calls += 1
            let answer = await told { try await stubborn.value(for: "a", until: .inMilliseconds(5 * calls)) }
            #expect(answer == "\(SingleFlightError.deadlineExceeded)")
        } while begun.now == 0 && calls < 200
        let rang = Count()
        let alarm = DeadlineTimer.Alarm(at: .inMilliseconds(1)) { rang.add(1) }
        #expect(DeadlineTimer.shared.set(alarm))
        #expect(await soon { rang.now == 1 })
        #expect(await soon { handling.now == 1 })
        release.set(1)
        #expect(await soon { waiting.now != nil })
        waiting.now?.resume()
    }

    @Test func runsAgainForWhoeverWantsALaterRequest() async {
        let gates = [Gate(), Gate()]
        let runs = Count()
        let group = Group("test.async.rerun") { _ in
            let number = runs.add(1)
            try await gates[number - 1].pass()
            return number
        }
        async let first = told { try await group.value(for: "a") }
        #expect(await soon { gates[0].arrivals.now == 1 })
        async let second = told { try await group.value(for: "a", .requestedAfterNow) }
        async let third = told { try await group.value(for: "a", .requestedAfterNow) }
        #expect(await soon { group.statistics.calls == 3 })
        #expect(runs.now == 1)
        gates[0].open()
        #expect(await first == "1")
        #expect(await soon { gates[1].arrivals.now == 1 })
        gates[1].open()
        #expect(await [second, third] == ["2", "2"])
        #expect(runs.now == 2 && group.statistics.folded == 1)
    }

    @Test func beginsTheRerunWhenTheFlightBeforeItIsAbandoned() async {
        let gate = Gate()
        let runs = Count()
        let group = Group("test.async.rerun.abandoned") { _ in
            let number = runs.add(1)
            if number == 1 { try await gate.pass() }
            return number
        }
        let first = Task { await told { try await group.value(for: "a") } }
        #expect(await soon { gate.arrivals.now == 1 })
        async let second = told { try await group.value(for: "a", .requestedAfterNow) }
        #expect(await soon { group.statistics.calls == 2 })
        first.cancel()
        #expect(await first.value == "cancelled")
        #expect(await second == "2")
    }

    @Test func refusesWhatGoesPastItsBounds() async {
        let gate = Gate()
        let group = Group("test.async.bounds", limits: FlightLimits(keys: 1, callers: 2)) { _ in
            try await gate.pass()
            return 1
        }
        async let first = told { try await group.value(for: "a") }
        async let second = told { try await group.value(for: "a") }
        #expect(await soon { group.statistics.calls == 2 })
        await #expect(throws: SingleFlightError.refused(.tooManyCallers(limit: 2))) {
            try await group.value(for: "a")
        }
        await #expect(throws: SingleFlightError.refused(.tooManyKeys(limit: 1))) { try await group.value(for: "b") }
        gate.open()
        #expect(await [first, second] == ["1", "1"])
        #expect(group.statistics.refused == 2)
        let none = Group("test.async.nobody", limits: FlightLimits(keys: 1, callers: 0)) { _ in 1 }
        await #expect(throws: SingleFlightError.refused(.tooManyCallers(limit: 0))) { try await none.value(for: "a") }
    }

    @Test func leavesNothingBehind() async {
        let live = LooseCount()
        do {
            let group = AsyncSingleFlight<Int, Counted>("test.async.nothing") { key in Counted(key, in: live) }
            for key in 0..<50 {
                let value = try? await group.value(for: key, until: .inMilliseconds(600_000))
                #expect(value?.number == key)
            }
        }
        #expect(await soon { live.now == 0 })
    }

    /// Not even where an answered call had an alarm set, nor the group itself.
    @Test(arguments: [true, false]) func isFreedWithItsGroup(hasDeadline: Bool) async {
        let groups = LooseCount()
        do {
            let counted = Counted(1, in: groups)
            let group = AsyncSingleFlight<Int, Int>("test.async.freed") { key in
                await Task.yield()
                return key + counted.number
            }
            for key in 0..<20 {
                let value = try? await group.value(for: key, until: hasDeadline ? .inMilliseconds(600_000) : nil)
                #expect(value == key + 1)
            }
        }
        #expect(await soon { groups.now == 0 })
    }
}

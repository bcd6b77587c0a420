import Testing

@testable import LockLadder

/// Whose task and whose thread does the work, and what becomes of the others when that one is cancelled.
@Suite struct FlightTaskTests {
    private typealias Group = AsyncSingleFlight<String, Int>

    private enum Marked { @TaskLocal static var mark = 0 }

    @Test func beginsOnTheThreadOfItsCaller() async {
        for task in [FlightTask.groupsOwn, .callers] {
            let group = AsyncSingleFlight<String, UInt32>("test.task.thread", task: task) { _ in CurrentThread.id }
            // On a thread where nothing moves the task in between.
            let isSame = Plain<Bool?>(nil)
            Task.immediateDetached {
                let own = CurrentThread.id
                let value = try? await group.value(for: "a")
                isSame.change { $0 = value == own }
            }
            #expect(isSame.now == true, "answered before anybody waits")
            #expect(group.statistics.flights == 1 && group.statistics.inFlight == 0)
            // Who has a deadline can be answered in time, whatever the work does before it waits.
            #expect(await told { try await group.value(for: "a", until: .inMilliseconds(600_000)) != 0 } == "true")
        }
    }

    @Test func doesTheWorkInTheCallersTask() async {
        let gate = Gate()
        let group = Group("test.task.callers", task: .callers) { _ in
            try await gate.pass()
            return Marked.mark
        }
        let first = Marked.$mark.withValue(7) { Task { await told { try await group.value(for: "a") } } }
        #expect(await soon { gate.arrivals.now == 1 })
        async let second = told { try await group.value(for: "a") }
        #expect(await soon { group.statistics.calls == 2 })
        gate.open()
        #expect(await first.value == "7")
        #expect(await second == "7", "the context of whoever does the work")
        #expect(group.statistics.flights == 1 && group.statistics.folded == 1)
    }

    /// An executor of threads of its own, one for each job.
    private final class Threads: SerialExecutor {
        let ids = Plain<Set<UInt32>>([])

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            let executor = asUnownedSerialExecutor()
            let thread = NamedThread("test-home") { [ids] in
                ids.change { _ = $0.insert(CurrentThread.id) }
                job.runSynchronously(on: executor)
            }
            precondition(thread != nil)
        }
    }

    private actor Home {
        let threads = Threads()
        nonisolated var unownedExecutor: UnownedSerialExecutor { threads.asUnownedSerialExecutor() }

        func ask(_ group: AsyncSingleFlight<String, UInt32>) async throws -> Bool {
            let worker = try await group.value(for: "a")
            return threads.ids.now.contains(worker)
        }
    }

    /// A caller's actor lends its thread to the beginning of a task of the group's, and to nothing else.
    @Test(arguments: [FlightTask.groupsOwn, .callers], [false, true])
    func worksOnItsCallersActorAtMostInTheBeginning(task: FlightTask, waits: Bool) async throws {
        let home = Home()
        let group = AsyncSingleFlight<String, UInt32>("test.task.home", task: task) { _ in
            // Not a short sleep: one that is over before the task is suspended does not suspend it.
            if waits { await Task.yield() }
            return CurrentThread.id
        }
        let isAtHome = try await home.ask(group)
        #expect(isAtHome == (task == .groupsOwn && !waits))
    }

    /// What a caller meets: a group of the ladder's, or a copy.
    private typealias Call = @Sendable (_ deadline: MonotonicTime?) async throws -> Int

    /// The first is cancelled while it works and others wait.
    private func answersWhenTheWorkerIsCancelled(
        _ gate: Gate,
        deadline: MonotonicTime?,
        _ call: @escaping Call
    ) async -> [String] {
        let first = Task { await told { try await call(nil) } }
        _ = await soon { gate.arrivals.now == 1 }
        let waiting = Count()
        let others = (0..<3).map { _ in
            Task {
                waiting.add(1)
                return await told { try await call(deadline) }
            }
        }
        _ = await soon { waiting.now == 3 }
        // Time for them to come in; whoever comes later begins a flight of its own, with the same answer.
        for _ in 0..<200 { await Task.yield() }
        first.cancel()
        var answers = [await first.value]
        _ = await soon { gate.arrivals.now > 1 || others.isEmpty }
        gate.open()
        for other in others { answers.append(await other.value) }
        return answers
    }

    /// By another caller, or by a task of the group's own when the others have deadlines.
    @Test(arguments: [false, true])
    func isDoneAnewForTheOthersWhenItsCallerIsCancelled(haveDeadlines: Bool) async {
        let gate = Gate()
        let group = Group("test.task.handover", task: .callers) { _ in
            try await gate.pass()
            return 1
        }
        let deadline: MonotonicTime? = haveDeadlines ? .inMilliseconds(900_000) : nil
        let answers = await answersWhenTheWorkerIsCancelled(gate, deadline: deadline) { deadline in
            try await group.value(for: "a", until: deadline)
        }
        #expect(answers == ["cancelled", "1", "1", "1"])
        #expect(group.statistics.inFlight == 0 && group.statistics.failures == 0)
    }

    /// The plainest copy, in which the others get whatever the first one's work ends with.
    private final class Copy: Sendable {
        private let waiting = Plain<[CheckedContinuation<Result<Int, any Error>, Never>]?>(nil)
        private let work: @Sendable () async throws -> Int

        init(_ work: @escaping @Sendable () async throws -> Int) { self.work = work }

        func value() async throws -> Int {
            let isFirst = waiting.change { waiting in
                defer { waiting = waiting ?? [] }
                return waiting == nil
            }
            guard isFirst else {
                return try await withCheckedContinuation { continuation in
                    let isLate = waiting.change { waiting in
                        waiting?.append(continuation)
                        return waiting == nil
                    }
                    if isLate { continuation.resume(returning: .success(1)) }
                }.get()
            }
            let result: Result<Int, any Error>
            do { result = .success(try await work()) } catch { result = .failure(error) }
            let others = waiting.change { waiting in
                defer { waiting = nil }
                return waiting ?? []
            }
            for other in others { other.resume(returning: result) }
            return try result.get()
        }
    }

    /// The same scene, without the protection: it is seen.
    @Test func seesWhenOneRulesTheOthers() async {
        let gate = Gate()
        let copy = Copy {
            try await gate.pass()
            return 1
        }
        let first = Task { await told { try await copy.value() } }
        #expect(await soon { gate.arrivals.now == 1 })
        let others = (0..<3).map { _ in Task { await told { try await copy.value() } } }
        for _ in 0..<200 { await Task.yield() }
        first.cancel()
        #expect(await first.value == "cancelled")
        gate.open()
        var answers: Set<String> = []
        for other in others { answers.insert(await other.value) }
        #expect(answers.contains("cancelled"))
    }

    @Test func cancelsAWholeRowOneAfterTheOther() async {
        let gate = Gate()
        let group = Group("test.task.row", task: .callers) { _ in
            try await gate.pass()
            return 1
        }
        let callers = (0..<6).map { _ in Task { await told { try await group.value(for: "a") } } }
        #expect(await soon { group.statistics.calls == 6 && gate.arrivals.now == 1 })
        for caller in callers {
            caller.cancel()
            #expect(await caller.value == "cancelled")
        }
        #expect(group.statistics.inFlight == 0 && group.statistics.abandoned == 1 && group.statistics.calls == 6)
        gate.open()
        #expect(await told { try await group.value(for: "a") } == "1")
    }

    @Test func sharesWhatACancelledCallersWorkReturns() async {
        let gate = Gate()
        let group = Group("test.task.stubborn", task: .callers) { _ in
            // Heedless of being cancelled.
            await withUnsafeContinuation { continuation in
                Task.detached {
                    try? await gate.pass()
                    continuation.resume()
                }
            }
            return Task.isCancelled ? 2 : 1
        }
        let first = Task { await told { try await group.value(for: "a") } }
        #expect(await soon { gate.arrivals.now == 1 })
        async let second = told { try await group.value(for: "a") }
        #expect(await soon { group.statistics.calls == 2 })
        first.cancel()
        gate.open()
        #expect(await first.value == "2")
        #expect(await second == "2")
        #expect(group.statistics.flights == 1 && group.statistics.abandoned == 0)
    }

    @Test func runsAgainInTheTaskOfOneWhoWantsALaterRequest() async {
        let gates = [Gate(), Gate()]
        let runs = Count()
        let group = Group("test.task.rerun", task: .callers) { _ in
            let number = runs.add(1)
            try await gates[number - 1].pass()
            return number * 10 + Marked.mark
        }
        async let first = told { try await group.value(for: "a") }
        #expect(await soon { gates[0].arrivals.now == 1 })
        let later = (0..<3).map { _ in
            Marked.$mark.withValue(5) { Task { await told { try await group.value(for: "a", .requestedAfterNow) } } }
        }
        #expect(await soon { group.statistics.calls == 4 })
        gates[0].open()
        #expect(await first == "10")
        gates[1].open()
        for caller in later { #expect(await caller.value == "25") }
        #expect(group.statistics.flights == 2 && group.statistics.folded == 2)
    }

    @Test func namesACycleInTheCallersTaskToo() async {
        let late = Plain<AsyncSingleFlight<String, String>?>(nil)
        let base = AsyncSingleFlight<String, String>("base", task: .callers) { key in
            async let back = late.now?.value(for: key)
            return try await back ?? ""
        }
        let threads = ThreadSingleFlight<String, String>("threads") { key, _ in key }
        let app = AsyncSingleFlight<String, String>("app", task: .callers) { key in
            // A thread's flight inside leaves no trace.
            _ = try threads.value(for: key)
            return try await base.value(for: key)
        }
        late.change { $0 = app }
        #expect(await told { try await app.value(for: "x") } == "app:x → base:x → app:x")
        #expect(app.statistics.inFlight == 0 && base.statistics.inFlight == 0)
        late.change { $0 = nil }
    }
}

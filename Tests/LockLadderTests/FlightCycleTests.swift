import Testing

@testable import LockLadder

/// Waits that could never end are errors that name their path, and everybody else goes on.
@Suite struct FlightCycleTests {
    private final class Late<Value: Sendable>: Sendable {
        private let value = Plain<Value?>(nil)
        func set(_ new: Value?) { value.change { $0 = new } }
        var now: Value? { value.now }
    }

    private typealias Async = AsyncSingleFlight<String, String>
    private typealias Threaded = ThreadSingleFlight<String, String>

    // MARK: One path

    @Test func namesTheFlightThatAsksForItself() async {
        let late = Late<Async>()
        let group = Async("app") { key in try await late.now?.value(for: key) ?? "" }
        late.set(group)
        #expect(await told { try await group.value(for: "x") } == "app:x → app:x")
        #expect(group.statistics.inFlight == 0)
        let onThread = Late<Threaded>()
        let threads = Threaded("app") { key, _ in try onThread.now?.value(for: key) ?? "" }
        onThread.set(threads)
        for deadline in [nil, MonotonicTime.inMilliseconds(60_000)] {
            #expect(toldNow { try threads.value(for: "x", until: deadline) } == "app:x → app:x")
        }
        late.set(nil)
        onThread.set(nil)
    }

    @Test func namesTheWholePathThroughOtherGroups() async {
        let late = Late<Async>()
        let base = Async("base") { key in try await late.now?.value(for: key) ?? "" }
        let layer = Async("layer") { key in
            // Through a child task too.
            async let below = base.value(for: key)
            return try await below
        }
        let app = Async("app") { key in try await layer.value(for: key) }
        late.set(app)
        #expect(await told { try await app.value(for: "x") } == "app:x → layer:x → base:x → app:x")
        late.set(nil)
    }

    @Test func namesTheRerunThatWouldFollowItsOwnFlight() async {
        let late = Late<Async>()
        let group = Async("app") { key in try await late.now?.value(for: key, .requestedAfterNow) ?? "" }
        late.set(group)
        #expect(await told { try await group.value(for: "x") } == "app:x → app:x")
        #expect(group.statistics.inFlight == 0 && group.statistics.flights == 1)
        late.set(nil)
    }

    @Test func letsNestedCallsWithoutACyclePass() async {
        let late = Late<Async>()
        let group = Async("test.cycle.none") { key in
            guard key.count > 1 else { return key }
            return try await (late.now?.value(for: String(key.dropLast())) ?? "") + key
        }
        late.set(group)
        #expect(await told { try await group.value(for: "abc") } == "aababc")
        late.set(nil)
    }

    /// A thread's flight in a task's, and a task's begun on the spot in a thread's, in groups that number alike.
    @Test func tellsTheInnermostFlightOfAThread() async {
        let late = Late<Async>()
        let inner = Threaded("inner") { key, _ in
            // Not the thread's work, but what it lends its stack to.
            let answer = Plain("")
            Task.immediateDetached {
                let told = await told { try await late.now?.value(for: key) ?? "" }
                answer.change { $0 = told }
            }
            return answer.now
        }
        let leaf = Async("leaf") { _ in CurrentFlight.node?.label ?? "none" }
        late.set(leaf)
        let app = Async("app") { key in
            let own = CurrentFlight.node?.label ?? "none"
            return own + " " + (try inner.value(for: key)) + " " + (CurrentFlight.node?.label ?? "none")
        }
        #expect(await told { try await app.value(for: "x") } == "app:x leaf:x app:x")
        #expect(CurrentFlight.isNone)
        late.set(nil)
    }

    // MARK: Two who meet

    /// Two flights, begun by different callers, that come to wait for one another.
    @Test(arguments: [true, false])
    func breaksACycleThatTwoCallersCloseTogether(hasFallback: Bool) async {
        let late = Late<Async>()
        let arrivals = Count()
        @Sendable func meet(_ other: Async?, _ key: String) async throws -> String {
            arrivals.add(1)
            _ = await soon { arrivals.now == 2 }
            do { return try await (other?.value(for: key) ?? "") + "+" } catch let error as SingleFlightError {
                guard hasFallback else { throw error }
                return "fallback"
            }
        }
        let right = Async("right") { key in try await meet(late.now, key) }
        let left = Async("left") { key in try await meet(right, key) }
        late.set(left)
        async let one = told { try await left.value(for: "x") }
        async let two = told { try await right.value(for: "x") }
        let answers = await [one, two]
        if hasFallback {
            #expect(answers.sorted() == ["fallback", "fallback+"])
        } else {
            #expect(answers[0] == answers[1])
            #expect(["left:x → right:x → left:x", "right:x → left:x → right:x"].contains(answers[0]))
        }
        late.set(nil)
    }

    // MARK: Any graph

    /// What each key needs: a random graph. A value can be had exactly when no cycle is within reach.
    private struct Needs: Sendable {
        let needs: [[Int]]
        let isVain: [Bool]

        init(keys: Int, edges: Int, seed: UInt64) {
            var random = SplitMix(seed: seed)
            var needs = [[Int]](repeating: [], count: keys)
            for _ in 0..<edges {
                needs[.random(in: 0..<keys, using: &random)].append(.random(in: 0..<keys, using: &random))
            }
            self.needs = needs
            // Peel off what needs nothing that is left.
            var isVain = [Bool](repeating: true, count: keys)
            for _ in 0..<keys {
                for key in 0..<keys where isVain[key] && needs[key].allSatisfy({ !isVain[$0] }) { isVain[key] = false }
            }
            self.isVain = isVain
        }

        /// What is wrong with an answer for `key`.
        func finding(_ key: Int, _ answer: Result<Int, any Error>) -> String? {
            switch answer {
            case .success(let value): return isVain[key] || value != key ? "\(key): \(value)" : nil
            case .failure(SingleFlightError.cycle(let path)):
                guard isVain[key] else { return "\(key): needless error \(path)" }
                let steps = path.compactMap { Int($0.split(separator: ":")[1]) }
                let isClosed = steps.count > 1 && steps.first == steps.last
                let holds = zip(steps, steps.dropFirst()).allSatisfy { needs[$0].contains($1) || $0 == $1 }
                return isClosed && holds ? nil : "\(key): no cycle \(path)"
            case .failure(let error): return "\(key): \(error)"
            }
        }
    }

    @Test(arguments: [51, 52, 53, 54] as [UInt64])
    func breaksEveryCycleOfAnyGraphOnThreads(seed: UInt64) throws {
        typealias Group = ThreadSingleFlight<Int, Int>
        let findings = Findings()
        let cycles = LooseCount()
        let values = LooseCount()
        for round in 0..<12 {
            let needs = Needs(keys: 10, edges: 9, seed: seed << 8 | UInt64(round))
            let late = Late<Group>()
            let group = Group("graph", threads: 64) { key, _ in
                for need in needs.needs[key] { _ = try late.now?.value(for: need) }
                return key
            }
            late.set(group)
            try onThreads(6) { index in
                var random = SplitMix(seed: seed << 16 | UInt64(round << 8 | index))
                for _ in 0..<12 {
                    let key = Int.random(in: 0..<10, using: &random)
                    let isBound = Bool.random(using: &random)
                    let isFresh = Int.random(in: 0..<4, using: &random) == 0
                    let answer = Result {
                        try group.value(
                            for: key,
                            isFresh ? .requestedAfterNow : .shared,
                            until: isBound ? .inMilliseconds(120_000) : nil
                        )
                    }
                    if case .success = answer { values.add(1) } else { cycles.add(1) }
                    if let finding = needs.finding(key, answer) { findings.note(finding) }
                }
            }
            findings.expect(group.statistics.inFlight == 0, "flights are left")
            late.set(nil)
        }
        #expect(findings.all == [])
        #expect(cycles.now > 20 && values.now > 20)
    }

    @Test(arguments: [61, 62, 63, 64] as [UInt64])
    func breaksEveryCycleOfAnyGraphInTasks(seed: UInt64) async {
        typealias Group = AsyncSingleFlight<Int, Int>
        let findings = Findings()
        let cycles = LooseCount()
        let values = LooseCount()
        for round in 0..<12 {
            let needs = Needs(keys: 10, edges: 9, seed: seed << 8 | UInt64(round))
            let late = Late<Group>()
            let group = Group("graph") { key in
                // All needs at once, in child tasks.
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for need in needs.needs[key] { tasks.addTask { _ = try await late.now?.value(for: need) } }
                    try await tasks.waitForAll()
                }
                return key
            }
            late.set(group)
            await withTaskGroup(of: Void.self) { tasks in
                for index in 0..<40 {
                    tasks.addTask {
                        let answer: Result<Int, any Error>
                        let freshness: FlightFreshness = index % 4 == 0 ? .requestedAfterNow : .shared
                        do { answer = .success(try await group.value(for: index % 10, freshness)) } catch {
                            answer = .failure(error)
                        }
                        if case .success = answer { values.add(1) } else { cycles.add(1) }
                        if let finding = needs.finding(index % 10, answer) { findings.note(finding) }
                    }
                }
            }
            let isOver = await soon { group.statistics.inFlight == 0 }
            findings.expect(isOver, "flights are left")
            late.set(nil)
        }
        #expect(findings.all == [])
        #expect(cycles.now > 20 && values.now > 20)
    }

    // MARK: Controls

    /// With the flight forgotten on the way, the same call waits for itself until its deadline.
    @Test func waitsForItselfWithoutTheGraph() {
        let late = Late<Threaded>()
        let group = Threaded("test.cycle.control") { key, _ in
            try FlightFrame.outside {
                try late.now?.value(for: key, until: .inMilliseconds(30)) ?? ""
            }
        }
        late.set(group)
        #expect(toldNow { try group.value(for: "x") } == "\(SingleFlightError.deadlineExceeded)")
        late.set(nil)
    }

    /// Whoever is not inside a flight never comes near the graph's lock.
    @Test func costsNothingWhereNobodyNests() {
        let other = KeyedFlightNode(group: "test.cycle.free", key: 0)
        #expect(CurrentFlight.isNone)
        let entered = LooseCount()
        let group = Threaded("test.cycle.free") { key, _ in
            if CurrentFlight.node?.targets.isEmpty == false { entered.add(1) }
            return key
        }
        for index in 0..<100 { #expect(toldNow { try group.value(for: "\(index % 3)") } == "\(index % 3)") }
        #expect(entered.now == 0)
        // What is entered is taken out, and a wait of a flight that is over closes no cycle.
        let node = KeyedFlightNode(group: "test.cycle.free", key: 1)
        let wait = FlightGraph.Wait(waiter: node, target: other, behind: nil)
        let back = FlightGraph.Wait(waiter: other, target: node, behind: nil)
        #expect(throws: Never.self) { try FlightGraph.enter(wait) }
        #expect(throws: SingleFlightError.self) { try FlightGraph.enter(back) }
        #expect(node.targets.count == 1 && other.targets.isEmpty)
        node.end(isCancelled: false)
        #expect(throws: Never.self) { try FlightGraph.enter(back) }
        FlightGraph.leave(wait)
        FlightGraph.leave(back)
        #expect(node.targets.isEmpty && other.targets.isEmpty)
    }
}

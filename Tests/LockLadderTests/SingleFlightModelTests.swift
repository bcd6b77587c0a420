import Testing

@testable import LockLadder

/// Random schedules against the plainest model, and from many threads at once.
@Suite struct SingleFlightModelTests {
    private typealias Group = SingleFlight<Int, UInt64>

    // MARK: One thread, everything known

    /// What the group tells, or what the model says that it should.
    private enum Event: Hashable, Sendable, CustomStringConvertible {
        case begin(key: Int, freshness: Group.Freshness)
        case cancel(flight: Int)
        case deliver(caller: Int, value: UInt64)

        var description: String {
            switch self {
            case .begin(let key, let freshness): "begin \(key) \(freshness)"
            case .cancel(let flight): "cancel \(flight)"
            case .deliver(let caller, let value): "deliver \(value) to \(caller)"
            }
        }
    }

    /// One flight at a time for each key; flights are numbered in the order in which they begin.
    private struct Model {
        struct Entry {
            var flight: Int
            var hasDeparted = false
            var callers: [Int]
            var rerun: [Int] = []
        }

        var entries: [Int: Entry] = [:]
        var events: [Event] = []
        var statistics = Group.Statistics()
        private var flights = 0

        private mutating func begin(_ key: Int, _ freshness: Group.Freshness, callers: [Int]) {
            entries[key] = Entry(flight: flights, callers: callers)
            flights += 1
            statistics.flights += 1
            events.append(.begin(key: key, freshness: freshness))
        }

        /// `nil`: refused.
        mutating func join(_ key: Int, _ freshness: Group.Freshness, caller: Int, limits: Group.Limits) -> Bool? {
            guard var entry = entries[key] else {
                guard entries.count < limits.keys else {
                    statistics.refused += 1
                    return nil
                }
                statistics.calls += 1
                begin(key, freshness, callers: [caller])
                return false
            }
            guard entry.callers.count + entry.rerun.count < limits.callers else {
                statistics.refused += 1
                return nil
            }
            let isLate = freshness == .requestedAfterNow && entry.hasDeparted
            let isFolded = !isLate || !entry.rerun.isEmpty
            if isLate { entry.rerun.append(caller) } else { entry.callers.append(caller) }
            entries[key] = entry
            statistics.calls += 1
            if isFolded { statistics.folded += 1 }
            return isFolded
        }

        private func key(of flight: Int) -> Int? { entries.first { $0.value.flight == flight }?.key }

        mutating func depart(_ flight: Int) -> Bool {
            guard let key = key(of: flight) else { return false }
            entries[key]?.hasDeparted = true
            return true
        }

        mutating func land(_ flight: Int, with value: UInt64, isFailure: Bool) {
            guard let key = key(of: flight), let entry = entries.removeValue(forKey: key) else { return }
            if isFailure { statistics.failures += 1 }
            events += entry.callers.map { .deliver(caller: $0, value: value) }
            if !entry.rerun.isEmpty { begin(key, .requestedAfterNow, callers: entry.rerun) }
        }

        mutating func leave(_ caller: Int) {
            for (key, var entry) in entries {
                entry.callers.removeAll { $0 == caller }
                entry.rerun.removeAll { $0 == caller }
                entries[key] = entry
                guard entry.callers.isEmpty else { continue }
                entries[key] = nil
                statistics.abandoned += 1
                events.append(.cancel(flight: entry.flight))
                if !entry.rerun.isEmpty { begin(key, .requestedAfterNow, callers: entry.rerun) }
            }
        }

        var expected: Group.Statistics {
            var expected = statistics
            expected.inFlight = entries.count
            return expected
        }
    }

    @Test(arguments: [11, 12, 13, 14] as [UInt64])
    func doesWhatTheModelDoes(seed: UInt64) {
        let limits = Group.Limits(keys: 3, callers: 5)
        let flights = Plain<[Group.Flight]>([])
        let events = Plain<[Event]>([])
        let group = Group(
            "test.flight.model",
            limits: limits,
            begin: { flight, freshness in
                flights.change { $0.append(flight) }
                events.change { $0.append(.begin(key: flight.key, freshness: freshness)) }
            },
            cancel: { flight in
                let number = flights.now.firstIndex(of: flight) ?? -1
                events.change { $0.append(.cancel(flight: number)) }
            },
            isFailure: { $0 % 3 == 0 }
        )
        var model = Model()
        var tickets: [(caller: Int, ticket: Group.Ticket)] = []
        var random = SplitMix(seed: seed)
        for step in 0..<4_000 {
            let flown = flights.now
            // The newest flights mostly, but old ones too: those are to be ignored.
            let oldest = Bool.random(using: &random) ? 0 : max(0, flown.count - 4)
            let chosen = flown.isEmpty ? nil : Int.random(in: oldest..<flown.count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                let key = Int.random(in: 0..<4, using: &random)
                let freshness: Group.Freshness = Bool.random(using: &random) ? .shared : .requestedAfterNow
                let ticket = try? group.join(key, freshness) { value in
                    events.change { $0.append(.deliver(caller: step, value: value)) }
                }
                let isFolded = model.join(key, freshness, caller: step, limits: limits)
                #expect(ticket?.isFolded == isFolded)
                if let ticket { tickets.append((step, ticket)) }
            case 3, 4:
                if let chosen { #expect(group.depart(flown[chosen]) == model.depart(chosen)) }
            case 5, 6:
                if let chosen {
                    group.land(flown[chosen], with: UInt64(step))
                    model.land(chosen, with: UInt64(step), isFailure: step % 3 == 0)
                }
            default:
                let first = max(0, tickets.count - 4)
                guard let (caller, ticket) = tickets[first...].randomElement(using: &random) else { break }
                group.leave(ticket)
                model.leave(caller)
            }
            guard events.now == model.events, group.statistics == model.expected else {
                Issue.record("step \(step): \(events.now) instead of \(model.events)")
                return
            }
            events.change { $0.removeAll() }
            model.events.removeAll()
        }
        #expect(group.statistics.flights > 200 && group.statistics.abandoned > 50)
        #expect(group.statistics.folded > 200 && group.statistics.refused > 20)
    }

    // MARK: Eight threads

    /// One caller's part, in the order of a counter that all threads share.
    private final class Call: Sendable {
        let key: Int
        let freshness: Group.Freshness
        let joinBegan: Int
        let answers = Count()
        let answeredBy = Plain<UInt64>(0)
        let leaveBegan = Count()
        let leaveEnded = Count()

        init(key: Int, freshness: Group.Freshness, joinBegan: Int) {
            self.key = key
            self.freshness = freshness
            self.joinBegan = joinBegan
        }
    }

    /// What happened to one flight.
    private struct Fate: Sendable {
        var key: Int
        var begins = 0
        var cancels = 0
        var departEnded: Int?
        var landBegan: Int?
    }

    private final class Airport: Sendable {
        let clock = Count()
        let fates = Plain<[UInt64: Fate]>([:])
        let runway = Plain<[Group.Flight]>([])
        let calls = Plain<[Call]>([])
        let findings = Findings()
        let group: Group

        init() {
            let fates = fates
            let runway = runway
            group = Group(
                "test.flight.storm",
                begin: { flight, _ in
                    fates.change { $0[flight.id, default: Fate(key: flight.key)].begins += 1 }
                    runway.change { $0.append(flight) }
                },
                cancel: { flight in fates.change { $0[flight.id, default: Fate(key: flight.key)].cancels += 1 } },
                isFailure: { $0 % 5 == 0 }
            )
        }

        var tick: Int { clock.add(1) }

        func join(_ key: Int, _ freshness: Group.Freshness) -> (Call, Group.Ticket)? {
            let call = Call(key: key, freshness: freshness, joinBegan: tick)
            calls.change { $0.append(call) }
            let ticket = try? group.join(key, freshness) { value in
                call.answeredBy.change { $0 = value }
                call.answers.add(1)
            }
            guard let ticket else {
                findings.note("refused")
                return nil
            }
            return (call, ticket)
        }

        func leave(_ call: Call, _ ticket: Group.Ticket) {
            call.leaveBegan.set(tick)
            group.leave(ticket)
            call.leaveEnded.set(tick)
        }

        /// Moves one flight on: it departs, or lands. `false`: there was none.
        func work(_ random: inout SplitMix) -> Bool {
            let flight = runway.change { runway -> Group.Flight? in
                guard !runway.isEmpty else { return nil }
                return runway.remove(at: Int.random(in: 0..<runway.count, using: &random))
            }
            guard let flight else { return false }
            if fates.now[flight.id]?.departEnded == nil, Int.random(in: 0..<8, using: &random) > 0 {
                guard group.depart(flight) else { return true }
                let end = tick
                fates.change { $0[flight.id]?.departEnded = end }
                runway.change { $0.append(flight) }
            } else {
                let start = tick
                fates.change { $0[flight.id]?.landBegan = start }
                group.land(flight, with: flight.id)
            }
            return true
        }

        /// Says what is wrong with one call after everything is over.
        func finding(_ call: Call, _ fates: [UInt64: Fate]) -> String? {
            let answers = call.answers.now
            if answers > 1 { return "answered \(answers) times" }
            guard answers == 1 else { return call.leaveBegan.now == 0 ? "never answered, and never left" : nil }
            guard let fate = fates[call.answeredBy.now], let landBegan = fate.landBegan else { return "by no flight" }
            if fate.key != call.key { return "answered by the flight of another key" }
            if call.leaveEnded.now > 0, call.leaveEnded.now < landBegan { return "answered after having left" }
            if call.freshness == .requestedAfterNow, let departed = fate.departEnded, departed < call.joinBegan {
                return "answered by a request that had left before"
            }
            return nil
        }
    }

    @Test(arguments: [21, 22, 23] as [UInt64])
    func answersEachCallerOnceWhateverEightThreadsDo(seed: UInt64) throws {
        let airport = Airport()
        try onThreads(8) { index in
            var random = SplitMix(seed: seed << 8 | UInt64(index))
            var mine: [(Call, Group.Ticket)] = []
            for _ in 0..<1_500 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0...3:
                    let freshness: Group.Freshness = Bool.random(using: &random) ? .shared : .requestedAfterNow
                    if let call = airport.join(Int.random(in: 0..<3, using: &random), freshness) { mine.append(call) }
                case 4, 5:
                    guard !mine.isEmpty else { break }
                    // Mostly one that waits still.
                    let recent = max(0, mine.count - 3)
                    let (call, ticket) = mine.remove(at: Int.random(in: recent..<mine.count, using: &random))
                    airport.leave(call, ticket)
                default:
                    _ = airport.work(&random)
                }
            }
        }
        // What is still on its way lands; reruns follow.
        var random = SplitMix(seed: seed)
        while airport.work(&random) {}
        let fates = airport.fates.now
        let calls = airport.calls.now
        for call in calls {
            if let finding = airport.finding(call, fates) { airport.findings.note(finding) }
        }
        for (_, fate) in fates {
            airport.findings.expect(fate.begins == 1, "a flight that began \(fate.begins) times")
            airport.findings.expect(fate.cancels <= 1, "a flight cancelled \(fate.cancels) times")
            if fate.landBegan == nil { airport.findings.expect(fate.cancels == 1, "a flight without an end") }
        }
        #expect(airport.findings.all == [])
        let figures = airport.group.statistics
        #expect(figures.inFlight == 0)
        #expect(figures.calls == UInt64(calls.count))
        #expect(figures.flights == UInt64(fates.count))
        #expect(figures.abandoned == UInt64(fates.count { $0.value.cancels == 1 }))
        let landed = fates.filter { $0.value.cancels == 0 }
        #expect(figures.failures == UInt64(landed.count { $0.key % 5 == 0 }))
        #expect(figures.refused == 0)
        // The schedule was worth something: callers were answered, left, and shared.
        #expect(calls.contains { $0.answers.now == 1 } && calls.contains { $0.answers.now == 0 })
        #expect(figures.folded > 100 && figures.abandoned > 10)
    }

    /// Many threads want one thing at once: one flight for all of them.
    @Test func foldsEightThreadsIntoOneFlight() throws {
        let begun = Plain<[Group.Flight]>([])
        let group = Group(
            "test.flight.crowd",
            begin: { flight, _ in begun.change { $0.append(flight) } },
            cancel: { _ in },
            isFailure: { _ in false }
        )
        let answers = Count()
        let folded = Count()
        try onThreads(8) { _ in
            for _ in 0..<250 {
                let ticket = try? group.join(0, .shared) { value in answers.add(Int(value)) }
                if ticket?.isFolded == true { folded.add(1) }
            }
        }
        #expect(begun.now.count == 1)
        #expect(folded.now == 1_999)
        group.land(begun.now[0], with: 1)
        #expect(answers.now == 2_000)
        #expect(group.statistics.calls == 2_000 && group.statistics.folded == 1_999 && group.statistics.flights == 1)
    }
}

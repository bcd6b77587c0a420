import Testing

@testable import LockLadder

/// The state machine of single-flight and plain copies of it with one protection removed: the very checks that pass
/// the first catch each of the others.
@Suite struct FlightControlTests {
    enum Fault: String, CaseIterable, Sendable, Codable {
        case none
        /// A landing ends whatever flight there is for its key.
        case removalByKey
        /// The last one who leaves cancels the flight, but it can still be joined.
        case cancelledFlightStays
        /// Whoever wants a later request shares the one that has left.
        case departureForgotten
        /// Who has left is answered nevertheless.
        case leaverStays
        /// A landing forgets those who wait for the rerun.
        case rerunForgotten
        /// Callers beyond the bound are taken.
        case unbounded
    }

    /// What the checks need of a group. Values are the ids of the flights that made them.
    private struct Machine {
        struct Joined {
            var ticket: Int
            /// The flight to begin.
            var begun: Int?
        }

        /// `nil`: refused.
        var join: (_ key: Int, _ isFresh: Bool, _ caller: Int) -> Joined?
        var depart: (_ flight: Int) -> Bool
        /// Who is answered, and the flight to begin.
        var land: (_ flight: Int) -> (answered: [Int], begun: Int?)
        var leave: (_ ticket: Int) -> (cancelled: Int?, begun: Int?)
    }

    private static let limit = 4

    /// The machine of the ladder.
    private static func real() -> Machine {
        typealias Table = FlightTable<Int, Int, Int>
        let table = Box(Table(limits: FlightLimits(keys: 16, callers: limit)) { Int($0.id) })
        let tickets = Box<[FlightTicket<Int>]>([])
        let flights = Box<[Int: KeyedFlight<Int>]>([:])
        func note(_ run: Table.Run?) -> Int? {
            guard let run else { return nil }
            flights.value[run.context] = run.flight
            return run.context
        }
        return Machine(
            join: { key, isFresh, caller in
                guard let boarding = try? table.value.join(key, isFresh ? .requestedAfterNow : .shared, caller).get()
                else { return nil }
                tickets.value.append(boarding.ticket)
                return .init(
                    ticket: tickets.value.count - 1,
                    begun: boarding.isToBegin ? note(boarding.run) : nil
                )
            },
            depart: { flight in flights.value[flight].map { table.value.depart($0) } ?? false },
            land: { flight in
                guard let flight = flights.value[flight], let landing = table.value.land(flight, isFailure: false)
                else { return ([], nil) }
                return (Array(landing.waiters.all), note(landing.next))
            },
            leave: { ticket in
                let leaving = table.value.leave(tickets.value[ticket])
                return (leaving.abandoned?.context, note(leaving.next))
            }
        )
    }

    private final class Box<Value> {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    /// The plainest copy that is right, and the ways of getting it wrong.
    private final class Copy {
        struct Entry {
            var flight: Int
            var hasDeparted = false
            var callers: [(ticket: Int, caller: Int)] = []
            var rerun: [(ticket: Int, caller: Int)] = []
        }

        let fault: Fault
        var entries: [Int: Entry] = [:]
        var keys: [Int] = []
        var tickets: [Int] = []

        init(_ fault: Fault) { self.fault = fault }

        func begin(_ key: Int, _ callers: [(ticket: Int, caller: Int)]) -> Int {
            keys.append(key)
            entries[key] = Entry(flight: keys.count - 1, callers: callers)
            return keys.count - 1
        }

        func join(_ key: Int, _ isFresh: Bool, _ caller: Int) -> Machine.Joined? {
            guard var entry = entries[key] else {
                tickets.append(key)
                return .init(ticket: tickets.count - 1, begun: begin(key, [(tickets.count - 1, caller)]))
            }
            let isFull = entry.callers.count + entry.rerun.count >= FlightControlTests.limit
            if isFull, fault != .unbounded { return nil }
            tickets.append(key)
            let place = (tickets.count - 1, caller)
            let isLate = isFresh && entry.hasDeparted && fault != .departureForgotten
            if isLate { entry.rerun.append(place) } else { entry.callers.append(place) }
            entries[key] = entry
            return .init(ticket: tickets.count - 1, begun: nil)
        }

        func depart(_ flight: Int) -> Bool {
            guard entries[keys[flight]]?.flight == flight else { return false }
            entries[keys[flight]]?.hasDeparted = true
            return true
        }

        func end(_ entry: Entry, _ key: Int) -> Int? {
            entries[key] = nil
            return entry.rerun.isEmpty || fault == .rerunForgotten ? nil : begin(key, entry.rerun)
        }

        func land(_ flight: Int) -> ([Int], Int?) {
            let key = keys[flight]
            guard let entry = entries[key], entry.flight == flight || fault == .removalByKey else { return ([], nil) }
            return (entry.callers.map(\.caller), end(entry, key))
        }

        func leave(_ ticket: Int) -> (Int?, Int?) {
            let key = tickets[ticket]
            guard var entry = entries[key] else { return (nil, nil) }
            let before = entry.callers.count
            if fault != .leaverStays { entry.callers.removeAll { $0.ticket == ticket } }
            entry.rerun.removeAll { $0.ticket == ticket }
            entries[key] = entry
            guard entry.callers.isEmpty, before > 0 else { return (nil, nil) }
            if fault == .cancelledFlightStays { return (entry.flight, nil) }
            return (entry.flight, end(entry, key))
        }
    }

    private static func machine(_ fault: Fault) -> Machine {
        let copy = Copy(fault)
        return Machine(join: copy.join, depart: copy.depart, land: copy.land, leave: copy.leave)
    }

    // MARK: The checks

    /// What is known of everything that happened, and what is wrong with it.
    private struct Checks {
        struct Caller {
            let key: Int
            let ticket: Int
            let isFresh: Bool
            let joined: Int
            var isWaiting = true
        }

        struct Flight {
            let key: Int
            var departed: Int?
            var isCancelled = false
        }

        let machine: Machine
        var random: SplitMix
        var callers: [Caller] = []
        var flights: [Int: Flight] = [:]
        /// In the order of their beginning.
        var order: [Int] = []
        var time = 0
        var findings: [String] = []

        mutating func begin(_ id: Int?, _ key: Int) {
            guard let id else { return }
            if flights[id] != nil { findings.append("a flight that began twice") }
            flights[id] = Flight(key: key)
            order.append(id)
        }

        mutating func join() {
            let key = Int.random(in: 0..<3, using: &random)
            let isFresh = Bool.random(using: &random)
            let waiting = callers.count { $0.key == key && $0.isWaiting }
            guard let joined = machine.join(key, isFresh, callers.count) else {
                if waiting < FlightControlTests.limit { findings.append("refused although there was room") }
                return
            }
            if waiting >= FlightControlTests.limit { findings.append("taken although there was no room") }
            callers.append(Caller(key: key, ticket: joined.ticket, isFresh: isFresh, joined: time))
            begin(joined.begun, key)
        }

        mutating func land(_ id: Int) {
            guard let flight = flights[id] else { return }
            let (answered, next) = machine.land(id)
            for caller in answered {
                if !callers[caller].isWaiting { findings.append("answered twice, or after having left") }
                if callers[caller].key != flight.key { findings.append("answered with another key") }
                if flight.isCancelled { findings.append("answered by a cancelled flight") }
                if callers[caller].isFresh, let departed = flight.departed, departed < callers[caller].joined {
                    findings.append("answered by a request that had left")
                }
                callers[caller].isWaiting = false
            }
            begin(next, flight.key)
        }

        mutating func leave() {
            let recent = max(0, callers.count - 5)
            guard let caller = (recent..<callers.count).randomElement(using: &random) else { return }
            callers[caller].isWaiting = false
            let (cancelled, next) = machine.leave(callers[caller].ticket)
            if let cancelled { flights[cancelled]?.isCancelled = true }
            begin(next, callers[caller].key)
        }

        mutating func step() {
            time += 1
            // Cancelled ones too: their work comes to its end some time.
            let flight = order.suffix(6).randomElement(using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...2: join()
            case 3, 4: leave()
            case 5:
                if let flight, machine.depart(flight), flights[flight]?.departed == nil {
                    flights[flight]?.departed = time
                }
            default: if let flight { land(flight) }
            }
        }

        /// Everything lands: nobody may be left over.
        mutating func finish() {
            var next = 0
            while next < order.count, order.count < 100_000 {
                if flights[order[next]]?.isCancelled == false { land(order[next]) }
                next += 1
            }
            if callers.contains(where: \.isWaiting) { findings.append("never answered") }
        }
    }

    private func findings(_ machine: Machine, seed: UInt64) -> Set<String> {
        var checks = Checks(machine: machine, random: SplitMix(seed: seed))
        for _ in 0..<3_000 { checks.step() }
        checks.finish()
        return Set(checks.findings)
    }

    @Test(arguments: [101, 102, 103] as [UInt64])
    func findNothingWrongWithTheLadders(seed: UInt64) {
        #expect(findings(Self.real(), seed: seed) == [])
    }

    @Test(arguments: Fault.allCases)
    func catchEachFault(fault: Fault) {
        let found = findings(Self.machine(fault), seed: 101)
        #expect(found.isEmpty == (fault == .none), "\(found)")
    }

    // MARK: The list of waiters

    /// Against a plain array, a crowd that leaves included.
    @Test(arguments: [111, 112] as [UInt64])
    func keepsWaitersInOrder(seed: UInt64) {
        var list = WaiterList<Int>()
        var reference: [UInt64] = []
        var random = SplitMix(seed: seed)
        for id in 1...3_000 as ClosedRange<UInt64> {
            list.append(Int(id), id: id)
            reference.append(id)
            let leavers = id % 500 == 0 ? reference.count : Int.random(in: 0...1, using: &random)
            for _ in 0..<leavers {
                let id = UInt64.random(in: 1...id, using: &random)
                let expected = reference.contains(id) ? Int(id) : nil
                reference.removeAll { $0 == id }
                #expect(list.take(id) == expected)
                #expect(list.take(id) == nil)
            }
            #expect(list.count == reference.count && list.isEmpty == reference.isEmpty)
        }
        #expect(Array(list.all) == reference.map { Int($0) })
    }
}

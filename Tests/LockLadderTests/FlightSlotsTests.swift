import Testing

@testable import LockLadder

/// The table of flights against a dictionary, and what outlives a flight against a later one in its place.
@Suite struct FlightSlotsTests {
    /// A key whose hash may say next to nothing.
    private struct Name: Hashable, Sendable {
        let number: Int
        /// How many different hashes there are.
        let spread: Int

        func hash(into hasher: inout Hasher) { hasher.combine(number % spread) }
    }

    enum Fault: String, CaseIterable, Sendable, Codable {
        case none
        /// A key is found by its hash alone.
        case hashForKey
        /// A place that is given up is still found.
        case staysAfterRemoval
        /// Two keys get one place.
        case placeTwice
    }

    /// Random steps, told apart from what a dictionary says.
    private static func findings(_ fault: Fault, seed: UInt64, keys: Int, spread: Int) -> Set<String> {
        var slots = FlightSlots<Name, Int>(blank: 0)
        var reference: [Name: Int] = [:]
        var places: [Name: Int] = [:]
        var given: [Name: Int] = [:]
        var findings: Set<String> = []
        var random = SplitMix(seed: seed)
        func place(of key: Name) -> Int? {
            let known = given.first { $0.key.hashValue == key.hashValue }?.value
            if fault == .hashForKey { return slots.place(of: key) ?? known }
            if fault == .staysAfterRemoval { return slots.place(of: key) ?? given[key] }
            return slots.place(of: key)
        }
        for step in 1...6_000 {
            // Waves, so that it fills, and is empty from time to time.
            let isFilling = step / 200 % 2 == 0
            let key = Name(number: .random(in: 0..<keys, using: &random), spread: spread)
            let found = place(of: key)
            if found != places[key] { findings.insert("found at another place, or found in vain") }
            if let found, slots.count > 0, slots[found] != reference[key] { findings.insert("another entry") }
            if found == nil, isFilling {
                let new = fault == .placeTwice ? places.values.first ?? slots.insert(key) : slots.insert(key)
                if slots[new] != 0 { findings.insert("a place that is taken") }
                if places.values.contains(new) { findings.insert("one place for two") }
                slots[new] = step
                reference[key] = step
                places[key] = new
                given[key] = new
            } else if !isFilling, let found = slots.place(of: key) {
                slots[found] = 0
                if slots.remove(at: found) != key { findings.insert("another key") }
                reference[key] = nil
                places[key] = nil
            }
            if fault != .placeTwice, slots.count != reference.count { findings.insert("another number of them") }
        }
        return findings
    }

    @Test(arguments: [201, 202, 203] as [UInt64], [(3, 3), (40, 40), (300, 300), (300, 1), (300, 7)])
    func findsWhatADictionaryFinds(seed: UInt64, size: (keys: Int, spread: Int)) {
        #expect(Self.findings(.none, seed: seed, keys: size.keys, spread: size.spread) == [])
    }

    @Test(arguments: Fault.allCases)
    func catchesEachFault(fault: Fault) {
        let found = Self.findings(fault, seed: 201, keys: 300, spread: 7)
        #expect(found.isEmpty == (fault == .none), "\(found)")
    }

    /// Once empty it takes no more than in the beginning.
    @Test func beginsAgainWhenEmpty() {
        var slots = FlightSlots<Int, Int>(blank: 0)
        var places: [Int] = []
        for key in 0..<1_000 { places.append(slots.insert(key)) }
        #expect(Set(places).count == 1_000 && !slots.buckets.isEmpty)
        for place in places { _ = slots.remove(at: place) }
        #expect(slots.count == 0 && slots.slots.isEmpty && slots.buckets.isEmpty)
        #expect(slots.place(of: 5) == nil)
        let place = slots.insert(5)
        #expect(place == 0 && slots.place(of: 5) == 0)
    }

    // MARK: What outlives a flight

    @Test func tellsALateComerNothingOfALaterFlight() throws {
        typealias Table = FlightTable<Int, Int, Int>
        var table = Table(limits: FlightLimits(keys: 4, callers: 4)) { Int($0.id) }
        let begun = table.beginAlone(1, 0)
        let first = try #require(begun)
        let early = table.context(of: first.id, at: first.place)
        #expect(early == Int(first.id))
        let isOver = table.landAlone(first, isFailure: false, endsContext: true)
        #expect(isOver)
        let begunLater = table.beginAlone(2, 0)
        let second = try #require(begunLater)
        let later = table.context(of: second.id, at: second.place)
        #expect(later == Int(second.id))
        let late = first.flight(1)
        let hasContext = table.context(of: first.id, at: first.place) != nil
        let hasDeparted = table.depart(late)
        let hasLanded = table.land(late, isFailure: true) != nil
        let isChanged = table.update(late) { $0 = -1 }
        let hasLeft = table.leave(first.ticket(1)).waiter != nil
        #expect(!hasContext && !hasDeparted && !hasLanded && !isChanged && !hasLeft)
        #expect(table.waiters(of: late) == nil)
        #expect(table.statistics.failures == 0 && table.statistics.inFlight == 1)
        // The control: by the place alone the late one would have met the later flight.
        #expect(second.place == first.place && table.entries[first.place].context == later)
    }

    /// Nor does it look where there is nothing any more.
    @Test func tellsALateComerNothingOfAPlaceThatHasGone() {
        typealias Table = FlightTable<Int, Int, Int>
        var table = Table(limits: FlightLimits()) { Int($0.id) }
        var flights: [Table.Solo] = []
        for key in 0..<100 { if let flight = table.beginAlone(key, 0) { flights.append(flight) } }
        #expect(flights.count == 100)
        for flight in flights {
            let isOver = table.landAlone(flight, isFailure: false)
            #expect(isOver)
        }
        for (key, flight) in flights.enumerated() {
            let context = table.context(of: flight.id, at: flight.place)
            let isGone = !table.depart(flight.flight(key)) && table.leave(flight.ticket(key)).waiter == nil
            #expect(context == nil && isGone)
        }
        #expect(table.entries.slots.isEmpty)
    }

    /// A task that the work started goes on after the flight; a later flight is none of its business.
    @Test func leavesATaskThatOutlivesItsFlightAlone() async {
        let gate = Gate()
        let strays = Plain<[Task<Bool, Never>]>([])
        let group = AsyncSingleFlight<Int, Int>("test.outlives") { key in
            let stray = Task {
                try? await gate.pass()
                return CurrentFlight.ofTask != nil && CurrentFlight.node == nil
            }
            strays.change { $0.append(stray) }
            return key
        }
        #expect(await told { try await group.value(for: 1) } == "1")
        #expect(await soon { gate.arrivals.now == 1 })
        // In the same place, and still on its way when the stray one looks.
        let inside = Gate()
        let other = AsyncSingleFlight<Int, Int>("test.outlives.other") { key in
            try await inside.pass()
            return key
        }
        async let later = told { try await other.value(for: 2) }
        #expect(await soon { inside.arrivals.now == 1 })
        gate.open()
        for stray in strays.now { #expect(await stray.value) }
        inside.open()
        #expect(await later == "2")
    }
}

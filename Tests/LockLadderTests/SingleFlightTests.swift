import Testing

@testable import LockLadder

/// Scripts: each step is known, and so is each figure after it.
@Suite struct SingleFlightTests {
    private typealias Group = SingleFlight<String, Int>

    /// A group that writes down what it does; negative results count as failures.
    private final class Airport: Sendable {
        let begun = Plain<[Group.Flight]>([])
        let wishes = Plain<[Group.Freshness]>([])
        let cancelled = Plain<[Group.Flight]>([])
        let delivered = Plain<[String]>([])
        let group: Group

        init(_ name: StaticString = "test.flight", limits: Group.Limits = Group.Limits()) {
            let begun = begun
            let wishes = wishes
            let cancelled = cancelled
            group = Group(
                name,
                limits: limits,
                begin: { flight, freshness in
                    begun.change { $0.append(flight) }
                    wishes.change { $0.append(freshness) }
                },
                cancel: { flight in cancelled.change { $0.append(flight) } },
                isFailure: { $0 < 0 }
            )
        }

        @discardableResult
        func join(_ key: String, _ freshness: Group.Freshness = .shared, as who: String) throws -> Group.Ticket {
            let delivered = delivered
            return try group.join(key, freshness) { value in delivered.change { $0.append("\(who)=\(value)") } }
        }

        /// The flight begun last.
        var last: Group.Flight { begun.now[begun.now.count - 1] }
    }

    private func figures(
        calls: UInt64,
        folded: UInt64 = 0,
        flights: UInt64,
        failures: UInt64 = 0,
        abandoned: UInt64 = 0,
        refused: UInt64 = 0,
        inFlight: Int = 0
    ) -> Group.Statistics {
        var figures = Group.Statistics()
        figures.calls = calls
        figures.folded = folded
        figures.flights = flights
        figures.failures = failures
        figures.abandoned = abandoned
        figures.refused = refused
        figures.inFlight = inFlight
        return figures
    }

    @Test func answersAllWithOneFlight() throws {
        let airport = Airport()
        #expect(airport.group.statistics == figures(calls: 0, flights: 0))
        let first = try airport.join("a", as: "1")
        #expect(!first.isFolded)
        #expect(airport.begun.now.map(\.key) == ["a"])
        for number in 2...10 { #expect(try airport.join("a", as: "\(number)").isFolded) }
        #expect(airport.group.statistics == figures(calls: 10, folded: 9, flights: 1, inFlight: 1))
        #expect(airport.delivered.now.isEmpty)
        airport.group.land(airport.last, with: 5)
        #expect(airport.delivered.now == (1...10).map { "\($0)=5" })
        #expect(airport.group.statistics == figures(calls: 10, folded: 9, flights: 1))
        #expect(airport.begun.now.count == 1)
        #expect(airport.cancelled.now.isEmpty)
    }

    @Test func beginsANewFlightAfterTheLanding() throws {
        let airport = Airport()
        try airport.join("a", as: "1")
        let first = airport.last
        airport.group.land(first, with: 1)
        try airport.join("a", as: "2")
        #expect(airport.last != first)
        airport.group.land(airport.last, with: 2)
        #expect(airport.delivered.now == ["1=1", "2=2"])
        #expect(airport.group.statistics == figures(calls: 2, flights: 2))
    }

    @Test func keepsKeysApart() throws {
        let airport = Airport()
        try airport.join("a", as: "a1")
        try airport.join("b", as: "b1")
        try airport.join("a", as: "a2")
        #expect(airport.begun.now.map(\.key) == ["a", "b"])
        airport.group.land(airport.begun.now[1], with: 7)
        #expect(airport.delivered.now == ["b1=7"])
        #expect(airport.group.statistics == figures(calls: 3, folded: 1, flights: 2, inFlight: 1))
        airport.group.land(airport.begun.now[0], with: 8)
        #expect(airport.delivered.now == ["b1=7", "a1=8", "a2=8"])
    }

    @Test func countsFailuresOfFlightsNotOfCallers() throws {
        let airport = Airport()
        for who in ["1", "2", "3"] { try airport.join("a", as: who) }
        airport.group.land(airport.last, with: -1)
        #expect(airport.delivered.now == ["1=-1", "2=-1", "3=-1"])
        airport.group.land(airport.last, with: -1)
        #expect(airport.group.statistics == figures(calls: 3, folded: 2, flights: 1, failures: 1))
    }

    // MARK: Freshness

    @Test func letsWhoeverWantsALaterRequestShareTheOneThatHasNotLeft() throws {
        let airport = Airport()
        try airport.join("a", .requestedAfterNow, as: "1")
        #expect(try airport.join("a", .requestedAfterNow, as: "2").isFolded)
        #expect(try airport.join("a", .shared, as: "3").isFolded)
        #expect(airport.wishes.now == [.requestedAfterNow])
        #expect(airport.group.depart(airport.last))
        airport.group.land(airport.last, with: 1)
        #expect(airport.delivered.now == ["1=1", "2=1", "3=1"])
        #expect(airport.group.statistics == figures(calls: 3, folded: 2, flights: 1))
    }

    @Test func makesWhoeverWantsALaterRequestWaitForTheRerun() throws {
        let airport = Airport()
        try airport.join("a", .shared, as: "1")
        let first = airport.last
        #expect(airport.group.depart(first))
        #expect(try !airport.join("a", .requestedAfterNow, as: "2").isFolded, "it causes the rerun")
        #expect(try airport.join("a", .requestedAfterNow, as: "3").isFolded)
        #expect(try airport.join("a", .shared, as: "4").isFolded, "any flight on its way will do")
        #expect(airport.begun.now.count == 1, "the rerun waits for the landing")
        #expect(airport.group.statistics == figures(calls: 4, folded: 2, flights: 1, inFlight: 1))

        airport.group.land(first, with: 1)
        #expect(airport.delivered.now == ["1=1", "4=1"])
        #expect(airport.begun.now.count == 2, "the rerun begins once")
        #expect(airport.wishes.now == [.shared, .requestedAfterNow])
        #expect(airport.last.key == "a" && airport.last != first)
        #expect(airport.group.statistics == figures(calls: 4, folded: 2, flights: 2, inFlight: 1))

        // The rerun has not left: whoever wants a later request shares it.
        #expect(try airport.join("a", .requestedAfterNow, as: "5").isFolded)
        let second = airport.last
        airport.group.land(second, with: 2)
        #expect(airport.delivered.now == ["1=1", "4=1", "2=2", "3=2", "5=2"])
        #expect(airport.group.statistics == figures(calls: 5, folded: 3, flights: 2))
        #expect(airport.begun.now.count == 2)
    }

    @Test func rerunsARerunThatHasLeft() throws {
        let airport = Airport()
        try airport.join("a", as: "1")
        #expect(airport.group.depart(airport.last))
        try airport.join("a", .requestedAfterNow, as: "2")
        airport.group.land(airport.last, with: 1)
        #expect(airport.group.depart(airport.last))
        try airport.join("a", .requestedAfterNow, as: "3")
        airport.group.land(airport.last, with: 2)
        #expect(airport.delivered.now == ["1=1", "2=2"])
        airport.group.land(airport.last, with: 3)
        #expect(airport.delivered.now == ["1=1", "2=2", "3=3"])
        #expect(airport.group.statistics == figures(calls: 3, flights: 3))
    }

    @Test func rerunsAfterAFailure() throws {
        let airport = Airport()
        try airport.join("a", as: "1")
        #expect(airport.group.depart(airport.last))
        try airport.join("a", .requestedAfterNow, as: "2")
        airport.group.land(airport.last, with: -1)
        airport.group.land(airport.last, with: 2)
        #expect(airport.delivered.now == ["1=-1", "2=2"])
        #expect(airport.group.statistics == figures(calls: 2, flights: 2, failures: 1))
    }

    // MARK: Identity

    @Test func landsAFlightOnce() throws {
        let airport = Airport()
        try airport.join("a", as: "1")
        let first = airport.last
        airport.group.land(first, with: 1)
        airport.group.land(first, with: 2)
        #expect(airport.delivered.now == ["1=1"])
        try airport.join("a", as: "2")
        // The late landing of a flight that is over ends no successor of it.
        airport.group.land(first, with: 3)
        #expect(!airport.group.depart(first))
        #expect(airport.delivered.now == ["1=1"])
        #expect(airport.group.statistics == figures(calls: 2, flights: 2, inFlight: 1))
        // And the successor has not been marked as departed.
        #expect(try airport.join("a", .requestedAfterNow, as: "3").isFolded)
        airport.group.land(airport.last, with: 4)
        #expect(airport.delivered.now == ["1=1", "2=4", "3=4"])
        #expect(airport.group.statistics == figures(calls: 3, folded: 1, flights: 2))
    }

    @Test func departsOnlyWhatIsOnItsWay() throws {
        let airport = Airport()
        let ticket = try airport.join("a", as: "1")
        let flight = airport.last
        #expect(airport.group.depart(flight))
        #expect(airport.group.depart(flight), "saying it twice changes nothing")
        airport.group.leave(ticket)
        #expect(!airport.group.depart(flight), "nobody wants it any more")
    }

    // MARK: Leaving

    @Test func goesOnForThoseWhoStay() throws {
        let airport = Airport()
        let first = try airport.join("a", as: "1")
        let second = try airport.join("a", as: "2")
        let third = try airport.join("a", as: "3")
        airport.group.leave(second)
        airport.group.leave(second)
        airport.group.leave(first)
        #expect(airport.cancelled.now.isEmpty)
        airport.group.land(airport.last, with: 1)
        #expect(airport.delivered.now == ["3=1"])
        airport.group.leave(third)
        #expect(airport.group.statistics == figures(calls: 3, folded: 2, flights: 1))
    }

    @Test func cancelsTheFlightThatNobodyWants() throws {
        let airport = Airport()
        let first = try airport.join("a", as: "1")
        let second = try airport.join("a", as: "2")
        let flight = airport.last
        airport.group.leave(first)
        airport.group.leave(second)
        #expect(airport.cancelled.now == [flight])
        #expect(airport.group.statistics == figures(calls: 2, folded: 1, flights: 1, abandoned: 1))
        airport.group.land(flight, with: 1)
        #expect(airport.delivered.now.isEmpty)
        #expect(airport.group.statistics == figures(calls: 2, folded: 1, flights: 1, abandoned: 1))
        // Whoever comes now gets a new one.
        #expect(try !airport.join("a", as: "3").isFolded)
        #expect(airport.last != flight)
        // And a ticket of the one before is worth nothing in it.
        airport.group.leave(first)
        airport.group.leave(second)
        airport.group.land(flight, with: 2)
        airport.group.land(airport.last, with: 3)
        #expect(airport.delivered.now == ["3=3"])
        #expect(airport.cancelled.now == [flight])
    }

    /// While the cancellation is told, the flight is no longer there to be joined.
    @Test func givesANewFlightToWhoeverComesDuringTheCancellation() throws {
        let joined = Plain<[(isFolded: Bool, key: String)]>([])
        let begun = Plain<[UInt64]>([])
        let group = Plain<Group?>(nil)
        let made = Group(
            "test.flight.during",
            begin: { flight, _ in begun.change { $0.append(flight.id) } },
            cancel: { flight in
                guard let ticket = try? group.now?.join(flight.key, .shared, deliver: { _ in }) else { return }
                joined.change { $0.append((ticket.isFolded, flight.key)) }
            },
            isFailure: { _ in false }
        )
        group.change { $0 = made }
        let ticket = try made.join("a", .shared) { _ in }
        #expect(returns { made.leave(ticket) })
        #expect(joined.now.map(\.isFolded) == [false])
        #expect(Set(begun.now).count == 2)
        group.change { $0 = nil }
    }

    @Test func beginsTheRerunWhenTheLastOfTheFlightLeaves() throws {
        let airport = Airport()
        let first = try airport.join("a", as: "1")
        let flight = airport.last
        #expect(airport.group.depart(flight))
        let second = try airport.join("a", .requestedAfterNow, as: "2")
        let third = try airport.join("a", .requestedAfterNow, as: "3")
        airport.group.leave(third)
        #expect(airport.begun.now.count == 1)
        airport.group.leave(first)
        #expect(airport.cancelled.now == [flight])
        #expect(airport.begun.now.count == 2)
        #expect(airport.wishes.now == [.shared, .requestedAfterNow])
        #expect(airport.group.statistics == figures(calls: 3, folded: 1, flights: 2, abandoned: 1, inFlight: 1))
        airport.group.land(flight, with: 1)
        #expect(airport.delivered.now.isEmpty)
        airport.group.land(airport.last, with: 2)
        #expect(airport.delivered.now == ["2=2"])
        airport.group.leave(second)
        #expect(airport.group.statistics == figures(calls: 3, folded: 1, flights: 2, abandoned: 1))
    }

    @Test func beginsNoRerunThatNobodyWants() throws {
        let airport = Airport()
        try airport.join("a", as: "1")
        #expect(airport.group.depart(airport.last))
        airport.group.leave(try airport.join("a", .requestedAfterNow, as: "2"))
        #expect(airport.cancelled.now.isEmpty)
        airport.group.land(airport.last, with: 1)
        #expect(airport.begun.now.count == 1)
        #expect(airport.delivered.now == ["1=1"])
        #expect(airport.group.statistics.inFlight == 0)
    }

    // MARK: Limits

    @Test func refusesMoreKeysThanItMayHave() throws {
        let airport = Airport(limits: Group.Limits(keys: 2, callers: 10))
        try airport.join("a", as: "a")
        try airport.join("b", as: "b")
        #expect(throws: Group.Refusal.tooManyKeys(limit: 2)) { try airport.join("c", as: "c") }
        try airport.join("b", as: "b2")
        #expect(airport.group.statistics == figures(calls: 3, folded: 1, flights: 2, refused: 1, inFlight: 2))
        airport.group.land(airport.begun.now[0], with: 1)
        try airport.join("c", as: "c")
        #expect(airport.begun.now.map(\.key) == ["a", "b", "c"])
        #expect(airport.delivered.now == ["a=1"])
    }

    @Test func refusesMoreCallersThanItMayHave() throws {
        let airport = Airport(limits: Group.Limits(keys: 2, callers: 3))
        try airport.join("a", as: "1")
        let second = try airport.join("a", as: "2")
        #expect(airport.group.depart(airport.last))
        try airport.join("a", .requestedAfterNow, as: "3")
        for freshness in [.shared, .requestedAfterNow] as [Group.Freshness] {
            #expect(throws: Group.Refusal.tooManyCallers(limit: 3)) { try airport.join("a", freshness, as: "4") }
        }
        try airport.join("b", as: "b")
        airport.group.leave(second)
        try airport.join("a", as: "5")
        #expect(airport.group.statistics == figures(calls: 5, folded: 2, flights: 2, refused: 2, inFlight: 2))
        airport.group.land(airport.begun.now[0], with: 1)
        #expect(airport.delivered.now == ["1=1", "5=1"], "the refused ones are never answered")
        airport.group.land(airport.last, with: 2)
        #expect(airport.delivered.now == ["1=1", "5=1", "3=2"])
    }

    // MARK: Callbacks

    /// Every callback calls the group again; under its lock that would never return.
    @Test func callsNobodyUnderItsLock() throws {
        let holder = Plain<Group?>(nil)
        let calls = Plain<[String]>([])
        @Sendable func enter(_ name: String) {
            guard let group = holder.now else { return }
            calls.change { $0.append(name) }
            _ = group.statistics
            if let ticket = try? group.join("inner", .shared, deliver: { _ in }) { group.leave(ticket) }
        }
        let group = Group(
            "test.flight.callbacks",
            begin: { flight, _ in if flight.key != "inner" { enter("begin") } },
            cancel: { flight in if flight.key != "inner" { enter("cancel") } },
            isFailure: { _ in
                enter("isFailure")
                return false
            }
        )
        holder.change { $0 = group }
        let flights = Plain<[Group.Flight]>([])
        let landing = Group(
            "test.flight.landing",
            begin: { flight, _ in flights.change { $0.append(flight) } },
            cancel: { _ in },
            isFailure: { _ in
                enter("isFailure")
                return false
            }
        )
        let isOver = returns {
            guard let ticket = try? group.join("a", .shared, deliver: { _ in }) else { return }
            group.leave(ticket)
            _ = try? landing.join("a", .shared) { _ in
                enter("deliver")
                // Even the same key of the same group.
                _ = try? landing.join("a", .shared) { _ in }
            }
            landing.land(flights.now[0], with: 1)
        }
        try #require(isOver, "a callback waits for the group's lock")
        #expect(calls.now == ["begin", "cancel", "isFailure", "deliver"])
        #expect(landing.statistics == figures(calls: 2, flights: 2, inFlight: 1))
        holder.change { $0 = nil }
    }

    /// Calls the group when it goes.
    private final class Parting: Sendable {
        let atEnd: @Sendable () -> Void

        init(_ atEnd: @escaping @Sendable () -> Void) { self.atEnd = atEnd }

        deinit { atEnd() }
    }

    /// What a caller's closure holds is freed by somebody else's code, and that is no business of the lock's either.
    @Test(arguments: [true, false])
    func freesNothingOfACallersUnderItsLock(isLast: Bool) throws {
        let airport = Airport("test.flight.freeing")
        let group = airport.group
        let ended = Count()
        if !isLast { try airport.join("a", as: "other") }
        func join() throws -> Group.Ticket {
            let parting = Parting {
                _ = group.statistics
                ended.add(1)
            }
            return try group.join("a", .shared) { _ in withExtendedLifetime(parting) {} }
        }
        let ticket = try join()
        #expect(ended.now == 0)
        #expect(returns { group.leave(ticket) }, "the end of what the closure holds waits for the group's lock")
        #expect(ended.now == 1)
    }

    @Test func keepsNoClosureOfWhoWasAnsweredOrLeft() throws {
        let live = LooseCount()
        let airport = Airport("test.flight.closures")
        func join(_ freshness: Group.Freshness) throws -> Group.Ticket {
            let kept = Counted(1, in: live)
            return try airport.group.join("a", freshness) { _ in withExtendedLifetime(kept) {} }
        }
        _ = try join(.shared)
        let leaver = try join(.shared)
        #expect(airport.group.depart(airport.last))
        let late = try join(.requestedAfterNow)
        #expect(live.now == 3)
        airport.group.leave(leaver)
        #expect(live.now == 2)
        airport.group.land(airport.last, with: 1)
        #expect(live.now == 1)
        airport.group.leave(late)
        #expect(live.now == 0)
    }
}

import Testing

@testable import ConfigFetch

@Suite("How a host is treated that does not answer")
struct HostMannersTests {
    private let patience = HostManners.patience

    /// Suspect since `at`.
    private func suspect(at now: UInt64) -> HostManners {
        var manners = HostManners()
        for index in 1...patience {
            let change = manners.noteFailure("down", at: now)
            #expect(change == (index == patience ? .closedOff : nil))
        }
        return manners
    }

    @Test("It is asked as before until it has failed some times in a row; an answer begins the count anew")
    func patient() {
        var manners = HostManners()
        for _ in 0..<3 {
            for _ in 1..<patience {
                let change = manners.noteFailure("down", at: 0)
                #expect(change == nil)
            }
            let mayAsk = manners.mayAsk(at: 0)
            let change = manners.noteAnswer(roomAtMost: 64)
            #expect(mayAsk && !manners.isSuspect && change == nil)
        }
        #expect(manners.room == nil)
    }

    @Test("A suspect host is asked once in a while, ever more rarely, up to a limit")
    func probes() {
        var manners = suspect(at: 0)
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<7 {
            let before = now
            while !manners.mayAsk(at: now) { now += 100_000_000 }
            pauses.append((now - before) / 1_000_000_000)
            let mayAskAgain = manners.mayAsk(at: now)
            let change = manners.noteFailure("down", at: now)
            #expect(!mayAskAgain && change == nil, "one at a time")
        }
        #expect(pauses == [1, 2, 4, 8, 10, 10, 10])
    }

    @Test("What was under way when it became suspect does not make it wait longer")
    func stragglers() {
        var manners = suspect(at: 0)
        for _ in 0..<100 {
            let change = manners.noteFailure("down", at: 500_000_000)
            #expect(change == nil)
        }
        let early = manners.mayAsk(at: 999_999_999)
        let due = manners.mayAsk(at: 1_000_000_000)
        #expect(!early && due)
    }

    @Test("After its recovery it is asked by few at once, and with each answer by one more")
    func slowStart() {
        var manners = suspect(at: 0)
        #expect(manners.room == 1)
        let change = manners.noteAnswer(roomAtMost: 5)
        #expect(change == .recovered)
        var rooms: [Int?] = [manners.room]
        for _ in 0..<5 {
            let change = manners.noteAnswer(roomAtMost: 5)
            #expect(change == nil)
            rooms.append(manners.room)
        }
        #expect(rooms == [2, 3, 4, 5, nil, nil])
        let mayAsk = manners.mayAsk(at: 0)
        #expect(mayAsk)
    }

    @Test("A few retries may leave together, more only one after the other")
    func retries() {
        var manners = HostManners()
        let waits = (0..<30).map { _ in manners.takeRetry(at: 1_000_000_000, longest: 600_000_000_000) / 1_000_000 }
        #expect(waits.prefix(20).allSatisfy { $0 == 0 })
        #expect(Array(waits.suffix(10)) == (1...10).map { UInt64($0 * 100) })
        // A quiet minute later as at the beginning.
        let later = (0..<20).map { _ in manners.takeRetry(at: 61_000_000_000, longest: 600_000_000_000) }
        #expect(later.allSatisfy { $0 == 0 })
    }

    @Test("Retries that were granted in an outage are not counted once it is over")
    func retriesAfterOutage() {
        var manners = HostManners()
        for _ in 0..<1_000 { _ = manners.takeRetry(at: 1_000_000_000, longest: 600_000_000_000) }
        for _ in 0..<HostManners.patience { _ = manners.noteFailure("gone", at: 1_000_000_000) }
        #expect(manners.takeRetry(at: 20_000_000_000, longest: 600_000_000_000) > 60_000_000_000)
        #expect(manners.noteAnswer(roomAtMost: 64) == .recovered)
        #expect(manners.takeRetry(at: 20_000_000_000, longest: 600_000_000_000) == 0)
    }

    @Test("What is booked ahead is bounded by what anybody waits")
    func retriesAhead() {
        var manners = HostManners()
        for _ in 0..<10_000 { #expect(manners.takeRetry(at: 1_000_000_000, longest: 5_000_000_000) <= 5_000_000_000) }
        #expect(manners.takeRetry(at: 9_000_000_000, longest: 5_000_000_000) == 0)
    }
}

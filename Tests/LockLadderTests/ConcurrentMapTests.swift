import Glibc
import Testing

@testable import LockLadder

/// What the checks ask of a map: the type under test, or a copy without its protection.
private struct Map: Sendable {
    /// Adds to the number of a key.
    var add: @Sendable (_ amount: Int, _ key: Int) -> Void
    var orInsert: @Sendable (_ key: Int, _ make: () -> Int) -> Int
    var number: @Sendable (_ key: Int) -> Int?

    static func real(_ map: ConcurrentMap<Int, Int>) -> Map {
        Map(
            add: { amount, key in _ = try? map.withValue(for: key, default: 0) { $0 += amount } },
            orInsert: { key, make in (try? map.value(for: key, orInsert: make)) ?? -1 },
            number: { map.value(for: $0) }
        )
    }

    /// Looks and puts in by two steps, between which others come.
    static func inTwoSteps(_ map: ConcurrentMap<Int, Int>) -> Map {
        Map(
            add: { amount, key in
                let number = map.value(for: key) ?? 0
                sched_yield()
                _ = try? map.updateValue(number + amount, for: key)
            },
            orInsert: { key, make in
                if let value = map.value(for: key) { return value }
                let made = make()
                _ = try? map.updateValue(made, for: key)
                return made
            },
            number: { map.value(for: $0) }
        )
    }
}

/// A key of which many have the same hash.
private struct Clumsy: Hashable, Sendable {
    let number: Int

    func hash(into hasher: inout Hasher) { hasher.combine(number % 3) }
}

/// Releases what it replaces and removes while it holds its lock.
private final class CarelessMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let entries = Guarded(Mutex("test.map.careless", [Key: Value]()))

    func updateValue(_ value: Value, for key: Key) { entries.lock.withLock { $0[key] = value } }

    func removeValue(for key: Key) { entries.lock.withLock { $0[key] = nil } }

    func touch() { entries.lock.withLock { _ in } }
}

/// A key or value that at its end lets another thread use the map, and notes when that one has to wait for it.
private final class LastLook: Sendable {
    private let touch: @Sendable () -> Void
    private let findings: Findings
    private let ended: LooseCount

    init(_ findings: Findings, ended: LooseCount, _ touch: @escaping @Sendable () -> Void) {
        self.findings = findings
        self.ended = ended
        self.touch = touch
    }

    deinit {
        let threadID = Plain<UInt32>(0)
        let done = Count()
        let thread = NamedThread("test-last-look") { [touch] in
            threadID.change { $0 = CurrentThread.id }
            touch()
            done.add(1)
        }
        let wasSeen = eventually { done.now == 1 || Kernel.futexSleep(of: threadID.now) != nil }
        findings.expect(thread != nil && wasSeen, "the other thread neither sleeps nor ends")
        findings.expect(done.now == 1 || Kernel.futexSleep(of: threadID.now) == nil, "released under the lock")
        ended.add(1)
    }
}

private struct WatchedKey: Hashable, Sendable {
    let number: Int
    let look: LastLook

    static func == (left: WatchedKey, right: WatchedKey) -> Bool { left.number == right.number }

    func hash(into hasher: inout Hasher) { hasher.combine(number) }
}

/// What can be done to a map.
private enum Operation: CaseIterable {
    case look, update, remove, change, changeOrPutIn, lookOrPutIn, removeThirds
}

private enum Outcome: Equatable {
    case full
    case none
    case number(Int)

    init(_ number: Int?) { self = number.map { .number($0) } ?? .none }
}

/// A dictionary that does the same as the map.
private struct Model {
    let capacity: Int
    private(set) var entries: [Clumsy: Int] = [:]

    init(capacity: Int) { self.capacity = capacity }

    /// - Parameter step: the new number, where there is one.
    mutating func run(_ operation: Operation, _ key: Clumsy, _ step: Int) -> Outcome {
        let before = entries[key]
        let isFull = before == nil && entries.count >= capacity
        switch operation {
        case .look:
            break
        case .update:
            if isFull { return .full }
            entries[key] = step
        case .remove:
            entries[key] = nil
        case .change:
            if before != nil { entries[key] = step }
        case .changeOrPutIn:
            if isFull { return .full }
            entries[key] = step
            return .number(before ?? -1)
        case .lookOrPutIn:
            if isFull { return .full }
            entries[key] = before ?? step
            return .number(before ?? step)
        case .removeThirds:
            let rest = entries.filter { ($0.key.number + $0.value + step) % 3 != 0 }
            defer { entries = rest }
            return .number(entries.count - rest.count)
        }
        return Outcome(before)
    }
}

private func run(
    _ operation: Operation,
    on map: ConcurrentMap<Clumsy, Counted>,
    _ key: Clumsy,
    _ step: Int,
    _ live: LooseCount
) -> Outcome {
    func replace(_ value: inout Counted) -> Int {
        defer { value = Counted(step, in: live) }
        return value.number
    }
    do {
        switch operation {
        case .look:
            return Outcome(map.value(for: key)?.number)
        case .update:
            return Outcome(try map.updateValue(Counted(step, in: live), for: key)?.number)
        case .remove:
            return Outcome(map.removeValue(for: key)?.number)
        case .change:
            return Outcome(map.withValue(for: key, replace))
        case .changeOrPutIn:
            return Outcome(try map.withValue(for: key, default: Counted(-1, in: live), replace))
        case .lookOrPutIn:
            return Outcome(try map.value(for: key) { Counted(step, in: live) }.number)
        case .removeThirds:
            return Outcome(map.removeAll { key, value in (key.number + value.number + step) % 3 == 0 })
        }
    } catch {
        return .full
    }
}

@Suite struct ConcurrentMapTests {
    struct Failed: Error, Equatable {}

    /// One thread, a random order of all operations, compared with a dictionary after each.
    private func compareWithDictionary(seed: UInt64, shards: Int?, capacity: Int?, live: LooseCount) -> String? {
        var random = SplitMix(seed: seed)
        let map = ConcurrentMap<Clumsy, Counted>("test.map.model", capacity: capacity, shards: shards)
        var model = Model(capacity: capacity ?? .max)
        for step in 0..<300 {
            let operation = Operation.allCases.randomElement(using: &random) ?? .look
            let key = Clumsy(number: Int.random(in: 0..<24, using: &random))
            let expected = model.run(operation, key, step)
            let got = run(operation, on: map, key, step, live)
            guard got == expected else { return "step \(step): \(operation) was \(got), not \(expected)" }
            let all = map.snapshot()
            guard all.count == model.entries.count, all.allSatisfy({ model.entries[$0.key] == $0.value.number }) else {
                return "step \(step): \(all.count) entries, not \(model.entries)"
            }
            guard map.count == model.entries.count else { return "step \(step): a count of \(map.count)" }
        }
        return live.now == model.entries.count ? nil : "\(live.now) alive, \(model.entries.count) in the map"
    }

    @Test(arguments: [nil, 1, 2, 16])
    func agreesWithADictionary(shards: Int?) {
        for seed in 0..<8 as Range<UInt64> {
            for capacity in [nil, 10] {
                let live = LooseCount()
                let difference = compareWithDictionary(seed: seed, shards: shards, capacity: capacity, live: live)
                #expect(difference == nil, "seed \(seed)")
                #expect(live.now == 0)
            }
        }
    }

    /// Threads add to shared numbers, and race to make others. Returns what was lost or made twice.
    private func findings(_ map: Map, seed: UInt64) throws -> [String] {
        let findings = Findings()
        let sums = Plain<[Int: Int]>([:])
        let winners = Plain<[Int: Set<Int>]>([:])
        try onThreads(6) { thread in
            var random = SplitMix(seed: seed &+ UInt64(thread))
            var mine: [Int: Int] = [:]
            for round in 0..<1_000 {
                let key = Int.random(in: 0..<16, using: &random)
                map.add(round, key)
                mine[key, default: 0] += round
                if round % 8 == 0 {
                    let value = map.orInsert(1_000 + round) {
                        sched_yield()
                        return thread * 10_000 + round
                    }
                    winners.change { _ = $0[round, default: []].insert(value) }
                }
            }
            sums.change { [mine] in $0.merge(mine, uniquingKeysWith: +) }
        }
        for (key, sum) in sums.now {
            findings.expect(map.number(key) == sum, "\(key) is \(String(describing: map.number(key))), not \(sum)")
        }
        for (round, values) in winners.now {
            findings.expect(values.count == 1, "\(values.count) values for one key")
            findings.expect(values.contains(map.number(1_000 + round) ?? -1), "another value is kept")
        }
        return findings.all
    }

    @Test(arguments: [nil, 1, 4])
    func losesNothingOnThreads(shards: Int?) throws {
        let map = ConcurrentMap<Int, Int>("test.map.threads", shards: shards)
        #expect(try findings(.real(map), seed: 2) == [])
        #expect(map.count == 16 + 125)
    }

    @Test func theSameCheckCatchesAMapThatWorksInTwoSteps() throws {
        let all = try findings(.inTwoSteps(ConcurrentMap("test.map.twosteps")), seed: 2)
        #expect(all.contains { $0.contains(", not ") })
    }

    /// Objects come and go on all threads; each that is found is whole, and none is left at the end.
    @Test func freesWhatIsReplacedAndRemovedAndNothingElse() throws {
        let live = LooseCount()
        let findings = Findings()
        try {
            let map = ConcurrentMap<Int, Versioned>("test.map.freed", shards: 4)
            try onThreads(6) { thread in
                var random = SplitMix(seed: UInt64(thread))
                for round in 0..<1_500 {
                    let key = Int.random(in: 0..<12, using: &random)
                    switch random.next() % 6 {
                    case 0: _ = try? map.updateValue(Versioned(round, series: key, in: live), for: key)
                    case 1: map.removeValue(for: key)
                    case 2: _ = try? map.value(for: key) { Versioned(round, series: key, in: live) }
                    case 3 where round % 50 == 0: map.removeAll { $1.version % 2 == 0 }
                    case 4 where round % 10 == 0:
                        for (key, value) in map.snapshot() {
                            findings.expect(value.isWhole && value.series == key, "freed, or of another key")
                        }
                    default:
                        if let value = map.value(for: key) {
                            findings.expect(value.isWhole && value.series == key, "freed, or of another key")
                        }
                    }
                }
            }
            #expect(eventually { live.now == map.count })
        }()
        #expect(findings.all == [])
        #expect(eventually { live.now == 0 })
    }

    @Test func releasesKeysAndValuesOutsideItsLock() throws {
        let findings = Findings()
        let ended = LooseCount()
        let map = ConcurrentMap<WatchedKey, LastLook>("test.map.released", shards: 1)
        let isOver = returns {
            @Sendable func look() -> LastLook { LastLook(findings, ended: ended) { [weak map] in _ = map?.count } }
            @Sendable func key(_ number: Int) -> WatchedKey { WatchedKey(number: number, look: look()) }
            _ = try? map.updateValue(look(), for: key(1))
            // The same key once more: the new one goes.
            _ = try? map.updateValue(look(), for: key(1))
            map.removeValue(for: key(1))
            _ = try? map.value(for: key(2)) { look() }
            // A loser: made while another one put its own in.
            _ = try? map.value(for: key(3)) {
                _ = try? map.updateValue(look(), for: key(3))
                return look()
            }
            _ = map.withValue(for: key(3)) { _ in 0 }
            _ = try? map.withValue(for: key(3), default: look()) { _ in 0 }
            map.removeAll { _, _ in true }
        }
        try #require(isOver)
        #expect(findings.all == [])
        #expect(map.count == 0)
        // Eight keys, be they those in the map or those to look with, and six values.
        #expect(ended.now == 14)
    }

    @Test func theSameCheckCatchesAMapThatReleasesUnderItsLock() throws {
        let findings = Findings()
        let ended = LooseCount()
        let map = CarelessMap<Int, LastLook>()
        let isOver = returns {
            @Sendable func look() -> LastLook { LastLook(findings, ended: ended) { [weak map] in map?.touch() } }
            map.updateValue(look(), for: 1)
            map.updateValue(look(), for: 1)
            map.removeValue(for: 1)
        }
        try #require(isOver)
        #expect(ended.now == 2)
        #expect(findings.all.contains("released under the lock"))
    }

    /// As many as the capacity are put in, whoever they are, and not one more.
    @Test func holdsExactlyAsManyAsItMay() throws {
        let map = ConcurrentMap<Int, Int>("test.map.capacity", capacity: 500, shards: 8)
        let findings = Findings()
        let accepted = LooseCount()
        try onThreads(6) { thread in
            for number in 0..<200 {
                let key = thread * 1_000 + number
                do throws(ConcurrentMap<Int, Int>.Full) {
                    switch number % 2 {
                    case 0: try map.updateValue(number, for: key)
                    default: try map.withValue(for: key, default: number) { _ in }
                    }
                    accepted.add(1)
                } catch {
                    findings.expect(error.capacity == 500, "\(error)")
                }
                if number % 40 == 0 { findings.expect(map.count <= 500, "too many") }
            }
        }
        #expect(findings.all == [])
        #expect(accepted.now == 500)
        #expect(map.count == 500)
        let key = map.snapshot()[0].key
        // What is there may be changed; a new key has to wait for room.
        #expect(throws: Never.self) { try map.updateValue(-1, for: key) }
        #expect(throws: ConcurrentMap<Int, Int>.Full(capacity: 500)) { try map.updateValue(-1, for: -1) }
        #expect(throws: ConcurrentMap<Int, Int>.InsertionFailure<Never>.self) {
            try map.value(for: -1) {
                Issue.record("made in vain")
                return 0
            }
        }
        map.removeValue(for: key)
        #expect(throws: Never.self) { try map.updateValue(-1, for: -1) }
        #expect(map.removeAll { _, _ in true } == 500)
        #expect(throws: Never.self) { try map.updateValue(-1, for: -1) }
    }

    /// What others are given to run may use the map: it runs without its lock.
    @Test func runsMakingAndJudgingWithoutItsLock() throws {
        let map = ConcurrentMap<Int, Int>("test.map.outside", shards: 1)
        let made = Plain<Int?>(nil)
        let removed = Plain(-1)
        let isOver = returns {
            let value = try? map.value(for: 1) {
                for key in 2...4 { _ = try? map.updateValue(10, for: key) }
                return 20
            }
            made.change { $0 = value }
            let count = map.removeAll { key, _ in
                // Changed after they were judged, so they stay.
                if key == 1 { _ = try? map.updateValue(21, for: 1) }
                if key == 3 { _ = map.withValue(for: 3) { $0 += 1 } }
                if key == 4 { _ = try? map.withValue(for: 4, default: 0) { $0 += 2 } }
                return true
            }
            removed.change { $0 = count }
        }
        try #require(isOver, "it waits for its own lock")
        #expect(made.now == 20)
        #expect(removed.now == 1)
        #expect(map.value(for: 1) == 21)
        #expect(map.value(for: 2) == nil)
        #expect(map.value(for: 3) == 11)
        #expect(map.value(for: 4) == 12)
    }

    @Test func judgesAnEntryThatCameBackAnew() {
        let map = ConcurrentMap<Int, Int>("test.map.comeback", shards: 1)
        _ = try? map.updateValue(1, for: 1)
        let removed = map.removeAll { _, _ in
            map.removeValue(for: 1)
            _ = try? map.updateValue(1, for: 1)
            return true
        }
        #expect(removed == 0)
        #expect(map.value(for: 1) == 1)
    }

    @Test func passesOnWhatItIsGivenToRunThrows() throws {
        let map = ConcurrentMap<Int, Int>("test.map.throwing", shards: 1)
        #expect(throws: ConcurrentMap<Int, Int>.InsertionFailure<Failed>.self) {
            try map.value(for: 1) { () throws(Failed) in throw Failed() }
        }
        #expect(map.count == 0)
        try map.updateValue(5, for: 1)
        #expect(throws: Failed()) {
            try map.withValue(for: 1) { value throws(Failed) in
                value = 6
                throw Failed()
            }
        }
        #expect(map.value(for: 1) == 6)
        #expect(throws: Failed()) { try map.removeAll { _, _ throws(Failed) in throw Failed() } }
        #expect(map.withValue(for: 2) { $0 } == nil)
    }

    @Test func changesValuesInPlace() throws {
        let map = ConcurrentMap<Int, [Int]>("test.map.inplace")
        try map.updateValue(Array(0..<1_000), for: 1)
        func address() -> UInt? {
            map.withValue(for: 1) { value in value.withUnsafeMutableBufferPointer { UInt(bitPattern: $0.baseAddress) } }
        }
        // A copy would lie elsewhere.
        #expect(address() == address())
        _ = try map.withValue(for: 1, default: []) { $0[0] = 7 }
        #expect(map.value(for: 1)?.first == 7)
    }

    @Test(arguments: [(0, 1), (1, 1), (3, 4), (256, 256), (1_000, 256)])
    func roundsTheNumberOfShards(asked: Int, given: Int) {
        #expect(ConcurrentMap<Int, Int>("test.map.shards", shards: asked).shardCount == given)
    }

    @Test func spreadsItsKeysAndNamesItsLocks() {
        let map = ConcurrentMap<Int, Int>("test.map.spread", shards: 8)
        for key in 0..<800 { _ = try? map.updateValue(key, for: key) }
        let locks = ContentionRegistry.shared.all.filter { "\($0.name)" == "test.map.spread" }
        #expect(locks.count == 8)
        // On average 100; far off only if keys were not spread.
        #expect(locks.allSatisfy { (30...300).contains($0.statistics.acquisitions) })
        withExtendedLifetime(map) {}
    }
}

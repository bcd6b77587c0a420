import Testing

@testable import LockLadder

@Suite struct ThreeStageReadTests {
    private final class Late<Value: Sendable>: Sendable {
        private let value = Plain<Value?>(nil)
        func set(_ new: Value?) { value.change { $0 = new } }
        var now: Value? { value.now }
    }

    /// How often the locks of this name were taken.
    private func acquisitions(_ name: StaticString) -> UInt64 {
        ContentionRegistry.shared.all.filter { "\($0.name)" == "\(name)" }.reduce(0) { $0 + $1.statistics.acquisitions }
    }

    @Test func fetchesAColdKeyOnceForACrowd() async {
        let gate = Gate()
        let fetches = Count()
        let cache = ThreeStageRead<String, Int>("test.three.crowd", limit: 4) { _ in
            try await gate.pass()
            return fetches.add(1)
        }
        let answers = await withTaskGroup(of: String.self) { tasks in
            for _ in 0..<64 { tasks.addTask { await told { try await cache.read("a") } } }
            #expect(await soon { cache.statistics.flights.calls == 64 })
            gate.open()
            return await tasks.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(answers == Array(repeating: "1", count: 64))
        #expect(fetches.now == 1 && cache.cached("a") == 1)
        #expect(cache.statistics.stored == 1 && cache.statistics.entries == 1)
    }

    private final class Weight: Sendable {}

    @Test("What was invalidated is freed once the threads that had looked it up have parked")
    func letsGo() async throws {
        let cache = ThreeStageRead<Int, Weight>("test.three.park", limit: 4) { _ in Weight() }
        _ = try await cache.read(1)
        // On one thread, without a pause: it looks, and then does nothing more.
        func look() -> (kept: Bool, freed: Bool) {
            weak let weight = cache.cached(1)
            guard weight != nil else { return (false, false) }
            cache.invalidate(1)
            let kept = weight != nil
            cache.park()
            return (kept, weight == nil)
        }
        let seen = look()
        #expect(seen.kept, "the idle thread keeps its table")
        #expect(seen.freed)
    }

    @Test func readsHotKeysWithoutALock() async throws {
        let name: StaticString = "test.three.hot"
        let cache = ThreeStageRead<Int, Int>(name, limit: 16) { $0 * 10 }
        for key in 0..<8 { #expect(await told { try await cache.read(key) } == "\(key * 10)") }
        let before = acquisitions(name)
        #expect(before > 0)
        for round in 0..<500 { #expect(await told { try await cache.read(round % 8) } == "\(round % 8 * 10)") }
        let findings = Findings()
        try onThreads(4) { index in
            var reader = cache.makeReader()
            for round in 0..<500 {
                let key = (round + index) % 8
                findings.expect(cache.cached(key) == key * 10, "\(key)")
                findings.expect(reader.cached(key) == key * 10, "\(key)")
            }
            reader.park()
        }
        #expect(findings.all == [])
        #expect(acquisitions(name) == before)
        // The control: a miss does take them.
        #expect(await told { try await cache.read(9) } == "90")
        #expect(acquisitions(name) > before)
    }

    @Test func servesNothingFetchedBeforeAnInvalidation() async {
        let gates = [Gate(), Gate()]
        let fetches = Count()
        let cache = ThreeStageRead<String, Int>("test.three.invalid", limit: 4) { _ in
            let number = fetches.add(1)
            if number <= 2 { try await gates[number - 1].pass() }
            return number
        }
        async let early = told { try await cache.read("a") }
        #expect(await soon { gates[0].arrivals.now == 1 })
        cache.invalidate("a")
        async let later = told { try await cache.read("a") }
        #expect(await soon { cache.statistics.flights.calls == 2 })
        gates[0].open()
        #expect(await early == "1", "it asked before the invalidation")
        #expect(cache.cached("a") == nil)
        #expect(cache.statistics.discarded == 1)
        #expect(await soon { gates[1].arrivals.now == 1 })
        gates[1].open()
        #expect(await later == "2")
        #expect(cache.cached("a") == 2)
        cache.invalidate("a")
        #expect(cache.cached("a") == nil)
        #expect(await told { try await cache.read("a") } == "3")
    }

    @Test func answersWithNoErrorFromBeforeAnInvalidation() async {
        let gate = Gate()
        let fetches = Count()
        let cache = ThreeStageRead<String, Int>("test.three.error", limit: 4) { _ in
            guard fetches.add(1) == 1 else { return 2 }
            try await gate.pass()
            throw Vain.broken
        }
        async let early = told { try await cache.read("a") }
        #expect(await soon { gate.arrivals.now == 1 })
        cache.invalidate("a")
        async let later = told { try await cache.read("a") }
        #expect(await soon { cache.statistics.flights.calls == 2 })
        gate.open()
        #expect(await early == "broken")
        #expect(await later == "2")
    }

    /// A fetch may read other keys of the same cache, and take its time, while everybody else goes on.
    @Test func holdsNoLockDuringAFetch() async {
        let late = Late<ThreeStageRead<String, String>>()
        let gate = Gate()
        let cache = ThreeStageRead<String, String>("three", limit: 4) { key in
            if key == "slow" { try await gate.pass() }
            if key == "self" { return try await late.now?.read("self") ?? "" }
            guard key.count > 1, key != "slow" else { return key }
            return try await (late.now?.read(String(key.dropLast())) ?? "") + "/" + key
        }
        late.set(cache)
        async let slow = told { try await cache.read("slow") }
        #expect(await soon { gate.arrivals.now == 1 })
        #expect(await told { try await cache.read("abc") } == "a/ab/abc")
        #expect(await told { try await cache.read("self") } == "three:self → three:self")
        cache.invalidate("abc")
        gate.open()
        #expect(await slow == "slow")
        late.set(nil)
    }

    @Test func fetchesAnewWhatHasOutlivedItsTime() async {
        let time = Count(1)
        let fetches = Count()
        let cache = ThreeStageRead<String, Int>(
            "test.three.time",
            limit: 4,
            keepNanoseconds: 10,
            now: { MonotonicTime(nanoseconds: UInt64(time.now)) },
            fetch: { _ in fetches.add(1) }
        )
        #expect(await told { try await cache.read("a") } == "1")
        time.set(10)
        #expect(await told { try await cache.read("a") } == "1")
        time.set(11)
        #expect(cache.cached("a") == nil)
        #expect(await told { try await cache.read("a") } == "2")
        #expect(cache.statistics.entries == 1 && cache.statistics.stored == 2)
    }

    @Test func keepsNoErrors() async {
        let fetches = Count()
        let cache = ThreeStageRead<String, Int>("test.three.noerror", limit: 4) { _ in
            if fetches.add(1) == 1 { throw Vain.notFound }
            return 2
        }
        #expect(await told { try await cache.read("a") } == "notFound")
        #expect(await told { try await cache.read("a") } == "2")
    }

    // MARK: The store

    private typealias Store = HotEntries<Int, Int>

    private func makeStore(_ name: StaticString, limit: Int) -> Store {
        Store(name, limit: limit, keepNanoseconds: nil, now: { .now })
    }

    @Test func neverReplacesANewerValue() {
        let store = makeStore("test.three.order", limit: 4)
        guard case .sequence(let older) = store.begin(1), case .sequence(let newer) = store.begin(1) else {
            Issue.record("nothing can be there")
            return
        }
        store.store(20, for: 1, sequence: newer)
        store.store(10, for: 1, sequence: older)
        #expect(store.cached(1) == 20)
        #expect(store.statistics.discarded == 1)
        guard case .isThere(let entry) = store.begin(1) else {
            Issue.record("it was stored")
            return
        }
        #expect(entry.value == 20)
    }

    /// An entry has given way; an older result of its key, still on its way then, is not taken for news.
    @Test func keepsNothingOlderThanWhatGaveWay() {
        let store = makeStore("test.three.floor", limit: 1)
        guard case .sequence(let older) = store.begin(1), case .sequence(let newer) = store.begin(1) else {
            Issue.record("nothing can be there")
            return
        }
        store.store(20, for: 1, sequence: newer)
        put(2, in: store)
        #expect(store.statistics.evicted == 1 && store.cached(1) == nil)
        store.store(10, for: 1, sequence: older)
        #expect(store.cached(1) == nil, "older than what was there before")
        #expect(store.statistics.discarded == 1 && store.cached(2) == 2)
        put(1, in: store)
        #expect(store.cached(1) == 1, "a later one is kept")
    }

    /// Does something when it goes.
    private final class Last: Sendable {
        let deed: @Sendable () -> Void

        init(_ deed: @escaping @Sendable () -> Void = {}) { self.deed = deed }

        deinit { deed() }
    }

    /// A publication frees a value, and that stores another one: it comes into the next snapshot.
    @Test func publishesWhatIsStoredDuringAPublication() {
        typealias Store = HotEntries<Int, Last>
        let store = Store("test.three.news", limit: 8, keepNanoseconds: nil, now: { .now })
        let stored = Count()
        @Sendable func put(_ key: Int, _ value: Last) {
            guard case .sequence(let sequence) = store.begin(key) else { return }
            store.store(value, for: key, sequence: sequence)
        }
        put(1, Last { if stored.add(1) == 1 { put(3, Last()) } })
        var reader = store.makeReader()
        #expect(store.cached(1, by: &reader) != nil)
        store.invalidate(1)
        #expect(stored.now == 0, "the reader's snapshot has it still")
        reader.park()
        // This publication frees that snapshot.
        put(2, Last())
        #expect(stored.now == 1)
        #expect(store.cached(3) != nil && store.cached(2) != nil)
        // And the store has gone on: later changes are published too.
        put(4, Last())
        #expect(store.cached(4) != nil)
    }

    @Test func keepsWhatIsReadWhenOthersGiveWay() {
        let store = makeStore("test.three.clock", limit: 8)
        for key in 0..<8 { put(key, in: store) }
        for key in 100..<160 {
            // Two are read all the time; the others come and go.
            #expect(store.cached(3) == 3 && store.cached(5) == 5)
            put(key, in: store)
            #expect(store.statistics.entries == 8)
            #expect(store.cached(key) == key)
        }
        #expect(store.statistics.evicted == 60)
        #expect(store.cached(0) == nil)
        let none = makeStore("test.three.zero", limit: 0)
        put(1, in: none)
        #expect(none.cached(1) == nil)
    }

    private func put(_ key: Int, in store: Store) {
        guard case .sequence(let sequence) = store.begin(key) else { return }
        store.store(key, for: key, sequence: sequence)
    }

    /// All of one class, so that what is known of one key's floor is believed of all.
    private struct Alike: Hashable {
        let number: Int
        func hash(into hasher: inout Hasher) {}
    }

    /// A result that cannot be kept has been given to those who shared its fetch: they never read an older one again.
    @Test func servesNothingOlderThanAResultThatCouldNotBeKept() {
        let store = HotEntries<Alike, Int>("test.three.older", limit: 4, keepNanoseconds: nil, now: { .now })
        let key = Alike(number: 1)
        guard case .sequence(let first) = store.begin(key), case .sequence(let second) = store.begin(key) else {
            Issue.record("a key that was never stored is there")
            return
        }
        store.store(1, for: key, sequence: first)
        #expect(store.cached(key) == 1)
        // Raises the floor of the class above both.
        store.invalidate(Alike(number: 2))
        store.store(2, for: key, sequence: second)
        #expect(store.cached(key) == nil)
    }

    /// One after the other against a plain dictionary: what the store has is what was stored last and not invalidated.
    @Test(arguments: [91, 92] as [UInt64])
    func hasWhatTheReferenceHas(seed: UInt64) {
        let store = makeStore("test.three.model", limit: 12)
        var random = SplitMix(seed: seed)
        var newest: [Int: (value: Int, sequence: UInt64)] = [:]
        var floors: [Int: UInt64] = [:]
        var begun: [(key: Int, sequence: UInt64)] = []
        var hits = 0
        for step in 0..<4_000 {
            let key = Int.random(in: 0..<20, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0...2: if case .sequence(let sequence) = store.begin(key) { begun.append((key, sequence)) }
            case 3...5:
                guard !begun.isEmpty else { break }
                let (key, sequence) = begun.remove(at: .random(in: 0..<begun.count, using: &random))
                store.store(step, for: key, sequence: sequence)
                guard sequence > floors[key, default: 0], sequence > newest[key]?.sequence ?? 0 else { break }
                newest[key] = (step, sequence)
            case 6:
                store.invalidate(key)
                newest[key] = nil
                // Higher than all that have begun.
                floors[key] = begun.map(\.sequence).max() ?? 0
            default:
                // It may have given way, or not been kept; but it is never another one.
                guard let value = store.cached(key) else { break }
                hits += 1
                #expect(value == newest[key]?.value)
            }
            #expect(store.statistics.entries <= 12)
        }
        #expect(hits > 50)
    }

    // MARK: Storm

    /// The origin counts up; a reader that comes after an invalidation, which comes after a change, never sees less.
    @Test(arguments: [true, false])
    func servesNothingOlderThanTheLastInvalidation(isSound: Bool) async {
        let live = LooseCount()
        let findings = Findings()
        let reads = LooseCount()
        do {
            let origin = (0..<3).map { _ in Count(1) }
            let known = (0..<3).map { _ in Count(1) }
            let cache = ThreeStageRead<Int, Versioned>("test.three.storm", limit: 2) { key in
                let version = origin[key].now
                await Task.yield()
                return Versioned(version, series: key, in: live)
            }
            await withTaskGroup(of: Void.self) { tasks in
                for index in 0..<8 {
                    tasks.addTask {
                        var random = SplitMix(seed: UInt64(index))
                        for _ in 0..<300 {
                            let key = Int.random(in: 0..<3, using: &random)
                            if index == 0 {
                                let version = origin[key].add(1)
                                // The control: without the invalidation, older values are found out.
                                if isSound { cache.invalidate(key) }
                                known[key].set(version)
                                await Task.yield()
                                continue
                            }
                            let least = known[key].now
                            guard let value = try? await cache.read(key) else {
                                findings.note("no value")
                                continue
                            }
                            reads.add(1)
                            findings.expect(value.isWhole && value.series == key, "freed, or of another key")
                            findings.expect(value.version >= least, "\(value.version) after \(least)")
                        }
                    }
                }
            }
        }
        #expect(findings.isEmpty == isSound, "\(findings.all)")
        #expect(reads.now == 2_100)
        #expect(await soon { live.now == 0 })
    }
}

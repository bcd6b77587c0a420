import Glibc
import Synchronization
import Testing

@testable import LockLadder

/// What may be initialised once: the type under test, the reference, or a copy without its protection.
private struct Initialisation: Sendable {
    var value: @Sendable (_ make: () throws(OnceTests.Failed) -> Versioned) throws(OnceTests.Failed) -> Versioned
}

/// A copy that looks whether the value is there, but lets several make it.
private final class UnguardedOnce: Sendable {
    private let made = Plain<Versioned?>(nil)

    func value(_ make: () throws(OnceTests.Failed) -> Versioned) throws(OnceTests.Failed) -> Versioned {
        if let value = made.now { return value }
        let value = try make()
        return made.change {
            $0 = value
            return value
        }
    }
}

/// The reference: one lock, held while the value is made.
private final class LockedOnce: @unchecked Sendable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var made: Versioned?

    init() {
        lock = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        pthread_mutex_init(lock, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    func value(_ make: () throws(OnceTests.Failed) -> Versioned) throws(OnceTests.Failed) -> Versioned {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if let made { return made }
        let value = try make()
        made = value
        return value
    }
}

@Suite struct OnceTests {
    struct Failed: Error, Equatable { let attempt: Int }

    /// Threads ask in a random order for a value whose making fails `failures` times. Returns what was wrong.
    private func findings(
        seed: UInt64,
        failures: Int,
        live: LooseCount,
        _ once: Initialisation
    ) throws -> [String] {
        let findings = Findings()
        let attempts = Count()
        let making = Count()
        let thrown = Plain<[Int]>([])
        let got = Plain<Set<ObjectIdentifier>>([])
        try onThreads(8) { thread in
            var random = SplitMix(seed: seed &+ UInt64(thread))
            for _ in 0..<random.next() % 4 { sched_yield() }
            while true {
                do throws(Failed) {
                    let value = try once.value { () throws(Failed) in
                        findings.expect(making.add(1) == 1, "two make it at once")
                        defer { making.add(-1) }
                        let attempt = attempts.add(1)
                        for _ in 0..<4 { sched_yield() }
                        if attempt <= failures { throw Failed(attempt: attempt) }
                        return Versioned(attempt, in: live)
                    }
                    findings.expect(value.isWhole, "a half-made value")
                    got.change { _ = $0.insert(ObjectIdentifier(value)) }
                    return
                } catch {
                    thrown.change { $0.append(error.attempt) }
                }
            }
        }
        findings.expect(attempts.now == failures + 1, "made \(attempts.now) times")
        findings.expect(thrown.now.sorted() == Array(1..<failures + 1), "thrown: \(thrown.now)")
        findings.expect(got.now.count == 1, "\(got.now.count) different values")
        return findings.all
    }

    @Test(arguments: [0, 1, 5])
    func isMadeOnceAndTriedAgainAfterAFailure(failures: Int) throws {
        let live = LooseCount()
        for seed in 0..<25 as Range<UInt64> {
            do {
                let once = Once<Versioned>("test.once.threads")
                let use = Initialisation { make throws(Failed) in try once.value(make) }
                #expect(try findings(seed: seed, failures: failures, live: live, use) == [])
                #expect(once.valueIfMade?.version == failures + 1)
            }
            #expect(eventually { live.now == 0 })
        }
    }

    @Test func theSameCheckPassesTheReference() throws {
        let live = LooseCount()
        do {
            let once = LockedOnce()
            #expect(
                try findings(seed: 3, failures: 2, live: live, Initialisation { m throws(Failed) in try once.value(m) })
                    == []
            )
        }
        #expect(eventually { live.now == 0 })
    }

    @Test func theSameCheckCatchesACopyThatLetsSeveralMakeIt() {
        let live = LooseCount()
        let isCaught = eventually {
            let once = UnguardedOnce()
            let use = Initialisation { make throws(Failed) in try once.value(make) }
            return (try? findings(seed: 3, failures: 0, live: live, use))?.isEmpty == false
        }
        #expect(isCaught)
    }

    @Test func givesTheFirstValueToAllLaterCallers() {
        let once = Once<Int>("test.once.later")
        #expect(once.valueIfMade == nil)
        #expect(once.value { 1 } == 1)
        #expect(once.value { 2 } == 1)
        #expect(once.value(until: MonotonicTime(nanoseconds: 0)) { 3 } == 1)
        #expect(once.valueIfMade == 1)
        #expect(once.statistics.contended == 0)
    }

    @Test func makesItselfWhenTheDeadlineHasPassedAndNobodyElseMakes() {
        let once = Once<Int>("test.once.past")
        #expect(once.value(until: MonotonicTime(nanoseconds: 0)) { 7 } == 7)
    }

    @Test func throwsWhatItsOwnMakeThrows() throws {
        let once = Once<Int>("test.once.failed")
        let thrown = Plain<[Int]>([])
        let isOver = returns {
            for attempt in 1...4 {
                do throws(Failed) {
                    let make = { () throws(Failed) -> Int in throw Failed(attempt: attempt) }
                    _ = attempt % 2 == 0 ? try once.value(until: .now, make) : try once.value(make)
                } catch {
                    thrown.change { $0.append(error.attempt) }
                }
                if once.valueIfMade != nil { thrown.change { $0.append(-attempt) } }
            }
        }
        try #require(isOver, "it waits for its own failed attempt")
        #expect(thrown.now == [1, 2, 3, 4])
        #expect(once.value { 5 } == 5)
    }

    /// While one thread makes the value: the others sleep, those with a deadline leave, the rest get the value.
    @Test func wakesWaitersAndLetsThoseWithADeadlineLeave() throws {
        let once = Once<Int>("test.once.waiters")
        let making = Count()
        let left = Count()
        let asleep = Plain<[UInt32]>([])
        let findings = Findings()
        try onThreads(6) { thread in
            if thread == 0 {
                let value = once.value {
                    making.set(1)
                    let isAsDescribed = eventually {
                        left.now == 2 && asleep.now.count == 3
                            && asleep.now.allSatisfy { Kernel.futexSleep(of: $0) != nil }
                    }
                    findings.expect(isAsDescribed, "\(left.now) left, \(asleep.now.count) wait")
                    return 42
                }
                findings.expect(value == 42, "\(value)")
                return
            }
            findings.expect(eventually { making.now == 1 }, "nobody makes it")
            if thread <= 2 {
                // One deadline long past, one that ends a sleep.
                let deadline = thread == 1 ? MonotonicTime(nanoseconds: 0) : .now.advanced(byNanoseconds: 2_000_000)
                let value = once.value(until: deadline) { 0 }
                findings.expect(value == nil, "before it was made: \(String(describing: value))")
                left.add(1)
            } else {
                asleep.change { $0.append(CurrentThread.id) }
                let far = MonotonicTime.now.advanced(byNanoseconds: 4 * patience)
                let value = thread == 3 ? once.value(until: far) { 0 } : once.value { 0 }
                findings.expect(value == 42, "\(String(describing: value))")
            }
        }
        #expect(findings.all == [])
        #expect(once.statistics.contended >= 4)
    }

    /// A waiter whose deadline passes just when the maker fails must not take the others' wake-up with it.
    @Test func aFailureWakesWaitersOfWhomOneMakesIt() throws {
        for _ in 0..<50 {
            let once = Once<Int>("test.once.retry")
            let isMaking = Count()
            let asleep = Plain<[UInt32]>([])
            let findings = Findings()
            try onThreads(4) { thread in
                if thread == 0 {
                    let value = try? once.value { () throws(Failed) in
                        isMaking.set(1)
                        let isAsDescribed = eventually {
                            asleep.now.count == 2 && asleep.now.allSatisfy { Kernel.futexSleep(of: $0) != nil }
                        }
                        findings.expect(isAsDescribed, "nobody sleeps")
                        throw Failed(attempt: 1)
                    }
                    findings.expect(value == nil, "not thrown")
                    return
                }
                findings.expect(eventually { isMaking.now == 1 }, "nobody makes it")
                if thread == 1 {
                    let value = once.value(until: .now.advanced(byNanoseconds: 100_000)) { 1 }
                    findings.expect(value == nil || value == once.valueIfMade, "\(String(describing: value))")
                } else {
                    asleep.change { $0.append(CurrentThread.id) }
                    let value = once.value { thread }
                    findings.expect(value == once.valueIfMade, "\(value)")
                }
            }
            #expect(findings.all == [])
        }
    }

    @Test func stopsAMakerThatAsksForTheValueItself() async {
        let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
            // Ends the process, without the message, if it waits for itself.
            alarm(40)
            let once = Once<Int>("test.once.recursive")
            _ = once.value(fileID: "Test/Outer.swift", line: 12) {
                once.value(fileID: "Test/Inner.swift", line: 34) { 1 }
            }
        }
        let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        #expect(said.contains("test.once.recursive"))
        #expect(said.contains("Test/Outer.swift:12"))
        #expect(said.contains("Test/Inner.swift:34"))
    }

    /// The next maker has been chosen, and has not said so yet, when the one that failed asks again: it waits for
    /// another, not for itself.
    @Test(.enabled(if: Accounting.isCompiledIn, "the next maker is stopped where it tells of its wait"))
    func takesNoFormerMakerForTheOneThatMakes() async {
        await #expect(processExitsWith: .success) {
            let name: StaticString = "test.once.former"
            let once = Once<Int>(name)
            let scene = Scene()
            let isChosen = Count()
            try ContentionHook.shared.listen(to: name) { _ in
                isChosen.set(1)
                scene.expect("the other does not go on") { scene.mayGoOn.now == 1 }
            } _: {
                try onThreads(2) { index in
                    guard index == 0 else {
                        scene.expect("nobody makes it") { scene.isHeld.now == 1 }
                        scene.enter(1)
                        let value = once.value { 7 }
                        return scene.findings.expect(value == 7, "\(value)")
                    }
                    let failed = try? once.value { () throws(Failed) in
                        scene.isHeld.set(1)
                        scene.expect("nobody sleeps") { scene.sleeps(1) }
                        throw Failed(attempt: 1)
                    }
                    scene.expect("nobody else makes it") { isChosen.now == 1 }
                    let again = once.value(until: .now.advanced(byNanoseconds: 1_000_000)) { 8 }
                    scene.findings.expect(failed == nil && again == nil, "\(String(describing: again))")
                    scene.mayGoOn.set(1)
                }
            }
            #expect(scene.findings.all == [])
            #expect(once.valueIfMade == 7)
        }
    }

    /// Within another one's making, and after a failure on the same thread, it is no recursion.
    @Test func mayBeNestedWithOthersAndTriedAgainByTheSameThread() throws {
        let outer = Once<Int>("test.once.outer")
        let inner = Once<Int>("test.once.inner")
        let isOver = returns {
            _ = try? outer.value { () throws(Failed) in throw Failed(attempt: 1) }
            _ = outer.value { inner.value { 20 } + 1 }
        }
        try #require(isOver)
        #expect(outer.valueIfMade == 21)
        #expect(inner.valueIfMade == 20)
    }

    @Test func freesTheValueWithItself() {
        let live = LooseCount()
        do {
            let once = Once<Counted>("test.once.freed")
            #expect(once.value { Counted(1, in: live) }.number == 1)
            #expect(live.now == 1)
            _ = Once<Counted>("test.once.never")
        }
        #expect(live.now == 0)
    }
}

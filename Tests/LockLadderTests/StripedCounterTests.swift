import CLockLadder
import Glibc
import Synchronization
import Testing

@testable import LockLadder

/// The counter without its protection: an addition is a load and a store.
private final class LossyCounter: Sendable {
    private let value = Atomic<UInt64>(0)

    func add(_ amount: UInt64) {
        let before = value.load(ordering: .relaxed)
        if before % 16 == 0 { sched_yield() }
        value.store(before &+ amount, ordering: .relaxed)
    }

    var sum: UInt64 { value.load(ordering: .relaxed) }
}

@Suite struct StripedCounterTests {
    /// Random additions by eight threads; returns what was counted, and what a plain reference says it should be.
    private func countOnThreads(
        seed: UInt64,
        add: @escaping @Sendable (UInt64) -> Void,
        sum: () -> UInt64
    ) throws -> (counted: UInt64, reference: UInt64) {
        let reference = Plain<UInt64>(0)
        try onThreads(8) { index in
            var random = SplitMix(seed: seed &+ UInt64(index))
            var mine: UInt64 = 0
            for _ in 0..<10_000 {
                let amount = UInt64.random(in: 0..<1_000, using: &random)
                add(amount)
                mine += amount
            }
            reference.change { [mine] in $0 += mine }
        }
        return (sum(), reference.now)
    }

    @Test(arguments: [nil, 1, 2, 64])
    func losesNoAddition(stripes: Int?) throws {
        let counter = StripedCounter(stripes: stripes)
        let (counted, reference) = try countOnThreads(seed: 11, add: { counter.add($0) }, sum: { counter.sum })
        #expect(counted == reference)
    }

    @Test func theSameCheckCatchesACounterThatLosesAdditions() throws {
        let counter = LossyCounter()
        let (counted, reference) = try countOnThreads(seed: 11, add: { counter.add($0) }, sum: { counter.sum })
        #expect(counted != reference)
    }

    @Test func neverGoesBackWhileOthersCount() throws {
        let counter = StripedCounter(stripes: 4)
        let counting = Count(6)
        let findings = Findings()
        try onThreads(7) { index in
            if index == 6 {
                var before: UInt64 = 0
                while counting.now > 0 {
                    let now = counter.sum
                    findings.expect(now >= before, "\(now) after \(before)")
                    before = now
                }
            } else {
                for _ in 0..<20_000 { counter.add() }
                counting.add(-1)
            }
        }
        #expect(findings.all == [])
        #expect(counter.sum == 120_000)
    }

    @Test func beginsAgainPastTheLargestNumber() {
        let counter = StripedCounter()
        #expect(counter.sum == 0)
        counter.add(.max)
        #expect(counter.sum == .max)
        counter.add(42)
        #expect(counter.sum == 41)
    }

    @Test func hasOneStripeForEachProcessor() {
        let online = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let count = StripedCounter().stripeCount
        #expect(count.nonzeroBitCount == 1)
        #expect(count >= min(online, 64))
        #expect(count < max(2 * online, 2))
    }

    @Test(arguments: [(-1, 1), (0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (64, 64), (65, 64), (1 << 40, 64)])
    func roundsTheNumberOfStripes(asked: Int, given: Int) {
        #expect(StripedCounter(stripes: asked).stripeCount == given)
    }

    @Test func givesEachStripeALineOfItsOwn() {
        let counter = StripedCounter(stripes: 8)
        let places = (0..<8).map { UInt(bitPattern: counter.stripe($0)) }
        #expect(places.allSatisfy { $0 % 128 == 0 })
        #expect(zip(places, places.dropFirst()).allSatisfy { $1 - $0 == 128 })
        #expect(Linked.usableSize(of: counter.stripes) >= 8 * 128)
    }

    @Test func numbersEachThreadOnceAndSpreadsThem() throws {
        let numbers = Plain<[UInt32]>([])
        try onThreads(32) { _ in
            let mine = cll_thread_index()
            sched_yield()
            // A thread whose number changed is found as two of the same or as one too many.
            numbers.change { $0 += mine == cll_thread_index() ? [mine] : [mine, mine] }
        }
        #expect(numbers.now.count == 32)
        #expect(Set(numbers.now).count == 32)
        #expect(!numbers.now.contains(0))
    }
}

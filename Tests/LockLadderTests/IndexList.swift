import Glibc
import LockLadder
import Synchronization

/// The head of a list of indices: what is under test, or a copy without its protection.
protocol ListHead: Sendable {
    /// What a load found, to be given back to the exchange.
    associatedtype Found: Sendable
    init(_ index: UInt32)
    func load() -> Found
    func index(_ found: Found) -> UInt32
    func exchange(_ found: Found, for index: UInt32) -> Bool
}

/// Plain compare-and-swap: the value alone tells whether something changed.
final class PlainHead: ListHead {
    private let value: Atomic<UInt32>

    init(_ index: UInt32) { value = Atomic(index) }

    func load() -> UInt32 { value.load(ordering: .acquiring) }

    func index(_ found: UInt32) -> UInt32 { found }

    func exchange(_ found: UInt32, for index: UInt32) -> Bool {
        value.compareExchange(expected: found, desired: index, ordering: .acquiringAndReleasing).exchanged
    }
}

/// A version of one bit: what a version does that wraps while a thread stands still.
final class OneBitHead: ListHead {
    private let word: Atomic<UInt32>

    init(_ index: UInt32) { word = Atomic(index << 1) }

    func load() -> UInt32 { word.load(ordering: .acquiring) }

    func index(_ found: UInt32) -> UInt32 { found >> 1 }

    func exchange(_ found: UInt32, for index: UInt32) -> Bool {
        let next = index << 1 | (found & 1) ^ 1
        return word.compareExchange(expected: found, desired: next, ordering: .acquiringAndReleasing).exchanged
    }
}

final class VersionedHead: ListHead {
    private let word: VersionedWord

    init(_ index: UInt32) { word = VersionedWord(index, version: .max - 100) }

    func load() -> VersionedWord.Stamped { word.load() }

    func index(_ found: VersionedWord.Stamped) -> UInt32 { found.value }

    func exchange(_ found: VersionedWord.Stamped, for index: UInt32) -> Bool {
        word.compareExchange(expected: found, desired: index).exchanged
    }
}

final class DoubleVersionedHead: ListHead {
    /// Bits that a value of 32 bits could not hold.
    private static let upper: UInt64 = 0xBADC_0FFE << 32
    private let word: VersionedDoubleWord

    init(_ index: UInt32) { word = VersionedDoubleWord(Self.upper | UInt64(index)) }

    func load() -> VersionedDoubleWord.Stamped { word.load() }

    /// 0 when the upper half was lost: then the list seems empty too early.
    func index(_ found: VersionedDoubleWord.Stamped) -> UInt32 {
        found.value & ~0xFFFF_FFFF == Self.upper ? UInt32(truncatingIfNeeded: found.value) : 0
    }

    func exchange(_ found: VersionedDoubleWord.Stamped, for index: UInt32) -> Bool {
        word.compareExchange(expected: found, desired: Self.upper | UInt64(index)).exchanged
    }
}

/// A free list of the indices from 1 to `count`, after Treiber: 0 ends it. Each operation can be stopped between its
/// look at the list and its exchange.
final class IndexList<Head: ListHead>: @unchecked Sendable {
    private let head: Head
    private let count: UInt32
    private let next: UnsafeMutablePointer<Atomic<UInt32>>

    /// All indices are in the list, 1 on top.
    init(_ count: UInt32) {
        self.count = count
        head = Head(count == 0 ? 0 : 1)
        next = .allocate(capacity: Int(count) + 1)
        for index in 0...count {
            (next + Int(index)).initialize(to: Atomic(index == 0 || index == count ? 0 : index + 1))
        }
    }

    deinit { next.deallocate() }

    /// The first half of an operation.
    struct Look: Sendable {
        let found: Head.Found
        /// What was on top; 0: nothing.
        let top: UInt32
        /// What comes below it.
        let below: UInt32
    }

    func look() -> Look {
        let found = head.load()
        let top = head.index(found)
        return Look(found: found, top: top, below: next[Int(top)].load(ordering: .relaxed))
    }

    /// The second half of taking: `false` when it must begin again.
    func take(_ look: Look) -> Bool { head.exchange(look.found, for: look.below) }

    /// The second half of giving.
    func give(_ index: UInt32, _ look: Look) -> Bool {
        next[Int(index)].store(look.top, ordering: .relaxed)
        return head.exchange(look.found, for: index)
    }

    func take() -> UInt32? {
        while true {
            let look = look()
            if look.top == 0 { return nil }
            if take(look) { return look.top }
        }
    }

    func give(_ index: UInt32) {
        while !give(index, look()) {}
    }

    /// Takes all out; of a list that became a ring, one more than there can be.
    func drain() -> [UInt32] {
        var taken: [UInt32] = []
        while taken.count <= count, let index = take() { taken.append(index) }
        return taken
    }
}

/// Takes and gives in a random order of half operations of `threads` imagined threads, and compares each step with a
/// plain stack. Returns the first difference.
func compareWithStack<Head: ListHead>(_: Head.Type, seed: UInt64, threads: Int = 4, steps: Int = 600) -> String? {
    var random = SplitMix(seed: seed)
    let count: UInt32 = 4
    let list = IndexList<Head>(count)
    var stack: [UInt32] = (1...count).reversed()
    var looks = [IndexList<Head>.Look?](repeating: nil, count: threads)
    var giving = [UInt32?](repeating: nil, count: threads)
    var held = [[UInt32]](repeating: [], count: threads)
    for step in 0..<steps {
        let thread = Int.random(in: 0..<threads, using: &random)
        guard let look = looks[thread] else {
            if !held[thread].isEmpty, Bool.random(using: &random) { giving[thread] = held[thread].removeFirst() }
            let look = list.look()
            guard look.top == stack.last ?? 0 else { return "step \(step): \(look.top) on top of \(stack)" }
            if giving[thread] != nil || look.top != 0 { looks[thread] = look }
            continue
        }
        looks[thread] = nil
        if let index = giving[thread] {
            guard list.give(index, look) else { continue }
            stack.append(index)
            giving[thread] = nil
        } else if list.take(look) {
            guard stack.popLast() == look.top else { return "step \(step): took \(look.top), then \(stack)" }
            held[thread].append(look.top)
        }
    }
    let rest = list.drain()
    return rest == stack.reversed() ? nil : "at the end \(rest) instead of \(stack)"
}

/// Threads take and give for `rounds` rounds. Returns what went wrong: an index that two threads have, or that is lost.
///
/// - Parameter writes: whether a thread writes to plain memory of the index that it has; where two have the same one,
///   this is a race.
func takeAndGiveOnThreads<Head: ListHead>(_: Head.Type, seed: UInt64, rounds: Int, writes: Bool) throws -> [String] {
    let count: UInt32 = 6
    let list = IndexList<Head>(count)
    let findings = Findings()
    let owners = (0...count).map { _ in LooseCount() }
    nonisolated(unsafe) let notes = UnsafeMutablePointer<Int>.allocate(capacity: Int(count) + 1)
    notes.initialize(repeating: 0, count: Int(count) + 1)
    defer { notes.deallocate() }
    try onThreads(4) { thread in
        var random = SplitMix(seed: seed &+ UInt64(thread))
        for _ in 0..<rounds where findings.isEmpty {
            var held: [UInt32] = []
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let look = list.look()
                if random.next() % 8 == 0 { sched_yield() }
                guard look.top != 0, list.take(look) else { continue }
                findings.expect(owners[Int(look.top)].add(1) == 1, "two threads have \(look.top)")
                if writes { notes[Int(look.top)] += 1 }
                held.append(look.top)
            }
            // The first one taken goes back first: what was below it is then still away.
            for index in held {
                if random.next() % 8 == 0 { sched_yield() }
                owners[Int(index)].add(-1)
                list.give(index)
            }
        }
    }
    let rest = list.drain().sorted()
    findings.expect(rest == Array(1...count), "at the end the list has \(rest)")
    return findings.all
}

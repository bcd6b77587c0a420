public import CLockLadder
public import Synchronization

/// A mutex without its value.
///
/// Asymmetric: to lock is one compare-and-exchange; to unlock is a plain store and a look at `waiters`, without a
/// barrier of the processor between them. The store may then become visible after the look, and a waiter that came in
/// between would be missed. So the waiter, before it sleeps, has every running thread of the process pass a barrier
/// (``BarrierEverywhere``): afterwards either the release is visible to the waiter, or whoever releases sees the
/// waiter. The costly part is with the thread that sleeps anyway.
///
/// `waking` keeps releases from a system call each while a woken thread is on its way: 0, nobody is; 1, somebody is
/// being woken; 2, the same, and a release has relied on it meanwhile. A waker that found nobody asleep and then sees a
/// 2 tries again: the one who relied on it may have missed a thread that has fallen asleep since. Tests/ModelTests
/// searches the protocol exhaustively, with store buffers.
///
/// Where the kernel refuses that barrier, `waiters` holds ``refused`` from the start: every release then takes the way
/// out of line, and passes a barrier of its own.
@usableFromInline
struct MutexCore: ~Copyable {
    @usableFromInline static var free: UInt32 { 0 }
    @usableFromInline static var taken: UInt32 { 1 }
    /// Added to `waiters` for good where there is no barrier.
    private static let refused: UInt32 = 1 << 31
    /// How long a waiter sleeps at a time when the barrier was refused to it although it was to be had before.
    private static let unbarrieredSleep: UInt64 = 10_000_000

    // What only those who sleep and those who wake them look at: a line of its own.
    private let waking = Atomic<UInt32>(0)
    /// When somebody was last woken, or would have been had anybody slept: written by whoever does it, read by the one
    /// woken before it clears `waking`.
    private let wokenAt = Atomic<UInt64>(0)
    /// How many holds had ended by then: which one it was.
    private let wokenAfter = Atomic<UInt64>(0)
    /// When the hold that is timed as a sample began; 0 for none.
    private let sampleBegan = Atomic<UInt64>(0)
    private let sleepersLineEnds: InlineArray<4, UInt64> = .init(repeating: 0)

    // What each holder touches: half a line. The lock's value comes next, so that a small one changes hands with it.
    /// The futex word.
    @usableFromInline let word = Atomic<UInt32>(0)
    /// Threads that sleep or are about to.
    @usableFromInline let waiters: Atomic<UInt32>
    /// The ``CallSite`` of the last holder.
    @usableFromInline let holder = Atomic<UInt>(0)
    /// Holds that have ended.
    @usableFromInline let acquisitions = Atomic<UInt64>(0)
    /// Acquisitions after some spinning. Counted here by holders, and not with the other figures of contention: a line
    /// more to fetch, with the lock held, would take longer than most holds.
    private let spun = Atomic<UInt64>(0)

    init() { waiters = Atomic(BarrierEverywhere.isAvailable ? 0 : Self.refused) }

    /// - Returns: whether there is something to tell at the end of this hold.
    @inlinable
    @inline(__always)
    func lock(_ site: CallSite, in function: StaticString, _ probe: LockProbe) -> Bool {
        var isSpecial = false
        // Acquiring: what the last holder wrote is seen. On failure nothing is read.
        let attempt = word.compareExchange(
            expected: Self.free,
            desired: Self.taken,
            successOrdering: .acquiring,
            failureOrdering: .relaxed
        )
        if !attempt.exchanged { isSpecial = lockContended(site, in: function, probe) }
        if Accounting.isCompiledIn {
            // Relaxed, both: a hint, and a count that only holders write.
            holder.store(site.word, ordering: .relaxed)
            if (acquisitions.load(ordering: .relaxed) &+ 1) % LockProbe.samplePeriod == 0 {
                beginSample()
                isSpecial = true
            }
        }
        return isSpecial
    }

    /// The same for a lock that is made of this one and of more: with a deadline on the monotonic clock, and without an
    /// end to the books. Where the outcome is ``Outcome/slept``, `wait` is left open, to be ended by the caller.
    func lock(
        _ site: CallSite,
        in function: StaticString,
        _ probe: LockProbe,
        _ wait: inout LockProbe.Wait?,
        until deadline: UInt64
    ) -> Outcome {
        let outcome = tryOnce() ? .taken : acquire(site, in: function, probe, &wait, until: deadline)
        guard outcome != .late else { return .late }
        // Relaxed: as in the fast path.
        holder.store(site.word, ordering: .relaxed)
        return outcome
    }

    @inlinable
    @inline(__always)
    func unlock(_ probe: LockProbe, _ isSpecial: Bool) {
        if Accounting.isCompiledIn {
            // Relaxed: under the lock, so a load and a store are enough. Counted at the end of a hold and not at its
            // beginning: a thread that is stopped right after it took the lock, where it was slowest, would else count
            // for whoever waits for it as one that came after.
            acquisitions.store(acquisitions.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }
        if isSpecial { return unlockSlowly(probe) }
        // Releasing: the next holder sees what this one wrote.
        word.store(Self.free, ordering: .releasing)
        // The look below comes after the store in program order; the rest is the waiters' barrier.
        cll_compiler_barrier()
        // Relaxed: see the type.
        if waiters.load(ordering: .relaxed) != 0 { wake(probe) }
    }

    @usableFromInline
    @inline(never)
    func beginSample() { sampleBegan.store(cll_now_ns(), ordering: .relaxed) }

    /// How an acquisition ended.
    enum Outcome {
        /// At once.
        case taken
        /// After some spinning.
        case spun
        /// The thread slept.
        case slept
        /// The deadline passed first.
        case late
    }

    /// - Returns: whether the thread slept and has something to tell at the release.
    @usableFromInline
    @inline(never)
    func lockContended(_ site: CallSite, in function: StaticString, _ probe: LockProbe) -> Bool {
        var wait: LockProbe.Wait?
        if acquire(site, in: function, probe, &wait, until: 0) == .spun, Accounting.isCompiledIn {
            // Relaxed: under the lock.
            spun.store(spun.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }
        guard let wait, let record = probe.end(wait) else { return false }
        probe.keep(record)
        return true
    }

    /// Spins, then sleeps; the books are the caller's to close.
    private func acquire(
        _ site: CallSite,
        in function: StaticString,
        _ probe: LockProbe,
        _ wait: inout LockProbe.Wait?,
        until deadline: UInt64
    ) -> Outcome {
        // Relaxed: whoever held it a moment ago is the best that can be told.
        let heldBy = CallSite(word: holder.load(ordering: .relaxed))
        if spin(rounds: 3) { return .spun }
        var begun = probe.beginWait(.exclusive, at: site, in: function, heldBy: heldBy)
        guard park(&begun, probe, until: deadline) else {
            probe.abandon(begun)
            return .late
        }
        guard begun.parks > 0 else {
            // Released between the last turn of the spinning and here.
            probe.abandon(begun)
            return .spun
        }
        wait = begun
        return .slept
    }

    private func tryOnce() -> Bool {
        // Acquiring: as in the fast path.
        word.compareExchange(
            expected: Self.free,
            desired: Self.taken,
            successOrdering: .acquiring,
            failureOrdering: .relaxed
        ).exchanged
    }

    /// Looks soon, as most holds are short, and then ever more seldom: whoever looks takes the line from the holder.
    /// Three rounds are 126 pauses: where threads outnumber processors, to try for longer takes time from the holder.
    private func spin(rounds: Int) -> Bool {
        var pauses = 6
        for _ in 0..<rounds {
            for _ in 0..<pauses { cll_pause() }
            pauses *= 4
            // Relaxed: only worth a try when it is free.
            guard word.load(ordering: .relaxed) == Self.free else { continue }
            if tryOnce() { return true }
        }
        return false
    }

    /// Sleeps until the lock is this thread's.
    ///
    /// - Parameter deadline: 0 for none: a mutex is held for short sections only, and its holder cannot vanish.
    /// - Returns: `false` when the deadline passed first.
    private func park(_ wait: inout LockProbe.Wait, _ probe: LockProbe, until deadline: UInt64) -> Bool {
        let first = Hold(number: acquisitions.load(ordering: .relaxed), site: wait.holder, since: wait.began)
        var hold = first
        // Sequentially consistent: before the barrier, so that a release after it sees this waiter.
        waiters.add(1, ordering: .sequentiallyConsistent)
        let isBarriered = passBarrier()
        // Sequentially consistent: acquires the lock, and comes after the barrier and after `waking` was cleared.
        while word.exchange(Self.taken, ordering: .sequentiallyConsistent) != Self.free {
            look(&hold)
            wait.parks += 1
            let limit = isBarriered ? deadline : cll_now_ns() + Self.unbarrieredSleep
            let end = sleep(until: limit)
            if end == cll_deadline_passed, deadline != 0, cll_now_ns() >= deadline {
                // Not woken, so no wake-up is lost with this thread.
                waiters.subtract(1, ordering: .relaxed)
                return false
            }
            guard end == cll_woken else { continue }
            wait.runs(wokenAt: note(hold, probe))
            // Sequentially consistent: releases from here on wake somebody again, and this thread looks at the lock
            // only afterwards.
            _ = waking.exchange(0, ordering: .sequentiallyConsistent)
            if spin(rounds: 2) { break }
        }
        // Relaxed: under the lock; a release that still counts this thread makes one call too many.
        waiters.subtract(1, ordering: .relaxed)
        close(&wait, since: first, probe)
        return true
    }

    /// A hold that a thread sleeps for. Which one it is, is told by the number of those that had ended before; it is one
    /// of them itself if it was counted and not yet over.
    private struct Hold {
        var number: UInt64
        var site: CallSite
        var since: UInt64
    }

    /// Relaxed, all: hints.
    private func look(_ hold: inout Hold) {
        guard Accounting.isCompiledIn else { return }
        let number = acquisitions.load(ordering: .relaxed)
        guard number != hold.number else { return }
        hold = Hold(number: number, site: CallSite(word: holder.load(ordering: .relaxed)), since: cll_now_ns())
    }

    /// Counts the hold that this thread slept for, if it was that one whose end woke it: several may have held the lock
    /// meanwhile, one after the other, and others may have taken it since.
    ///
    /// - Returns: when this thread was woken.
    private func note(_ hold: Hold, _ probe: LockProbe) -> UInt64 {
        // Acquiring: pairs with the release in `wake`, so that the time is of this hold's end or of a later one's.
        let isThatHold = wokenAfter.load(ordering: .acquiring) &- hold.number <= 1
        // Relaxed: see above.
        let woken = wokenAt.load(ordering: .relaxed)
        if isThatHold, woken > hold.since { probe.noteHold(woken - hold.since, at: hold.site) }
        return woken
    }

    /// What this thread knows of its wait, now that the lock is its own.
    private func close(_ wait: inout LockProbe.Wait, since first: Hold, _ probe: LockProbe) {
        guard Accounting.isCompiledIn else { return }
        // Relaxed: under the lock. The first of those that have ended since was there already.
        let ended = acquisitions.load(ordering: .relaxed) &- first.number
        wait.takenMeanwhile = ended > 0 ? ended - 1 : 0
        guard wait.takenMeanwhile == 0 else { return }
        // One hold only, so its end is the end of what the holder is to blame for, whether this thread was woken by it
        // or came by itself.
        let woken = note(first, probe)
        guard woken > wait.began else { return }
        wait.wake = 0
        wait.runs(wokenAt: woken)
    }

    private func sleep(until deadline: UInt64) -> cll_wait_end {
        unsafe withUnsafePointer(to: word) { word in
            let address = unsafe UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self)
            return unsafe cll_futex_wait(address, Self.taken, deadline)
        }
    }

    /// - Returns: `false` when the barrier is refused although it was not at first: then releases that are under way may
    ///   miss this waiter, and it must not sleep for long.
    private func passBarrier() -> Bool {
        if waiters.load(ordering: .relaxed) >= Self.refused { return true }
        if BarrierEverywhere.pass() { return true }
        // Sequentially consistent: the releases that follow take the way with a barrier of their own.
        waiters.bitwiseOr(Self.refused, ordering: .sequentiallyConsistent)
        return false
    }

    @usableFromInline
    @inline(never)
    func unlockSlowly(_ probe: LockProbe) {
        var record: ContentionRecord?
        if Accounting.isCompiledIn {
            let now = cll_now_ns()
            record = probe.takeKept()
            if let record {
                probe.noteHold(MonotonicTime(nanoseconds: now).nanoseconds(since: record.endedAt), at: record.waiter)
            }
            let began = sampleBegan.load(ordering: .relaxed)
            if began != 0 {
                sampleBegan.store(0, ordering: .relaxed)
                probe.noteSample(now - began, at: CallSite(word: holder.load(ordering: .relaxed)))
            }
        }
        // Releasing: as in `unlock`.
        word.store(Self.free, ordering: .releasing)
        wake(probe)
        if let record { ContentionRegistry.shared.report(record) }
    }

    /// Wakes one sleeper, unless one is on its way already. To be called after the release.
    @usableFromInline
    @inline(never)
    func wake(_ probe: LockProbe) {
        // The release comes before the looks at `waiters` and `waking`, for every thread alike.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard waiters.load(ordering: .relaxed) & ~Self.refused != 0, claimWaking() else { return }
        if Accounting.isCompiledIn {
            // Relaxed, both: hints. Somebody may have had the lock since the release: then nobody takes the time for that
            // of the hold that ended.
            wokenAt.store(cll_now_ns(), ordering: .relaxed)
            // Releasing: the time comes first.
            wokenAfter.store(acquisitions.load(ordering: .relaxed), ordering: .releasing)
        }
        unsafe cll_probe_wake(probe.name.cString)
        while wakeOne() == 0 {
            // Nobody slept. Sequentially consistent: a release after this wakes for itself.
            let calm = waking.compareExchange(expected: 1, desired: 0, ordering: .sequentiallyConsistent)
            guard !calm.exchanged, calm.original == 2 else { return }
            // Somebody relied on this waking: each turn of this loop needs another release.
            let again = waking.compareExchange(expected: 2, desired: 1, ordering: .sequentiallyConsistent)
            guard again.exchanged else { return }
        }
    }

    /// - Returns: whether it falls to this thread to wake somebody.
    private func claimWaking() -> Bool {
        // Sequentially consistent, all: after the fence in `wake`, before the call that wakes.
        var state = waking.load(ordering: .sequentiallyConsistent)
        while state < 2 {
            let step = waking.compareExchange(expected: state, desired: state + 1, ordering: .sequentiallyConsistent)
            if step.exchanged { return state == 0 }
            state = step.original
        }
        return false
    }

    // Relaxed: a figure.
    var spunCount: UInt64 { spun.load(ordering: .relaxed) }

    private func wakeOne() -> Int32 {
        unsafe withUnsafePointer(to: word) { word in
            unsafe cll_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), 1)
        }
    }
}

/// Where a mutex lies: its core and, right behind it, its value, in one block that no other lock shares a line with. Stays
/// until nobody looks at the lock's figures any more.
@safe
final class MutexMemory: LockMeter, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: immutable pointers; the core holds atomics, the value is the mutex's matter.
    let core: UnsafeMutablePointer<MutexCore>
    let value: UnsafeMutableRawPointer
    private let block: UnsafeMutableRawPointer

    init<Value: ~Copyable>(for type: Value.Type) {
        let alignment = MemoryLayout<Value>.alignment
        let offset = (MemoryLayout<MutexCore>.size + alignment - 1) / alignment * alignment
        let size = (offset + MemoryLayout<Value>.size + 127) / 128 * 128
        unsafe block = .allocate(byteCount: size, alignment: max(128, alignment))
        unsafe core = block.bindMemory(to: MutexCore.self, capacity: 1)
        unsafe core.initialize(to: MutexCore())
        unsafe value = block + offset
    }

    deinit {
        unsafe core.deinitialize(count: 1)
        unsafe block.deallocate()
    }

    // Relaxed: figures. A hold that goes on counts, too.
    var acquisitions: UInt64 {
        let isTaken = unsafe core.pointee.word.load(ordering: .relaxed) == MutexCore.taken
        return unsafe core.pointee.acquisitions.load(ordering: .relaxed) &+ (isTaken ? 1 : 0)
    }

    var spun: UInt64 { unsafe core.pointee.spunCount }

    var lastHolder: CallSite { unsafe CallSite(word: core.pointee.holder.load(ordering: .relaxed)) }
}

internal import CLockLadder
internal import Synchronization

/// A mutual-exclusion lock around a value, which counts and times its own contention.
///
/// Use it for short critical sections that read and write a few words together. Do not use it around anything that
/// waits or calls code you do not own. Where readers are many and writers few, publish a snapshot instead
/// (``SnapshotCell``).
///
/// - Progress: blocking. A waiter spins briefly, then sleeps in the kernel; no order among waiters is promised.
/// - Memory order: acquiring on lock, releasing on unlock.
/// - Not recursive: taking it twice on one thread never returns.
/// - Accounting: an uncontended acquisition costs two plain stores beside the lock; the clock is read only by
///   threads that sleep.
@safe
public struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `storage` is touched by the lock's holder only; `core` is Sendable.
    @usableFromInline let core: MutexCore
    @usableFromInline let storage: UnsafeMutablePointer<Value>
    private let registry: ContentionRegistry?

    /// - Parameter name: what the lock is called in the journal, in `agentctl locks` and in metrics: lower case,
    ///   parts joined by dots. Locks that do the same for different objects may share a name.
    public init(_ name: StaticString, _ value: consuming sending Value) {
        self.init(value, probe: LockProbe(name: name, kind: .mutex), registry: .shared)
    }

    init(_ value: consuming sending Value, probe: LockProbe, registry: ContentionRegistry?) {
        core = MutexCore(probe: probe)
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: value)
        self.registry = registry
        registry?.enter(probe)
    }

    deinit {
        registry?.leave(core.probe)
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    /// Runs `body` with the lock held and the value at hand.
    ///
    /// The site of the call is kept so that a waiter can tell who held the lock.
    @inlinable
    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        let wait = core.lock(CallSite(fileID: fileID, line: line), in: function)
        defer {
            core.unlock(after: wait)
            if let wait { core.report(wait) }
        }
        return unsafe try body(&storage.pointee)
    }

    /// The figures of this lock.
    public var statistics: LockStatistics { core.probe.statistics }
}

/// The lock without its value: a futex word with three states, after Drepper's "Futexes are tricky".
@safe
@usableFromInline
final class MutexCore: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what is not atomic here is immutable.
    private static let unlocked: UInt32 = 0
    private static let locked: UInt32 = 1
    private static let lockedWithWaiters: UInt32 = 2

    /// The futex word. Its own allocation: the kernel needs an address that stays.
    private let state: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let probe: LockProbe
    private let holder = Atomic<UInt>(0)
    private let waiters = Atomic<UInt32>(0)
    /// When a holder last released a lock that had waiters: a hint for the one that is woken.
    private let releasedAt = Atomic<UInt64>(0)

    init(probe: LockProbe) {
        self.probe = probe
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: Atomic(Self.unlocked))
    }

    deinit {
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// - Returns: how the wait went, when the thread had to sleep for it.
    @usableFromInline
    func lock(_ site: CallSite, in function: StaticString) -> ContentionRecord? {
        // Acquiring: what the last holder wrote is seen. On failure nothing is read.
        let taken = unsafe state.pointee.compareExchange(
            expected: Self.unlocked,
            desired: Self.locked,
            successOrdering: .acquiring,
            failureOrdering: .relaxed
        ).exchanged
        let wait = taken ? nil : lockContended(site, in: function)
        // Relaxed: a hint, and a count that only the holder writes.
        holder.store(site.word, ordering: .relaxed)
        LockProbe.bump(probe.acquisitions)
        return wait
    }

    @inline(never)
    private func lockContended(_ site: CallSite, in function: StaticString) -> ContentionRecord? {
        // Relaxed: whoever held it a moment ago is the best that can be told.
        let heldBy = CallSite(word: holder.load(ordering: .relaxed))
        for _ in 0..<5 {
            for _ in 0..<30 { cll_pause() }
            if unsafe state.pointee.load(ordering: .relaxed) == Self.unlocked,
                unsafe state.pointee.compareExchange(
                    expected: Self.unlocked,
                    desired: Self.locked,
                    successOrdering: .acquiring,
                    failureOrdering: .relaxed
                ).exchanged
            {
                probe.noteSpun()
                return nil
            }
        }
        return park(site, in: function, heldBy: heldBy)
    }

    private func park(_ site: CallSite, in function: StaticString, heldBy: CallSite) -> ContentionRecord? {
        let start = cll_now_ns()
        // Relaxed: a statistic.
        let waiting = waiters.add(1, ordering: .relaxed).newValue
        var parks: UInt64 = 0
        // For which acquisition this thread sleeps, and since when.
        var heldFor = probe.acquisitions.load(ordering: .relaxed)
        var heldSince = start
        // Whoever has slept takes the lock as "with waiters", since others may sleep still: one wake-up too many is
        // harmless, one too few is not. Acquiring: as in the fast path.
        while unsafe state.pointee.exchange(Self.lockedWithWaiters, ordering: .acquiring) != Self.unlocked {
            let taken = probe.acquisitions.load(ordering: .relaxed)
            if taken != heldFor {
                heldFor = taken
                heldSince = cll_now_ns()
            }
            parks += 1
            let word = unsafe UnsafeRawPointer(state).assumingMemoryBound(to: UInt32.self)
            // Without a deadline: a mutex is held for short sections only, and its holder cannot vanish.
            _ = unsafe cll_futex_wait(word, Self.lockedWithWaiters, 0)
        }
        waiters.subtract(1, ordering: .relaxed)
        guard parks > 0 else {
            // Released between the last turn of the spinning and here.
            probe.noteSpun()
            return nil
        }
        let end = cll_now_ns()
        let released = min(max(releasedAt.load(ordering: .relaxed), start), end)
        let record = ContentionRecord(
            lock: probe.name,
            kind: probe.kind,
            waiter: site,
            waiterFunction: function,
            holder: heldBy,
            waitNanoseconds: end - start,
            holdNanoseconds: released - start,
            wakeNanoseconds: end - released,
            waiters: waiting,
            threadID: cll_thread_id(),
            endedAt: MonotonicTime(nanoseconds: end)
        )
        probe.noteParked(record, parks: parks)
        // Several may have held the lock during this wait, one after the other. Only when nobody has taken it since,
        // the time was one hold; `holder` still names it.
        if released > heldSince, probe.acquisitions.load(ordering: .relaxed) == heldFor {
            probe.noteHold(released - heldSince, at: CallSite(word: holder.load(ordering: .relaxed)))
        }
        return record
    }

    /// - Parameter wait: what ``lock(_:in:)`` returned; a holder that slept also learns its own hold time.
    @usableFromInline
    func unlock(after wait: ContentionRecord?) {
        if let wait {
            probe.noteHold(MonotonicTime.now.nanoseconds(since: wait.endedAt), at: wait.waiter)
        }
        // Releasing: the next holder sees what this one wrote.
        if unsafe state.pointee.exchange(Self.unlocked, ordering: .releasing) == Self.lockedWithWaiters {
            wakeOne()
        }
    }

    @inline(never)
    private func wakeOne() {
        releasedAt.store(cll_now_ns(), ordering: .relaxed)
        let word = unsafe UnsafeRawPointer(state).assumingMemoryBound(to: UInt32.self)
        _ = unsafe cll_futex_wake(word, 1)
    }

    @usableFromInline
    @inline(never)
    func report(_ wait: ContentionRecord) { ContentionRegistry.shared.report(wait) }
}

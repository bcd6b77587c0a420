public import CLockLadder
public import Synchronization

/// A read-write lock without its value.
///
/// Each reader announces itself in a slot of its own and then looks at `gate`; a writer closes the gate and then looks
/// at the slots. Between the two steps readers pass no barrier of the processor: the writer has every running thread
/// pass one (``BarrierEverywhere``), after which either it sees the reader's slot or the reader saw the closed gate.
/// Leaving works the same way round: a reader clears its slot and then looks at `writerSleeps`. Tests/ModelTests
/// searches the protocol exhaustively, with store buffers.
///
/// Where the kernel refuses that barrier, ``refused`` stands in both words from the start: readers then take the way
/// out of line, with barriers of their own.
///
/// What readers look at all the time lies on the first line and is written by writers only; what writers change among
/// themselves lies on lines of its own (S10 of the ladder).
@usableFromInline
struct RWCore: ~Copyable {
    @usableFromInline static var open: UInt32 { 0 }
    private static let closed: UInt32 = 1
    private static let refused: UInt32 = 1 << 31

    // The readers' line.
    @usableFromInline let gate: Atomic<UInt32>
    @usableFromInline let writerSleeps: Atomic<UInt32>
    private let readersLineEnds: InlineArray<15, UInt64> = .init(repeating: 0)

    // The writers' lines.
    private let writers = MutexCore()
    /// Moves on when a reader leaves while the writer sleeps: the futex word of that sleep.
    let departures = Atomic<UInt32>(0)
    private let sleepingReaders = Atomic<UInt32>(0)
    private let writes = Atomic<UInt64>(0)
    private let writerSite = Atomic<UInt>(0)
    /// The kernel's number of the thread that writes; 0 for none.
    private let writerThread = Atomic<UInt32>(0)
    private let writingSince = Atomic<UInt64>(0)
    /// When the last writer, or the last reader that a writer slept for, let go.
    private let releasedAt = Atomic<UInt64>(0)

    init() {
        let bias = BarrierEverywhere.isAvailable ? 0 : Self.refused
        gate = Atomic(bias)
        writerSleeps = Atomic(bias)
    }

    private var isRefused: Bool { gate.load(ordering: .relaxed) & Self.refused != 0 }

    // MARK: Reading

    /// - Returns: whether there is something to tell at the end of this read.
    @inlinable
    @inline(__always)
    func lockShared(
        _ slot: borrowing ReadSlot,
        _ site: CallSite,
        in function: StaticString,
        _ probe: LockProbe
    ) -> Bool {
        #if DEBUG
            LockOrder.willTake(probe, site)
            LockOrder.took(probe, site)
        #endif
        var isSpecial = false
        // Relaxed: the writer's barrier makes it visible in time.
        slot.reading.store(site.word, ordering: .relaxed)
        // The look at the gate comes after the announcement in program order; the rest is the writer's barrier.
        cll_compiler_barrier()
        // Acquiring: pairs with the release of the writer that opened the gate.
        if gate.load(ordering: .acquiring) != Self.open {
            isSpecial = lockSharedSlowly(slot, site, in: function, probe)
        }
        return isSpecial
    }

    @inlinable
    @inline(__always)
    func unlockShared(_ slot: borrowing ReadSlot, _ isSpecial: Bool) {
        #if DEBUG
            LockOrder.released()
        #endif
        if isSpecial { return unlockSharedSlowly(slot) }
        // Releasing: what was read was read before the writer goes on.
        slot.reading.store(0, ordering: .releasing)
        // The look below comes after the store in program order; the rest is the writer's barrier.
        cll_compiler_barrier()
        // Relaxed: see the type.
        if writerSleeps.load(ordering: .relaxed) != 0 { wakeWriter() }
    }

    @usableFromInline
    @inline(never)
    func lockSharedSlowly(
        _ slot: borrowing ReadSlot,
        _ site: CallSite,
        in function: StaticString,
        _ probe: LockProbe
    ) -> Bool {
        var wait: LockProbe.Wait?
        var turns = 0
        // Each turn but the first needs a writer that opened the gate and another that closed it.
        while !announce(slot, site) {
            // What the writer waits for is not this slot.
            leave(slot)
            turns += 1
            if turns == 1, spinAtGate() { continue }
            refuseToWaitForItself(site, probe)
            // Relaxed: a hint.
            let writer = CallSite(word: writerSite.load(ordering: .relaxed))
            var sleep = wait ?? probe.beginWait(.shared, at: site, in: function, heldBy: writer)
            sleepAtGate(&sleep)
            // Relaxed: a hint.
            sleep.runs(wokenAt: releasedAt.load(ordering: .relaxed))
            wait = sleep
        }
        guard let wait else {
            if turns > 0 { probe.noteSpun() }
            return false
        }
        unsafe slot.kept.pointee = probe.end(wait)
        return Accounting.isCompiledIn
    }

    /// - Returns: whether the reader is in.
    private func announce(_ slot: borrowing ReadSlot, _ site: CallSite) -> Bool {
        // Relaxed, with a full fence where there is no barrier from the writer.
        slot.reading.store(site.word, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        // Acquiring: as in the fast path.
        return gate.load(ordering: .acquiring) & Self.closed == 0
    }

    private func leave(_ slot: borrowing ReadSlot) {
        // Releasing: as in the fast path.
        slot.reading.store(0, ordering: .releasing)
        wakeWriter()
    }

    private func spinAtGate() -> Bool {
        for _ in 0..<8 {
            for _ in 0..<30 { cll_pause() }
            if gate.load(ordering: .relaxed) & Self.closed == 0 { return true }
        }
        return false
    }

    private func sleepAtGate(_ wait: inout LockProbe.Wait) {
        // Sequentially consistent: counted before the look at the gate below, as its writer looks after opening it.
        sleepingReaders.add(1, ordering: .sequentiallyConsistent)
        while true {
            let seen = gate.load(ordering: .sequentiallyConsistent)
            guard seen & Self.closed != 0 else { break }
            wait.parks += 1
            unsafe withUnsafePointer(to: gate) { gate in
                // Without a deadline: a write is short, and its writer cannot vanish.
                _ = unsafe cll_futex_wait(UnsafeRawPointer(gate).assumingMemoryBound(to: UInt32.self), seen, 0)
            }
        }
        sleepingReaders.subtract(1, ordering: .relaxed)
    }

    @usableFromInline
    @inline(never)
    func unlockSharedSlowly(_ slot: borrowing ReadSlot) {
        let record = unsafe slot.kept.pointee.take()
        if Accounting.isCompiledIn { releasedAt.store(cll_now_ns(), ordering: .relaxed) }
        leave(slot)
        if let record { ContentionRegistry.shared.report(record) }
    }

    /// To be called after a slot was cleared.
    @usableFromInline
    @inline(never)
    func wakeWriter() {
        // The cleared slot comes before the look, for every thread alike.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard writerSleeps.load(ordering: .relaxed) & ~Self.refused != 0 else { return }
        if Accounting.isCompiledIn { releasedAt.store(cll_now_ns(), ordering: .relaxed) }
        // Sequentially consistent: after the fence, before the call.
        // It may wrap: what matters is that it differs from what the writer saw last.
        departures.wrappingAdd(1, ordering: .sequentiallyConsistent)
        unsafe withUnsafePointer(to: departures) { departures in
            _ = unsafe cll_futex_wake(UnsafeRawPointer(departures).assumingMemoryBound(to: UInt32.self), 1)
        }
    }

    // MARK: Writing

    /// - Returns: whether there is something to tell at the end of the write; `nil` when the deadline passed first.
    func lockExclusively(
        _ slots: SlotList<ReadSlot>,
        _ site: CallSite,
        in function: StaticString,
        _ probe: LockProbe,
        patience: UInt64,
        until deadline: UInt64
    ) -> Bool? {
        refuseToWaitForItself(site, probe)
        #if DEBUG
            LockOrder.willTake(probe, site)
        #endif
        // One wait, be it for a writer, for readers, or for both in turn.
        var wait: LockProbe.Wait?
        var outcome = writers.lock(site, in: function, probe, &wait, until: deadline)
        guard outcome != .late else { return nil }
        // Relaxed: a hint for readers that wait from now on: it is this writer that they wait for.
        writerSite.store(site.word, ordering: .relaxed)
        if let reader = close(slots) {
            if spin(slots) {
                if outcome == .taken { outcome = .spun }
            } else {
                var sleep = wait ?? probe.beginWait(.exclusive, at: site, in: function, heldBy: reader)
                guard drain(slots, &sleep, probe, patience: patience, until: deadline) else {
                    reopenGate()
                    probe.abandon(sleep)
                    writers.unlock(probe, false)
                    return nil
                }
                wait = sleep
            }
        }
        if outcome == .spun, wait == nil { probe.noteSpun() }
        return begin(probe, wait)
    }

    /// The writer is in.
    private func begin(_ probe: LockProbe, _ wait: LockProbe.Wait?) -> Bool {
        #if DEBUG
            LockOrder.took(probe, CallSite(word: writerSite.load(ordering: .relaxed)))
        #endif
        // Relaxed, all: hints and figures; counted by one writer at a time.
        writerThread.store(cll_thread_id(), ordering: .relaxed)
        guard Accounting.isCompiledIn else { return false }
        writes.store(writes.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        // A write costs microseconds anyway, so each one is timed.
        writingSince.store(cll_now_ns(), ordering: .relaxed)
        guard let wait, let record = probe.end(wait) else { return false }
        probe.keep(record)
        return true
    }

    /// A thread that wants the lock while it writes would wait for ever.
    private func refuseToWaitForItself(_ site: CallSite, _ probe: LockProbe) {
        // Relaxed: a thread sees its own store, and the number of another is another.
        guard writerThread.load(ordering: .relaxed) == cll_thread_id() else { return }
        let own = CallSite(word: writerSite.load(ordering: .relaxed))
        fatalError("RWLock \(probe.name): \(site) would wait for this thread's own write at \(own)")
    }

    private func spin(_ slots: SlotList<ReadSlot>) -> Bool {
        for _ in 0..<8 {
            for _ in 0..<30 { cll_pause() }
            if slots.reader() == nil { return true }
        }
        return false
    }

    /// Closes the gate.
    ///
    /// - Returns: where somebody reads still; `nil` when the writer is in.
    private func close(_ slots: SlotList<ReadSlot>) -> CallSite? {
        // Sequentially consistent: before the barrier, so that readers that announce themselves after it see it.
        gate.bitwiseOr(Self.closed, ordering: .sequentiallyConsistent)
        if !passBarrier() {
            let limit = cll_now_ns() + 1_000_000
            // A late waker may end the sleep early: as many turns as there are such, and no more than the time allows.
            while cll_now_ns() < limit { _ = sleepForDeparture(departures.load(ordering: .relaxed), until: limit) }
        }
        return slots.reader()
    }

    /// - Returns: `false` when the barrier is refused although it was not at first: then what readers stored a moment
    ///   ago may not be visible yet. No store stays invisible for as long as a millisecond.
    private func passBarrier() -> Bool {
        // Where it is refused, readers pass a fence of their own; so does the writer, by its exchange on the gate.
        if isRefused || BarrierEverywhere.pass() { return true }
        gate.bitwiseOr(Self.refused, ordering: .sequentiallyConsistent)
        writerSleeps.bitwiseOr(Self.refused, ordering: .sequentiallyConsistent)
        return false
    }

    /// Waits until no reader is inside, with the gate closed at the end.
    private func drain(
        _ slots: SlotList<ReadSlot>,
        _ wait: inout LockProbe.Wait,
        _ probe: LockProbe,
        patience: UInt64,
        until deadline: UInt64
    ) -> Bool {
        var hold = (by: slots.reader() ?? wait.holder, since: cll_now_ns())
        defer {
            // Relaxed: a hint. The last reader that was slept for has held the lock at least from when it was seen.
            let released = releasedAt.load(ordering: .relaxed)
            if released > hold.since {
                probe.noteHold(released - hold.since, at: hold.by)
                wait.runs(wokenAt: released)
            }
        }
        if patience > 0 {
            let (end, isEndless) = cll_now_ns().addingReportingOverflow(patience)
            let limit = min(isEndless ? .max : end, deadline == 0 ? .max : deadline)
            if yield(slots, &wait, until: limit) { return true }
        }
        // Sequentially consistent: before the barrier, so that departures after it see it.
        writerSleeps.add(1, ordering: .sequentiallyConsistent)
        let isBarriered = passBarrier()
        defer { writerSleeps.subtract(1, ordering: .relaxed) }
        while true {
            guard let (reader, seen) = readerToWaitFor({ slots.reader() }) else { return true }
            let now = cll_now_ns()
            if deadline != 0, now >= deadline { return false }
            if reader != hold.by { hold = (reader, now) }
            wait.parks += 1
            // A departure may be missed where the barrier was refused just now: then the writer looks by itself.
            let limit = isBarriered ? deadline : now + 10_000_000
            _ = sleepForDeparture(seen, until: limit)
        }
    }

    /// Whom the writer has to sleep for, and what `departures` was before anybody looked.
    ///
    /// - Parameter look: looks who reads.
    func readerToWaitFor(_ look: () -> CallSite?) -> (reader: CallSite, departures: UInt32)? {
        // Sequentially consistent: read before the slots, so that a departure after that look ends the sleep.
        let seen = departures.load(ordering: .sequentiallyConsistent)
        guard let reader = look() else { return nil }
        return (reader, seen)
    }

    /// Lets readers go first until `limit`, looking now and then whether there is a moment without any.
    private func yield(_ slots: SlotList<ReadSlot>, _ wait: inout LockProbe.Wait, until limit: UInt64) -> Bool {
        var pause: UInt64 = 20_000
        while cll_now_ns() < limit {
            reopenGate()
            wait.parks += 1
            // Nobody wakes it: with readers in continuous succession that would cost each of them a system call.
            _ = sleepForDeparture(departures.load(ordering: .relaxed), until: min(cll_now_ns() + pause, limit))
            pause = min(pause * 2, 1_000_000)
            if close(slots) == nil { return true }
        }
        return false
    }

    private func sleepForDeparture(_ seen: UInt32, until deadline: UInt64) -> cll_wait_end {
        unsafe withUnsafePointer(to: departures) { departures in
            let word = unsafe UnsafeRawPointer(departures).assumingMemoryBound(to: UInt32.self)
            return unsafe cll_futex_wait(word, seen, deadline)
        }
    }

    /// Opens it although nothing was written: for readers that slept meanwhile, that was the release.
    private func reopenGate() {
        if Accounting.isCompiledIn { releasedAt.store(cll_now_ns(), ordering: .relaxed) }
        openGate()
    }

    private func openGate() {
        // Sequentially consistent: releases what was written, and comes before the look at who sleeps.
        gate.bitwiseAnd(~Self.closed, ordering: .sequentiallyConsistent)
        guard sleepingReaders.load(ordering: .sequentiallyConsistent) != 0 else { return }
        unsafe withUnsafePointer(to: gate) { gate in
            _ = unsafe cll_futex_wake(UnsafeRawPointer(gate).assumingMemoryBound(to: UInt32.self), .max)
        }
    }

    func unlockExclusively(_ probe: LockProbe, _ isSpecial: Bool) {
        #if DEBUG
            LockOrder.released()
        #endif
        if Accounting.isCompiledIn {
            let now = cll_now_ns()
            // Relaxed: hints and figures.
            releasedAt.store(now, ordering: .relaxed)
            let held = MonotonicTime(nanoseconds: now).nanoseconds(
                since: MonotonicTime(nanoseconds: writingSince.load(ordering: .relaxed))
            )
            probe.noteSample(held, at: CallSite(word: writerSite.load(ordering: .relaxed)))
        }
        // Relaxed: read by this thread, which knows what it has done, or by others, whose number it never is.
        writerThread.store(0, ordering: .relaxed)
        openGate()
        writers.unlock(probe, isSpecial)
    }

    // MARK: Figures

    // Relaxed, both.
    var writeCount: UInt64 { writes.load(ordering: .relaxed) }
    var lastWriter: CallSite { CallSite(word: writerSite.load(ordering: .relaxed)) }
    var isClosed: Bool { gate.load(ordering: .relaxed) & Self.closed != 0 }
}

/// Where a read-write lock lies. Stays until nobody looks at its figures any more.
@safe
final class RWMemory: LockMeter, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: immutable pointers; the core holds atomics, the value is the lock's matter.
    let core: UnsafeMutablePointer<RWCore>
    let slots = SlotList<ReadSlot>()

    init() {
        let raw = UnsafeMutableRawPointer.allocate(
            byteCount: (MemoryLayout<RWCore>.size + 127) / 128 * 128,
            alignment: 128
        )
        unsafe core = raw.bindMemory(to: RWCore.self, capacity: 1)
        unsafe core.initialize(to: RWCore())
    }

    deinit {
        unsafe core.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(core).deallocate()
    }

    var acquisitions: UInt64 { unsafe core.pointee.writeCount &+ slots.reads }

    /// Who writes, or else one of those who read; nobody in particular between two holds.
    var lastHolder: CallSite {
        if unsafe core.pointee.isClosed, slots.reader() == nil { return unsafe core.pointee.lastWriter }
        return unsafe slots.reader() ?? core.pointee.lastWriter
    }
}

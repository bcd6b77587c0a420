public import CLockLadder
public import Synchronization

/// A read-write lock around a value: many readers at once, or one writer, and it counts its own contention.
///
/// Use it where readers must see the state that a writer is changing in place, and writes are rare: a read costs a few
/// instructions and shares no line of memory with other readers; a write costs some microseconds. Do not use it where
/// an immutable object can be replaced as a whole (``SnapshotCell``: its readers never wait), nor where writes are
/// frequent (``Mutex``).
///
/// - Progress: blocking. A reader waits for a writer that is inside or, as ``Preference`` says, about to be; a writer
///   waits for the readers that are inside.
/// - Memory order: a reader sees what the last writer wrote (its look at the gate acquires what opening it released);
///   a writer comes after all reads that it waited for (their slots, released and acquired).
/// - Reads nest on one thread when they are made without a handle. A write inside such a read of the same thread, and a
///   read or write inside a write, would wait for itself: it ends the process with a message that names both places.
///   A write inside a read of the same thread through a ``RWReader`` never returns, nor does a read inside such a read
///   once a writer waits; debug builds notice both, and end the process like this too.
@safe
public final class RWLock<Value: ~Copyable>: @unchecked Sendable {
    /// Who goes first when both want the lock.
    public enum Preference: Sendable, Equatable {
        /// A writer that waits holds up readers that come after it. Writers in close succession can hold readers up for
        /// as long as they go on.
        case writers
        /// Readers go on while a writer waits, but no longer than so many nanoseconds; from then on they wait for it.
        case readers(writerPatience: UInt64)

        var patience: UInt64 {
            switch self {
            case .writers: 0
            case .readers(let patience): patience
            }
        }
    }

    /// A write that was not begun.
    public struct DeadlinePassed: Error, Sendable, Equatable, CustomStringConvertible {
        public let lock: String
        public var description: String { "the lock \(lock) was not free for writing before the deadline" }
    }

    // SAFETY: `@unchecked Sendable`: `storage` is touched as the lock allows; `core` holds atomics and lives as long as
    // `probe`.
    @usableFromInline let core: UnsafeMutablePointer<RWCore>
    @usableFromInline let storage: UnsafeMutablePointer<Value>
    @usableFromInline let probe: LockProbe
    /// The number under which threads keep their slots.
    @usableFromInline let number: UInt
    private let slots: SlotList<ReadSlot>
    private let preference: Preference

    /// - Parameters:
    ///   - name: what the lock is called in the journal, in `agentctl locks` and in metrics.
    ///   - preference: who goes first when both want it.
    public init(_ name: StaticString, preference: Preference = .writers, _ value: consuming sending Value) {
        let memory = RWMemory()
        probe = LockProbe(name: name, kind: .rwlock, meter: memory)
        unsafe core = memory.core
        slots = memory.slots
        self.preference = preference
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: value)
        number = ThreadEntries.claim { address in
            // SAFETY: `keep` is given slots of this lock's only.
            unsafe UnsafeMutablePointer<ReadSlot>(bitPattern: address)?.pointee.giveBack()
        }
        ContentionRegistry.shared.enter(probe)
    }

    deinit {
        ContentionRegistry.shared.leave(probe)
        ThreadEntries.release(number)
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    /// Runs `body` while no writer writes. May be called inside another read of the same thread.
    @inlinable
    @inline(__always)
    public func withReadLock<Result: ~Copyable, Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (borrowing Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let site = CallSite(fileID: fileID, line: line)
        let entry = unsafe cll_entry_at(number)
        guard unsafe entry.pointee.depth == 0 else { return unsafe try withReadLockInside(entry, body) }
        guard let kept = unsafe entry.pointee.slot ?? claimSlot() else {
            return try withSlotForOneRead(site, function, body)
        }
        // SAFETY: the entry's slot is one of this lock's.
        let slot = unsafe kept.assumingMemoryBound(to: ReadSlot.self)
        let isSpecial = unsafe core.pointee.lockShared(slot.pointee, site, in: function, probe)
        unsafe slot.pointee.countRead()
        // Numbers written down: see SnapshotCell.withSnapshot.
        unsafe entry.pointee.depth = 1
        defer {
            unsafe entry.pointee.depth = 0
            unsafe core.pointee.unlockShared(slot.pointee, isSpecial)
        }
        return unsafe try body(storage.pointee)
    }

    /// A read inside another of the same thread, which keeps writers out for both.
    @usableFromInline
    @inline(never)
    func withReadLockInside<Result: ~Copyable, Failure: Error>(
        _ entry: UnsafeMutablePointer<cll_entry>,
        _ body: (borrowing Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe entry.pointee.depth &+= 1
        defer { unsafe entry.pointee.depth &-= 1 }
        return unsafe try body(storage.pointee)
    }

    /// A read for which the thread keeps nothing: the slot itself says whose read it is.
    @usableFromInline
    @inline(never)
    func withSlotForOneRead<Result: ~Copyable, Failure: Error>(
        _ site: CallSite,
        _ function: StaticString,
        _ body: (borrowing Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let thread = cll_thread_id()
        if slots.site(ofReadBy: thread) != nil { return unsafe try body(storage.pointee) }
        let slot = unsafe slots.claim()
        // Relaxed: matters to this thread alone.
        unsafe slot.pointee.owner.store(thread, ordering: .relaxed)
        let isSpecial = unsafe core.pointee.lockShared(slot.pointee, site, in: function, probe)
        unsafe slot.pointee.countRead()
        defer {
            unsafe core.pointee.unlockShared(slot.pointee, isSpecial)
            unsafe slot.pointee.giveBack()
        }
        return unsafe try body(storage.pointee)
    }

    /// - Returns: `nil` when nothing is kept for this lock, as for ``ThreadEntries/none``, whose entry stays empty, or
    ///   can be kept for this thread.
    @usableFromInline
    @inline(never)
    func claimSlot() -> UnsafeMutableRawPointer? {
        if number == ThreadEntries.none || ThreadEntries.isRefused { return nil }
        let slot = unsafe slots.claim()
        guard unsafe ThreadEntries.keep(slot, for: number) else {
            unsafe slot.pointee.giveBack()
            return nil
        }
        return UnsafeMutableRawPointer(slot)
    }

    /// Makes a reader with a slot of its own: the fastest way to read.
    public func makeReader() -> RWReader<Value> { unsafe RWReader(self, slot: slots.claim()) }

    /// Runs `body` while nobody reads and nobody else writes.
    public func withWriteLock<Result: ~Copyable, Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        let site = CallSite(fileID: fileID, line: line)
        refuseToWaitForItself(site)
        // Without a deadline it does not return `nil`.
        let isSpecial = lock(site, function, until: 0) ?? false
        defer { unsafe core.pointee.unlockExclusively(probe, isSpecial) }
        return unsafe try body(&storage.pointee)
    }

    /// The same, unless readers or other writers hold it up until `deadline`: then nothing was done.
    public func withWriteLock<Result: ~Copyable>(
        until deadline: MonotonicTime,
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (inout sending Value) throws -> sending Result
    ) throws -> sending Result {
        let site = CallSite(fileID: fileID, line: line)
        refuseToWaitForItself(site)
        guard let isSpecial = lock(site, function, until: max(deadline.nanoseconds, 1)) else {
            throw DeadlinePassed(lock: "\(probe.name)")
        }
        defer { unsafe core.pointee.unlockExclusively(probe, isSpecial) }
        return unsafe try body(&storage.pointee)
    }

    private func lock(_ site: CallSite, _ function: StaticString, until deadline: UInt64) -> Bool? {
        unsafe core.pointee.lockExclusively(
            slots,
            site,
            in: function,
            probe,
            patience: preference.patience,
            until: deadline
        )
    }

    private func refuseToWaitForItself(_ site: CallSite) {
        guard let reading = siteOfOwnRead else { return }
        fatalError("RWLock \(probe.name): the write at \(site) would wait for this thread's own read at \(reading)")
    }

    /// Where the calling thread reads, if it does so without a handle.
    private var siteOfOwnRead: CallSite? {
        if number == 0 || ThreadEntries.isRefused { return slots.site(ofReadBy: cll_thread_id()) }
        let entry = unsafe cll_entry_at(number)
        guard unsafe entry.pointee.depth > 0 else { return nil }
        let slot = unsafe entry.pointee.slot?.assumingMemoryBound(to: ReadSlot.self)
        return unsafe CallSite(word: slot?.pointee.reading.load(ordering: .relaxed) ?? 0)
    }

    /// The figures of this lock: reads and writes together.
    public var statistics: LockStatistics { probe.statistics }
}

/// Reads one ``RWLock``. Belongs to one thread (or to whoever has exclusive access to it). `withReadLock` is mutating,
/// so a read inside a read of the same reader does not compile.
@safe
public struct RWReader<Value: ~Copyable>: ~Copyable {
    // SAFETY: the lock is held, so that the core and the value stay; the slot is this reader's alone.
    private let lock: RWLock<Value>
    @usableFromInline let core: UnsafeMutablePointer<RWCore>
    @usableFromInline let storage: UnsafeMutablePointer<Value>
    @usableFromInline let probe: LockProbe
    @usableFromInline let slot: UnsafeMutablePointer<ReadSlot>
    /// How often the slot's owners have read. Kept here, too, where it can stay in a register: to add one in memory, time
    /// and again, takes longer than all the rest of a read.
    @usableFromInline var reads: UInt64

    @usableFromInline
    init(_ lock: RWLock<Value>, slot: UnsafeMutablePointer<ReadSlot>) {
        self.lock = lock
        unsafe core = lock.core
        unsafe storage = lock.storage
        probe = lock.probe
        unsafe self.slot = slot
        // Relaxed: as the slot was given back.
        reads = unsafe slot.pointee.reads.load(ordering: .relaxed)
    }

    deinit { unsafe slot.pointee.giveBack() }

    /// Runs `body` while no writer writes.
    @inlinable
    @inline(__always)
    public mutating func withReadLock<Result: ~Copyable, Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (borrowing Value) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let site = CallSite(fileID: fileID, line: line)
        let isSpecial = unsafe core.pointee.lockShared(slot.pointee, site, in: function, probe)
        if Accounting.isCompiledIn {
            reads &+= 1
            // Relaxed: a figure, which nobody else writes.
            unsafe slot.pointee.reads.store(reads, ordering: .relaxed)
        }
        defer { unsafe core.pointee.unlockShared(slot.pointee, isSpecial) }
        return unsafe try body(storage.pointee)
    }
}

/// A mutual-exclusion lock around a value, which counts and times its own contention.
///
/// Use it for short critical sections that read and write a few words together. Do not use it around anything that
/// waits or calls code you do not own. Where readers are many and writers few, publish a snapshot instead
/// (``SnapshotCell``); where they must see one state with a writer, see ``RWLock``.
///
/// - Progress: blocking. A waiter spins briefly, then sleeps in the kernel; no order among waiters is promised. A lock
///   that is released while somebody sleeps for it always has a wake-up on its way.
/// - Memory order: acquiring on lock, releasing on unlock.
/// - Not recursive: taking it twice on one thread never returns. Debug builds say so (``LockOrder``).
/// - Cost: uncontended, one compare-and-exchange to lock and plain stores and loads to unlock: see ``MutexCore``.
/// - Accounting: an uncontended acquisition writes two words of the lock's own line; the clock is read only by threads
///   that sleep, and once in ``LockProbe/samplePeriod`` acquisitions.
@safe
public struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `storage` is touched by the lock's holder only; `core` holds atomics, and lives
    // as long as `probe`.
    @usableFromInline let core: UnsafeMutablePointer<MutexCore>
    @usableFromInline let storage: UnsafeMutablePointer<Value>
    @usableFromInline let probe: LockProbe
    private let registry: ContentionRegistry?

    /// - Parameter name: what the lock is called in the journal, in `agentctl locks` and in metrics: lower case,
    ///   parts joined by dots. Locks that do the same for different objects may share a name.
    public init(_ name: StaticString, _ value: consuming sending Value) {
        self.init(name, value, registry: .shared)
    }

    init(_ name: StaticString, _ value: consuming sending Value, registry: ContentionRegistry?) {
        let memory = MutexMemory(for: Value.self)
        probe = LockProbe(name: name, kind: .mutex, meter: memory)
        unsafe core = memory.core
        unsafe storage = memory.value.bindMemory(to: Value.self, capacity: 1)
        unsafe storage.initialize(to: value)
        self.registry = registry
        registry?.enter(probe)
    }

    deinit {
        registry?.leave(probe)
        unsafe storage.deinitialize(count: 1)
    }

    /// Runs `body` with the lock held and the value at hand.
    ///
    /// The site of the call is kept so that a waiter can tell who held the lock.
    @inlinable
    @inline(__always)
    public borrowing func withLock<Result: ~Copyable, Failure: Error>(
        fileID: StaticString = #fileID,
        line: UInt = #line,
        function: StaticString = #function,
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        let site = CallSite(fileID: fileID, line: line)
        #if DEBUG
            LockOrder.willTake(probe, site)
        #endif
        let isSpecial = unsafe core.pointee.lock(site, in: function, probe)
        #if DEBUG
            LockOrder.took(probe, site)
        #endif
        defer {
            #if DEBUG
                LockOrder.released()
            #endif
            unsafe core.pointee.unlock(probe, isSpecial)
        }
        return unsafe try body(&storage.pointee)
    }

    /// For what checks the order of locks itself.
    borrowing func withUncheckedLock<Result>(_ body: (inout Value) -> Result) -> Result {
        let isSpecial = unsafe core.pointee.lock(.none, in: #function, probe)
        defer { unsafe core.pointee.unlock(probe, isSpecial) }
        return unsafe body(&storage.pointee)
    }

    /// The figures of this lock.
    public var statistics: LockStatistics { probe.statistics }
}

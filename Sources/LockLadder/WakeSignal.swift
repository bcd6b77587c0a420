internal import CLockLadder
internal import Synchronization

/// A flag that one thread sleeps on and others raise. Raising it several times before it is seen counts once.
///
/// - Progress: raising never waits. One thread at a time may wait.
/// - Memory order: what was written before `raise()` is seen after the `wait` that it ended.
@safe
public final class WakeSignal: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the one field is an immutable pointer to an atomic, freed in deinit.
    private let word: UnsafeMutablePointer<Atomic<UInt32>>

    public init() {
        unsafe word = .allocate(capacity: 1)
        unsafe word.initialize(to: Atomic(0))
    }

    deinit {
        unsafe word.deinitialize(count: 1)
        unsafe word.deallocate()
    }

    public func raise() {
        // Releasing: see the type.
        guard unsafe word.pointee.exchange(1, ordering: .releasing) == 0 else { return }
        _ = unsafe cll_futex_wake(UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self), 1)
    }

    /// Sleeps until the flag is raised, and lowers it.
    ///
    /// - Returns: `false` when `deadline` passed first; without a deadline, always `true`.
    public func wait(until deadline: MonotonicTime?) -> Bool {
        // To the kernel's caller 0 means "no deadline"; the beginning of the clock is one, long past.
        let limit = deadline.map { max($0.nanoseconds, 1) } ?? 0
        while true {
            // Acquiring: pairs with the release in `raise`.
            if unsafe word.pointee.exchange(0, ordering: .acquiring) == 1 { return true }
            let address = unsafe UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self)
            if unsafe cll_futex_wait(address, 0, limit) == cll_deadline_passed {
                return unsafe word.pointee.exchange(0, ordering: .acquiring) == 1
            }
        }
    }
}

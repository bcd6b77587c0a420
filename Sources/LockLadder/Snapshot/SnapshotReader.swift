public import Synchronization

/// Reads one ``SnapshotCell``. Belongs to one thread (or to whoever has exclusive access to it).
///
/// The read is a load and a comparison while nothing changes. `withSnapshot` is mutating, so a read inside a read of
/// the same reader does not compile.
@safe
public struct SnapshotReader<Object: AnyObject & Sendable>: ~Copyable {
    // SAFETY: the cell is held, so that `current` and `slot` stay; the slot is this reader's alone.
    private let cell: SnapshotCell<Object>
    @usableFromInline let current: UnsafeMutablePointer<Atomic<UInt>>
    @usableFromInline let slot: UnsafeMutablePointer<ReaderSlot>
    /// The address in the slot: what this reader protects.
    @usableFromInline var protected: UInt = 0

    init(_ cell: SnapshotCell<Object>, slot: UnsafeMutablePointer<ReaderSlot>) {
        self.cell = cell
        unsafe self.current = cell.current
        unsafe self.slot = slot
    }

    deinit {
        unsafe slot.pointee.giveBack()
    }

    /// Lends out the newest object. It stays valid, and the same, until `body` returns.
    @inlinable
    public mutating func withSnapshot<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try withBorrowed(moveOn(), body)
    }

    /// Announces the newest object as the one in use.
    ///
    /// - Returns: its address.
    @inlinable
    @inline(__always)
    mutating func moveOn() -> UInt {
        // Acquiring: the object behind the address is seen as it was published.
        let newest = unsafe current.pointee.load(ordering: .acquiring)
        if newest != protected { protected = unsafe protect(newest, of: current, in: slot) }
        return protected
    }

    /// The newest object, retained: for those who must keep it. Readers that do this often share a reference count.
    @inlinable
    public mutating func strongCopy() -> Object { withSnapshot { copy $0 } }

    /// Lets go of the object used last, before a long pause. The next read takes a moment longer.
    public mutating func park() {
        unsafe slot.pointee.giveUp()
        protected = 0
    }
}

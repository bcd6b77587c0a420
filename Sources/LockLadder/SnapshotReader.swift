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
        unsafe slot.pointee.giveUp()
        // Releasing: the next owner of the slot finds it empty.
        unsafe slot.pointee.isTaken.store(false, ordering: .releasing)
    }

    /// Lends out the newest object. It stays valid, and the same, until `body` returns.
    @inlinable
    public mutating func withSnapshot<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        // Acquiring: the object behind the address is seen as it was published.
        let newest = unsafe current.pointee.load(ordering: .acquiring)
        if newest != protected { protected = unsafe protect(newest, of: current, in: slot) }
        return try withBorrowed(protected, body)
    }

    /// Announces the newest object as the one in use.
    mutating func moveOn() {
        // Acquiring: as in withSnapshot.
        let newest = unsafe current.pointee.load(ordering: .acquiring)
        if newest != protected { protected = unsafe protect(newest, of: current, in: slot) }
    }

    /// The newest object, retained: for those who must keep it. Readers that do this often share a reference count.
    public mutating func strongCopy() -> Object { withSnapshot { copy $0 } }

    /// Lets go of the object used last, before a long pause. The next read takes a moment longer.
    public mutating func park() {
        unsafe slot.pointee.giveUp()
        protected = 0
    }
}

extension ReaderSlot {
    func giveUp() {
        // Sequentially consistent, as all stores to a hazard: what was read before is done before it is let go.
        hazard.store(0, ordering: .sequentiallyConsistent)
    }
}

/// Announces in `slot` the object that is about to be used, until the announcement came in time.
///
/// Not generic and not inlined: the slow half of every read.
@usableFromInline
@inline(never)
func protect(
    _ first: UInt,
    of current: UnsafeMutablePointer<Atomic<UInt>>,
    in slot: UnsafeMutablePointer<ReaderSlot>
) -> UInt {
    var address = first
    while true {
        // Store, then load, both sequentially consistent: a publisher that swapped in between either sees the
        // hazard in its scan or is seen here. An object that a slot names is not freed, so its address cannot come
        // back as another object.
        unsafe slot.pointee.hazard.store(address, ordering: .sequentiallyConsistent)
        let newest = unsafe current.pointee.load(ordering: .sequentiallyConsistent)
        if newest == address { return address }
        address = newest
    }
}

/// A reader for an event loop: kept in an object, used by one thread, and safe to use inside its own reads.
///
/// A nested read sees the same object as the outer one, whatever is published meanwhile.
@safe
public final class LoopReader<Object: AnyObject & Sendable> {
    // The state lies outside the object's own fields: there, each access would be checked for exclusivity at run time.
    private let state: UnsafeMutablePointer<State>

    private struct State: ~Copyable {
        var reader: SnapshotReader<Object>
        var depth = 0

        mutating func enter() -> UInt {
            if depth == 0 { reader.moveOn() }
            depth += 1
            return reader.protected
        }
    }

    public init(_ cell: SnapshotCell<Object>) {
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State(reader: cell.makeReader()))
    }

    deinit {
        unsafe state.deinitialize(count: 1)
        unsafe state.deallocate()
    }

    /// Lends out the newest object, or, inside another read of this reader, the object of that read.
    public func withSnapshot<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let address = unsafe state.pointee.enter()
        defer { unsafe state.pointee.depth -= 1 }
        return try withBorrowed(address, body)
    }

    /// Moves on to the newest object, so that an older one can be freed. Does nothing inside a read.
    public func refresh() {
        guard unsafe state.pointee.depth == 0 else { return }
        _ = unsafe state.pointee.enter()
        unsafe state.pointee.depth -= 1
    }

    /// Lets go of the object used last. Does nothing inside a read.
    public func park() {
        guard unsafe state.pointee.depth == 0 else { return }
        unsafe state.pointee.reader.park()
    }
}

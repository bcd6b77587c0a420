/// A reader for an event loop: kept in an object, used by one thread, and safe to use inside its own reads.
///
/// A nested read sees the same object as the outer one, whatever is published meanwhile.
///
/// Use it where handlers run one after the other on one thread and may read inside each other's reads. Do not use it from
/// several threads, nor where reads never nest: a ``SnapshotReader`` is shorter, and the compiler rules nesting out.
///
/// - Progress and memory order: as ``SnapshotReader``. Reads and ``park()`` belong to the loop's thread.
/// - Price: the object used last stays alive until the next read, ``refresh()`` or ``park()``.
@safe
public final class LoopReader<Object: AnyObject & Sendable> {
    // The state lies outside the object's own fields: there, each access would be checked for exclusivity at run time.
    @usableFromInline let state: UnsafeMutablePointer<State>

    @usableFromInline
    struct State: ~Copyable {
        @usableFromInline var reader: SnapshotReader<Object>
        @usableFromInline var depth = 0

        init(reader: consuming SnapshotReader<Object>) { self.reader = reader }
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
    @inlinable
    public func withSnapshot<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard unsafe state.pointee.depth == 0 else { return try withSnapshotInside(body) }
        let address = unsafe state.pointee.reader.moveOn()
        // Numbers written down: see SnapshotCell.withSnapshot.
        unsafe state.pointee.depth = 1
        defer { unsafe state.pointee.depth = 0 }
        return try withBorrowed(address, body)
    }

    /// A read inside another.
    @usableFromInline
    @inline(never)
    func withSnapshotInside<Value, Failure: Error>(
        _ body: (borrowing Object) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        unsafe state.pointee.depth &+= 1
        defer { unsafe state.pointee.depth &-= 1 }
        return try withBorrowed(unsafe state.pointee.reader.protected, body)
    }

    /// Moves on to the newest object, so that an older one can be freed. Does nothing inside a read.
    public func refresh() {
        guard unsafe state.pointee.depth == 0 else { return }
        _ = unsafe state.pointee.reader.moveOn()
    }

    /// Lets go of the object used last. Does nothing inside a read.
    public func park() {
        guard unsafe state.pointee.depth == 0 else { return }
        unsafe state.pointee.reader.park()
    }
}

internal import Synchronization

/// One flight as the wait-for graph knows it, and as its work does that is to learn that nobody wants it any more.
@usableFromInline
class FlightNode: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `targets` is touched under the graph's mutex only; all else is immutable or
    // atomic.

    @usableFromInline let group: StaticString
    /// The flights that calls out of this one's work wait for.
    final var targets: [FlightNode] = []
    private final let over = Atomic<Bool>(false)
    private final let cancelled = Atomic<Bool>(false)

    @usableFromInline
    init(group: StaticString) { self.group = group }

    /// `group:key`, made when somebody is to read it: telling a key is its owner's code.
    var label: String { "\(group)" }

    /// Landed or abandoned: nobody waits for it any more.
    // Acquiring: pairs with the release in `end`, so that a search sees no more of the flight's waits than there were.
    final var isOver: Bool { over.load(ordering: .acquiring) }

    // Relaxed: a hint to the work, which orders nothing.
    @usableFromInline final var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    @usableFromInline
    final func end(isCancelled: Bool) {
        // Relaxed: see `isCancelled`.
        if isCancelled { cancelled.store(true, ordering: .relaxed) }
        // Releasing: see `isOver`.
        over.store(true, ordering: .releasing)
    }
}

/// A node that can tell its flight's key.
@usableFromInline
final class KeyedFlightNode<Key: Hashable & Sendable>: FlightNode, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what it adds is immutable.
    private let key: Key

    @usableFromInline
    init(group: StaticString, key: Key) {
        self.key = key
        super.init(group: group)
    }

    override var label: String { "\(group):\(key)" }
}

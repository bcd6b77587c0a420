internal import Synchronization

/// One flight as its work and the wait-for graph know it.
@usableFromInline
class FlightNode: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `targets` is touched under the graph's mutex only; all else is immutable or
    // atomic.

    /// The flight whose work the current task does. Child tasks inherit it, and so do unstructured tasks that the work
    /// starts. Work that a thread does without a task is told by its ``FlightFrame``.
    @TaskLocal static var current: FlightNode?

    /// The flight out of whose work the caller comes: the innermost, whether a task or a thread does it.
    @usableFromInline static var ofCaller: FlightNode? { FlightFrame.node(inside: current) }

    /// The same for code that is compiled into its users.
    @usableFromInline static let binding = $current

    /// By what the runtime knows ``current``.
    // SAFETY: never freed, and read only.
    @usableFromInline nonisolated(unsafe) static let taskLocal = unsafe UnsafeRawPointer(
        Unmanaged.passUnretained($current).toOpaque()
    )

    /// The flight of the current task, for code that is compiled into its users.
    @usableFromInline static var ofTask: FlightNode? { current }

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

    /// Runs the work of this flight in the current task.
    @inlinable
    final func perform<Key: Sendable, Value: Sendable>(
        _ work: @Sendable (Key) async throws -> Value,
        _ key: Key
    ) async throws -> Value {
        try await Self.binding.withValue(self) { try await work(key) }
    }

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

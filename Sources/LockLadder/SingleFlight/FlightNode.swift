internal import Synchronization

/// One flight as its work and the wait-for graph know it.
@usableFromInline
final class FlightNode: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: `targets` is touched under the graph's mutex only; all else is immutable or
    // atomic.

    /// The flight whose work the current task or thread does. Child tasks inherit it, and so do unstructured tasks
    /// that the work starts.
    @TaskLocal static var current: FlightNode?

    /// The same for code that is compiled into its users.
    @usableFromInline static var ofCaller: FlightNode? { current }

    /// `group:key`, made when somebody is to read it: telling a key is its owner's code.
    let label: @Sendable () -> String
    /// The flights that calls out of this one's work wait for.
    var targets: [FlightNode] = []
    private let over = Atomic<Bool>(false)
    private let cancelled = Atomic<Bool>(false)

    @usableFromInline
    init<Key: Hashable & Sendable>(group: StaticString, key: Key) {
        label = { "\(group):\(key)" }
    }

    /// Landed or abandoned: nobody waits for it any more.
    // Acquiring: pairs with the release in `end`, so that a search sees no more of the flight's waits than there were.
    var isOver: Bool { over.load(ordering: .acquiring) }

    // Relaxed: a hint to the work, which orders nothing.
    @usableFromInline var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// Runs the work of this flight.
    @usableFromInline
    func perform<Value>(_ work: () throws -> Value) rethrows -> Value {
        try Self.$current.withValue(self, operation: work)
    }

    @usableFromInline
    func perform<Value: Sendable>(_ work: @Sendable () async throws -> Value) async rethrows -> Value {
        try await Self.$current.withValue(self, operation: work)
    }

    @usableFromInline
    func end(isCancelled: Bool) {
        // Relaxed: see `isCancelled`.
        if isCancelled { cancelled.store(true, ordering: .relaxed) }
        // Releasing: see `isOver`.
        over.store(true, ordering: .releasing)
    }
}

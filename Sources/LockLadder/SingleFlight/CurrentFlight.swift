public import CLockLadder

/// Who knows the nodes of its flights, and makes one when it is asked for.
@usableFromInline
protocol FlightOwner: AnyObject, Sendable {
    /// - Returns: `nil` when the flight is over.
    func node(of id: UInt64, at place: Int) -> FlightNode?
}

/// The flight whose work calls: what tells a cycle from a plain wait.
///
/// It names the flight without being it: a flight that nobody else comes to know needs no node, and whatever outlives
/// it finds none, not that of a later flight in the same place.
@usableFromInline
struct CurrentFlight: Sendable {
    @usableFromInline let owner: any FlightOwner
    @usableFromInline let id: UInt64
    @usableFromInline let place: Int

    @inlinable
    init(owner: any FlightOwner, id: UInt64, place: Int) {
        self.owner = owner
        self.id = id
        self.place = place
    }

    /// The flight whose work the current task does. Child tasks inherit it, and so do unstructured tasks that the work
    /// starts. Work that a thread does without a task is told by its ``FlightFrame``.
    @TaskLocal static var ofTask: CurrentFlight?

    /// The same for code that is compiled into its users.
    @usableFromInline static let binding = $ofTask

    /// By what the runtime knows ``ofTask``.
    // SAFETY: never freed, and read only.
    @usableFromInline nonisolated(unsafe) static let taskLocal = unsafe UnsafeRawPointer(
        Unmanaged.passUnretained($ofTask).toOpaque()
    )

    /// Tells a flight from all others of the process.
    @usableFromInline
    struct Identity: Equatable {
        let owner: ObjectIdentifier
        let id: UInt64
    }

    @usableFromInline static var identityOfTask: Identity? {
        ofTask.map { Identity(owner: ObjectIdentifier($0.owner), id: $0.id) }
    }

    /// Whether a call made here comes out of the work of no flight.
    @inlinable
    @inline(__always)
    static var isNone: Bool { unsafe cll_flight_frame() == nil && swift_task_localValueGet(taskLocal) == nil }

    /// The flight out of whose work the caller comes: the innermost, whether a task or a thread does it; `nil` when
    /// there is none, or nobody waits for it any more.
    @usableFromInline static var node: FlightNode? {
        let current = ofTask
        if let frame = unsafe cll_flight_frame()?.assumingMemoryBound(to: FlightFrame.self),
            unsafe frame.pointee.outer == identityOfTask
        {
            return unsafe frame.pointee.owner.node(of: frame.pointee.id, at: frame.pointee.place)
        }
        return current.flatMap { $0.owner.node(of: $0.id, at: $0.place) }
    }

    /// Does work of this flight in the current task.
    @inlinable
    @inline(__always)
    nonisolated(nonsending) func perform<Key: Sendable, Value: Sendable>(
        _ work: @Sendable (Key) async throws -> Value,
        _ key: Key
    ) async throws -> Value {
        try await Self.binding.withValue(self) { try await work(key) }
    }
}

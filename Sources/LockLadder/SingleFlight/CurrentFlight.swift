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

    @usableFromInline static let binding = $ofTask

    /// By what the runtime knows ``ofTask``.
    // SAFETY: never freed, and read only.
    @usableFromInline nonisolated(unsafe) static let taskLocal = unsafe UnsafeRawPointer(
        Unmanaged.passUnretained($ofTask).toOpaque()
    )

    /// The flight of the current task, for code that is compiled into its users.
    @usableFromInline static var idOfTask: UInt64? { ofTask?.id }

    /// Whether a call made here comes out of the work of no flight.
    @inlinable
    @inline(__always)
    static var isNone: Bool { unsafe cll_flight_frame() == nil && swift_task_localValueGet(taskLocal) == nil }

    /// The flight out of whose work the caller comes: the innermost, whether a task or a thread does it; `nil` when
    /// there is none, or nobody waits for it any more.
    @usableFromInline static var node: FlightNode? {
        let current = ofTask
        guard let frame = unsafe cll_flight_frame()?.assumingMemoryBound(to: FlightFrame.self),
            unsafe frame.pointee.outer == current?.id
        else { return current?.owner.node(of: current?.id ?? 0, at: current?.place ?? 0) }
        return unsafe frame.pointee.owner.node(of: frame.pointee.id, at: frame.pointee.place)
    }

    /// Does work of this flight in the current task.
    @inlinable
    @inline(__always)
    nonisolated(nonsending) func perform<Key: Sendable, Value: Sendable>(
        _ work: nonisolated(nonsending) @Sendable (Key) async throws -> Value,
        _ key: Key
    ) async throws -> Value {
        try await Self.binding.withValue(self) { try await work(key) }
    }
}

/// The flight whose work a thread does, on that thread's stack for as long as it does it.
///
/// It costs a store or two, where a task-local value outside of a task costs memory. A task that the work starts does
/// not inherit it: what it calls is not the work's call.
@safe
@usableFromInline
struct FlightFrame {
    @usableFromInline unowned(unsafe) let owner: any FlightOwner
    @usableFromInline let id: UInt64
    @usableFromInline let place: Int
    /// The task's flight when this one began: where it is another one now, that one is the inner.
    @usableFromInline let outer: UInt64?

    // SAFETY: `unowned(unsafe)`: the owner does the work itself, in a method of its own.
    @inlinable
    init(owner: any FlightOwner, id: UInt64, place: Int, inside outer: UInt64?) {
        unsafe self.owner = owner
        self.id = id
        self.place = place
        self.outer = outer
    }

    /// Does work of the flight on this thread.
    @inlinable
    @inline(__always)
    mutating func perform<Value>(_ work: () throws -> Value) rethrows -> Value {
        let outside = unsafe cll_flight_frame()
        return unsafe try withUnsafeMutablePointer(to: &self) { frame in
            unsafe cll_set_flight_frame(UnsafeMutableRawPointer(frame))
            // SAFETY: taken away again before this frame of the stack goes.
            defer { unsafe cll_set_flight_frame(outside) }
            return try work()
        }
    }

    /// Runs what is not to count as the work of the flight of this thread.
    static func outside<Value>(_ body: () throws -> Value) rethrows -> Value {
        let frame = unsafe cll_flight_frame()
        cll_set_flight_frame(nil)
        defer { unsafe cll_set_flight_frame(frame) }
        return try body()
    }
}

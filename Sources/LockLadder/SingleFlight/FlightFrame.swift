public import CLockLadder

/// Who knows the node of a flight whose work a thread does, and makes it when it is asked for: a call out of the work.
@usableFromInline
protocol FlightOwner: AnyObject {
    func node(of id: UInt64, at place: Int) -> FlightNode?
}

/// The flight whose work a thread does, on that thread's stack for as long as it does it.
///
/// It costs a store or two, where a task-local value outside of a task costs memory; and a flight that nobody else
/// comes to know needs no node. A task that the work starts does not inherit it: what it calls is not the work's call.
@safe
@usableFromInline
struct FlightFrame {
    @usableFromInline unowned(unsafe) let owner: any FlightOwner
    @usableFromInline let id: UInt64
    @usableFromInline let place: Int
    /// The task's flight when this one began: where it is another one now, that one is the inner.
    @usableFromInline let outer: ObjectIdentifier?

    // SAFETY: `unowned(unsafe)`: the owner does the work itself, in a method of its own.
    @inlinable
    init(owner: any FlightOwner, id: UInt64, place: Int, inside outer: FlightNode?) {
        unsafe self.owner = owner
        self.id = id
        self.place = place
        self.outer = outer.map { ObjectIdentifier($0) }
    }

    /// Runs the work of the flight.
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

    /// - Parameter current: the flight of the current task.
    static func node(inside current: FlightNode?) -> FlightNode? {
        guard let frame = unsafe cll_flight_frame()?.assumingMemoryBound(to: FlightFrame.self) else { return current }
        guard unsafe frame.pointee.outer == current.map({ ObjectIdentifier($0) }) else { return current }
        return unsafe frame.pointee.owner.node(of: frame.pointee.id, at: frame.pointee.place)
    }

    /// Whether a call made here comes out of the work of a flight.
    @inlinable
    @inline(__always)
    static var isInsideNone: Bool {
        unsafe cll_flight_frame() == nil && swift_task_localValueGet(FlightNode.taskLocal) == nil
    }

    /// Runs what is not to count as the work of the flight of this thread.
    static func outside<Value>(_ body: () throws -> Value) rethrows -> Value {
        let frame = unsafe cll_flight_frame()
        cll_set_flight_frame(nil)
        defer { unsafe cll_set_flight_frame(frame) }
        return try body()
    }
}

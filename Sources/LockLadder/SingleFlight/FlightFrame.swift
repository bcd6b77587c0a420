public import CLockLadder

/// The flight whose work a thread does, on that thread's stack for as long as it does it.
///
/// It costs a store or two, where a task-local value outside of a task costs memory. A task that the work starts does
/// not inherit it: what it calls is not the work's call.
@safe
@usableFromInline
struct FlightFrame {
    // SAFETY: the owner does the work itself, in a method of its own, and so outlives this.
    @usableFromInline unowned(unsafe) let owner: any FlightOwner
    @usableFromInline let id: UInt64
    @usableFromInline let place: Int
    /// The task's flight when this one began: where it is another one now, that one is the inner.
    @usableFromInline let outer: CurrentFlight.Identity?

    @inlinable
    init(owner: any FlightOwner, id: UInt64, place: Int, inside outer: CurrentFlight.Identity?) {
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

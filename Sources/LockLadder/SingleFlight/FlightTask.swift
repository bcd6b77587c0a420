/// Which task does the work of an ``AsyncSingleFlight``.
public enum FlightTask: Sendable {
    /// One of the group's own, made for the flight: no caller's cancellation, priority or task-local values rule the
    /// others. A caller is answered at once when it is cancelled.
    ///
    /// Without a deadline the caller that causes the flight lends it its thread: the work runs there until it first
    /// waits, and on the pool from then on. With a deadline, and for a rerun, it begins on the pool.
    case groupsOwn
    /// That of the caller that causes the flight, if it has no deadline: no task is made, which costs a small part of
    /// the other way. The work then sees that task's priority, task-local values and cancellation, and its caller is
    /// answered when the work has returned, cancelled or not. It runs on the pool, or where it is isolated to itself,
    /// never on its caller's actor.
    ///
    /// Nobody is ruled by another one's cancellation: when the work throws, whatever it throws, and its caller's task is
    /// cancelled by then, the error goes to that caller alone. The work is begun anew for the others: by one of them
    /// that has no deadline, in its task, or else by a task of the group's own. What the work *returns* in a cancelled
    /// task is everybody's result. `Task.isCancelled` in the work tells of the caller whose task it runs in, not whether
    /// others wait. Callers that share the flight, and callers with a deadline, are answered at once when they are
    /// cancelled or out of time; but not one that does the work anew.
    case callers
}

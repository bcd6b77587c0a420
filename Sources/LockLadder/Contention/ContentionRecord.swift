/// One contended acquisition, told after it is over. Of fixed size and without references, so that it can be copied
/// into a preallocated ring.
public struct ContentionRecord: Sendable {
    public var lock: StaticString
    public var kind: LockKind
    public var mode: LockMode
    /// Where the thread waited.
    public var waiter: CallSite
    public var waiterFunction: StaticString
    /// Who held the lock when the wait began, as far as could be seen.
    public var holder: CallSite
    /// From the first look at the taken lock until it was granted.
    public var waitNanoseconds: UInt64
    /// The part of the wait during which the lock was still held, by one or by several in turn; the rest is wake-up
    /// latency.
    public var holdNanoseconds: UInt64
    /// From the release that ended the wait until this thread ran again with the lock.
    public var wakeNanoseconds: UInt64
    /// Threads waiting when the wait began, this one included.
    public var waiters: UInt32
    public var threadID: UInt32
    /// How often this lock was contended until now, this time included.
    public var contended: UInt64
    public var endedAt: MonotonicTime
}

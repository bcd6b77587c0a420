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
    /// The rest of the wait. With nothing taken meanwhile, for so long the one hold lasted; else it is the time of
    /// several holds, and of whatever kept this thread from its turn between them.
    public var holdNanoseconds: UInt64
    /// Wake-up latency: from a release that this thread was to be woken by until it ran.
    public var wakeNanoseconds: UInt64
    /// How often others took the lock during the wait. 0 for locks that do not count it.
    public var takenMeanwhile: UInt64
    /// Threads waiting when the wait began, this one included.
    public var waiters: UInt32
    public var threadID: UInt32
    /// How often this lock was contended until now, this time included.
    public var contended: UInt64
    public var endedAt: MonotonicTime
}

public import Synchronization

/// What sort of lock a figure belongs to.
public enum LockKind: String, Sendable {
    case mutex
}

/// One contended acquisition, told after it is over. Of fixed size and without references, so that it can be copied
/// into a preallocated ring.
public struct ContentionRecord: Sendable {
    public var lock: StaticString
    public var kind: LockKind
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
    public var endedAt: MonotonicTime
}

/// The running figures of one lock. Written only by the lock's holder, read by anyone at any time without stopping
/// anybody: figures of one reading may be a moment apart.
public final class LockProbe: Sendable {
    public let name: StaticString
    public let kind: LockKind

    // All relaxed: the lock itself orders the writers, and readers ask for no order.
    @usableFromInline let acquisitions = Atomic<UInt64>(0)
    private let contended = Atomic<UInt64>(0)
    private let spun = Atomic<UInt64>(0)
    private let parks = Atomic<UInt64>(0)
    private let waitTotal = Atomic<UInt64>(0)
    private let waitMax = Atomic<UInt64>(0)
    private let wakeMax = Atomic<UInt64>(0)
    private let holdMax = Atomic<UInt64>(0)
    private let holdMaxSite = Atomic<UInt>(0)
    private let waitersMax = Atomic<UInt32>(0)
    public let waits = WaitHistogram()

    init(name: StaticString, kind: LockKind) {
        self.name = name
        self.kind = kind
    }

    /// The holder counts an acquisition that was contended but got by spinning.
    func noteSpun() {
        Self.bump(contended)
        Self.bump(spun)
    }

    /// The holder counts an acquisition for which it slept.
    func noteParked(_ record: ContentionRecord, parks parkCount: UInt64) {
        Self.bump(contended)
        Self.bump(parks, by: parkCount)
        Self.bump(waitTotal, by: record.waitNanoseconds)
        Self.raise(waitMax, to: record.waitNanoseconds)
        Self.raise(wakeMax, to: record.wakeNanoseconds)
        if record.waiters > waitersMax.load(ordering: .relaxed) { waitersMax.store(record.waiters, ordering: .relaxed) }
        waits.record(nanoseconds: record.waitNanoseconds)
    }

    func noteHold(_ nanoseconds: UInt64, at site: CallSite) {
        guard nanoseconds > holdMax.load(ordering: .relaxed) else { return }
        holdMax.store(nanoseconds, ordering: .relaxed)
        holdMaxSite.store(site.word, ordering: .relaxed)
    }

    // One writer at a time (the holder): a load and a store are enough, and cheaper than a locked addition.
    @usableFromInline
    @inline(__always)
    static func bump(_ counter: borrowing Atomic<UInt64>, by delta: UInt64 = 1) {
        counter.store(counter.load(ordering: .relaxed) &+ delta, ordering: .relaxed)
    }

    private static func raise(_ counter: borrowing Atomic<UInt64>, to value: UInt64) {
        if value > counter.load(ordering: .relaxed) { counter.store(value, ordering: .relaxed) }
    }

    /// The figures as they stand.
    public var statistics: LockStatistics {
        LockStatistics(
            acquisitions: acquisitions.load(ordering: .relaxed),
            contended: contended.load(ordering: .relaxed),
            spun: spun.load(ordering: .relaxed),
            parks: parks.load(ordering: .relaxed),
            waitTotalNanoseconds: waitTotal.load(ordering: .relaxed),
            waitMaxNanoseconds: waitMax.load(ordering: .relaxed),
            wakeMaxNanoseconds: wakeMax.load(ordering: .relaxed),
            holdMaxNanoseconds: holdMax.load(ordering: .relaxed),
            holdMaxSite: CallSite(word: holdMaxSite.load(ordering: .relaxed)),
            waitersMax: waitersMax.load(ordering: .relaxed)
        )
    }
}

/// A reading of a ``LockProbe``.
public struct LockStatistics: Sendable {
    public var acquisitions: UInt64
    /// Acquisitions that did not get the lock at once.
    public var contended: UInt64
    /// Of those, the ones that got it by spinning. Spinning is not timed.
    public var spun: UInt64
    /// How often threads went to sleep for this lock.
    public var parks: UInt64
    /// Time waited by threads that slept.
    public var waitTotalNanoseconds: UInt64
    public var waitMaxNanoseconds: UInt64
    /// The longest time from a release to the woken thread's running.
    public var wakeMaxNanoseconds: UInt64
    /// The longest known hold, and the site that held. Holds are timed when somebody slept for them.
    public var holdMaxNanoseconds: UInt64
    public var holdMaxSite: CallSite
    public var waitersMax: UInt32
}

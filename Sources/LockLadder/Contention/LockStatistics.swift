/// A reading of a ``LockProbe``.
public struct LockStatistics: Sendable {
    public var acquisitions: UInt64 = 0
    /// Acquisitions that did not get the lock at once.
    public var contended: UInt64 = 0
    /// Of those, the ones that got it by spinning. Spinning is not timed.
    public var spun: UInt64 = 0
    /// How often threads went to sleep for this lock.
    public var parks: UInt64 = 0
    /// How many of those who slept left without what they slept for, because their deadline passed.
    public var gaveUp: UInt64 = 0
    /// Time waited by threads that slept.
    public var waitTotalNanoseconds: UInt64 = 0
    public var waitMaxNanoseconds: UInt64 = 0
    /// Where the longest wait was.
    public var waitMaxSite = CallSite.none
    /// Who held the lock when that wait began.
    public var waitMaxHolderSite = CallSite.none
    /// The longest time from a release to the woken thread's running.
    public var wakeMaxNanoseconds: UInt64 = 0
    /// All those times together.
    public var wakeTotalNanoseconds: UInt64 = 0
    /// The longest known hold, and the site that held. Holds are timed when somebody slept for them, and one in
    /// ``LockProbe/samplePeriod`` besides.
    public var holdMaxNanoseconds: UInt64 = 0
    public var holdMaxSite = CallSite.none
    /// Holds timed as samples, whoever waited or not: their mean is that of all holds.
    public var holdSamples: UInt64 = 0
    public var holdSampledNanoseconds: UInt64 = 0
    public var waitersMax: UInt32 = 0

    // How it stands at this moment.

    /// Threads that sleep for the lock now.
    public var waiting: UInt32 = 0
    /// For how long somebody has been waiting, at least; 0 when nobody is.
    public var waitingNanoseconds: UInt64 = 0
    /// Where that one waits; ``CallSite/none`` once the thread that waited first is served and others wait on.
    public var waitingSite = CallSite.none
    /// Who took the lock last. While somebody waits, that is who holds it.
    public var lastHolderSite = CallSite.none

    public init() {}
}

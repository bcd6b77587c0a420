/// The answer to `GET /v1/locks`.
public struct LocksReport: Codable, Sendable, Hashable {
    /// Whether locks count their contention; where that was left out of the build there is none to show.
    public var accounting: Bool
    /// Since when they count: the start of the agent.
    public var since: WireTime
    /// Each lock, worst first: those that somebody waits for now, then those with the longest total wait.
    public var locks: [LockStatus]

    enum CodingKeys: String, CodingKey {
        case accounting
        case since
        case locks
    }

    public init(accounting: Bool, since: WireTime, locks: [LockStatus]) {
        self.accounting = accounting
        self.since = since
        self.locks = locks
    }
}

/// What is known of one lock, or of all locks of one name.
public struct LockStatus: Codable, Sendable, Hashable {
    /// Its name.
    public var name: String
    /// What kind of lock it is: mutex, rwlock and so on.
    public var kind: String
    /// How many locks bear this name.
    public var instances: Int
    /// How often it was taken.
    public var acquisitions: UInt64
    /// How often somebody had to wait for it.
    public var contended: UInt64
    /// How often a waiter got the lock by looking again, without sleeping.
    public var spins: UInt64
    /// How often a waiter went to sleep.
    public var parks: UInt64
    /// How many threads wait at this moment.
    public var waiting: Int
    /// How long the oldest of those waits has lasted so far; 0 when nobody waits.
    public var waitingMicroseconds: UInt64
    /// Where in the program that one waits.
    public var waitingSite: String?
    /// Where the lock was taken that is waited for now, by whoever holds it.
    public var holdingSite: String?
    /// How long all waits took together.
    public var waitTotalMicroseconds: UInt64
    /// How long the longest wait took.
    public var waitMaxMicroseconds: UInt64
    /// Where the longest wait was.
    public var waitMaxSite: String?
    /// Where the lock had been taken that was waited for longest.
    public var waitMaxHolderSite: String?
    /// How many waiters gave up because their deadline passed.
    public var gaveUp: UInt64
    /// How long it took from the releases until the woken threads ran, over all waits.
    public var wakeTotalMicroseconds: UInt64
    /// The longest time from a wake-up until the woken thread ran.
    public var wakeLatencyMaxMicroseconds: UInt64
    /// The most threads that waited at once.
    public var waitersMax: Int
    /// Where in the program it was held longest.
    public var holderSite: String?
    /// How long it was held there.
    public var holdMaxMicroseconds: UInt64
    /// How many holds were timed as samples, whether somebody waited or not.
    public var holdSamples: UInt64
    /// How long those took on average, to the nanosecond; 0 when there are none.
    public var holdMeanMicroseconds: Double
    /// How many waits the histogram counts, those longer than its last bound included.
    public var waitCount: UInt64
    /// The waits by length, cumulative, shortest first.
    public var waitHistogram: [HistogramBucket]

    enum CodingKeys: String, CodingKey {
        case name
        case kind
        case instances
        case acquisitions
        case contended
        case spins
        case parks
        case waiting
        case waitingMicroseconds = "waiting_us"
        case waitingSite = "waiting_site"
        case holdingSite = "holding_site"
        case waitTotalMicroseconds = "wait_total_us"
        case waitMaxMicroseconds = "wait_max_us"
        case waitMaxSite = "wait_max_site"
        case waitMaxHolderSite = "wait_max_holder_site"
        case gaveUp = "gave_up"
        case wakeTotalMicroseconds = "wake_total_us"
        case wakeLatencyMaxMicroseconds = "wake_latency_max_us"
        case waitersMax = "waiters_max"
        case holderSite = "holder_site"
        case holdMaxMicroseconds = "hold_max_us"
        case holdSamples = "hold_samples"
        case holdMeanMicroseconds = "hold_mean_us"
        case waitCount = "wait_count"
        case waitHistogram = "wait_histogram"
    }

    public init(
        name: String,
        kind: String,
        instances: Int,
        acquisitions: UInt64,
        contended: UInt64,
        spins: UInt64,
        parks: UInt64,
        waiting: Int,
        waitingMicroseconds: UInt64,
        waitingSite: String? = nil,
        holdingSite: String? = nil,
        waitTotalMicroseconds: UInt64,
        waitMaxMicroseconds: UInt64,
        waitMaxSite: String? = nil,
        waitMaxHolderSite: String? = nil,
        gaveUp: UInt64 = 0,
        wakeTotalMicroseconds: UInt64,
        wakeLatencyMaxMicroseconds: UInt64,
        waitersMax: Int,
        holderSite: String? = nil,
        holdMaxMicroseconds: UInt64,
        holdSamples: UInt64,
        holdMeanMicroseconds: Double,
        waitCount: UInt64,
        waitHistogram: [HistogramBucket]
    ) {
        self.name = name
        self.kind = kind
        self.instances = instances
        self.acquisitions = acquisitions
        self.contended = contended
        self.spins = spins
        self.parks = parks
        self.waiting = waiting
        self.waitingMicroseconds = waitingMicroseconds
        self.waitingSite = waitingSite
        self.holdingSite = holdingSite
        self.waitTotalMicroseconds = waitTotalMicroseconds
        self.waitMaxMicroseconds = waitMaxMicroseconds
        self.waitMaxSite = waitMaxSite
        self.waitMaxHolderSite = waitMaxHolderSite
        self.gaveUp = gaveUp
        self.wakeTotalMicroseconds = wakeTotalMicroseconds
        self.wakeLatencyMaxMicroseconds = wakeLatencyMaxMicroseconds
        self.waitersMax = waitersMax
        self.holderSite = holderSite
        self.holdMaxMicroseconds = holdMaxMicroseconds
        self.holdSamples = holdSamples
        self.holdMeanMicroseconds = holdMeanMicroseconds
        self.waitCount = waitCount
        self.waitHistogram = waitHistogram
    }
}

/// What took at most as long as one bound.
public struct HistogramBucket: Codable, Sendable, Hashable {
    /// The bound.
    public var upToMicroseconds: UInt64
    /// How many took at most this long, those of the buckets before included.
    public var count: UInt64

    enum CodingKeys: String, CodingKey {
        case upToMicroseconds = "le_us"
        case count
    }

    public init(upToMicroseconds: UInt64, count: UInt64) {
        self.upToMicroseconds = upToMicroseconds
        self.count = count
    }
}

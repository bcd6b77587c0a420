/// The answer to `GET /v1/locks`.
public struct LocksReport: Codable, Sendable, Hashable {
    /// Each lock, longest total wait first.
    public var locks: [LockStatus]

    enum CodingKeys: String, CodingKey {
        case locks
    }

    public init(locks: [LockStatus]) {
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
    /// How often a waiter looked again without sleeping.
    public var spins: UInt64
    /// How often a waiter went to sleep.
    public var parks: UInt64
    /// How long all waits took together.
    public var waitTotalMicroseconds: UInt64
    /// How long the longest wait took.
    public var waitMaxMicroseconds: UInt64
    /// The longest time from a wake-up until the woken thread ran.
    public var wakeLatencyMaxMicroseconds: UInt64
    /// The most threads that waited at once.
    public var waitersMax: Int
    /// Where in the program it was held longest.
    public var holderSite: String?
    /// How long it was held there.
    public var holdMaxMicroseconds: UInt64
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
        case waitTotalMicroseconds = "wait_total_us"
        case waitMaxMicroseconds = "wait_max_us"
        case wakeLatencyMaxMicroseconds = "wake_latency_max_us"
        case waitersMax = "waiters_max"
        case holderSite = "holder_site"
        case holdMaxMicroseconds = "hold_max_us"
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
        waitTotalMicroseconds: UInt64,
        waitMaxMicroseconds: UInt64,
        wakeLatencyMaxMicroseconds: UInt64,
        waitersMax: Int,
        holderSite: String? = nil,
        holdMaxMicroseconds: UInt64,
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
        self.waitTotalMicroseconds = waitTotalMicroseconds
        self.waitMaxMicroseconds = waitMaxMicroseconds
        self.wakeLatencyMaxMicroseconds = wakeLatencyMaxMicroseconds
        self.waitersMax = waitersMax
        self.holderSite = holderSite
        self.holdMaxMicroseconds = holdMaxMicroseconds
        self.waitCount = waitCount
        self.waitHistogram = waitHistogram
    }
}

/// The waits up to one bound.
public struct HistogramBucket: Codable, Sendable, Hashable {
    /// The bound.
    public var upToMicroseconds: UInt64
    /// How many waits took at most this long, those of the buckets before included.
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

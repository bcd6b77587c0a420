/// One source in full: in JSON one object, which holds the members of ``status`` beside its own.
public struct SourceDetail: Codable, Sendable, Hashable {
    /// Its name.
    public var name: String
    /// Its place among the layers, counted from 0; a later layer wins. Absent when it is loaded on demand.
    public var layer: Int?
    /// How it is reached: https, http, unix, file, etcd, consul, nacos, s3 or appconfig.
    public var kind: String
    /// The bounds of the time between two requests.
    public var poll: PollInterval
    /// How it is doing.
    public var status: SourceStatus
    /// How many requests were made to it.
    public var requests: UInt64
    /// How many of them it answered with 304.
    public var notModified: UInt64
    /// How many of its documents became visible to readers.
    public var published: UInt64
    /// How many of its documents held what was in use already.
    public var unchanged: UInt64
    /// How many requests failed, by the code of the error.
    public var failuresByClass: [String: UInt64]
    /// How long its requests took, by part: wait, resolve, connect, tls, first_byte, total. Parts that never happened
    /// are absent.
    public var timings: [String: FetchTimes]
    /// How the source's own word of changes arrives; absent when it is only polled.
    public var watch: WatchStatus?

    enum CodingKeys: String, CodingKey {
        case name
        case layer
        case kind
        case poll
        case requests
        case notModified = "not_modified"
        case published
        case unchanged
        case failuresByClass = "failures_by_class"
        case timings
        case watch
    }

    public init(
        name: String,
        layer: Int? = nil,
        kind: String,
        poll: PollInterval,
        status: SourceStatus,
        requests: UInt64,
        notModified: UInt64,
        published: UInt64,
        unchanged: UInt64,
        failuresByClass: [String: UInt64],
        timings: [String: FetchTimes] = [:],
        watch: WatchStatus? = nil
    ) {
        self.name = name
        self.layer = layer
        self.kind = kind
        self.poll = poll
        self.status = status
        self.requests = requests
        self.notModified = notModified
        self.published = published
        self.unchanged = unchanged
        self.failuresByClass = failuresByClass
        self.timings = timings
        self.watch = watch
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.name = try container.decode(String.self, forKey: .name)
        self.layer = try container.decodeIfPresent(Int.self, forKey: .layer)
        self.kind = try container.decode(String.self, forKey: .kind)
        self.poll = try container.decode(PollInterval.self, forKey: .poll)
        self.requests = try container.decode(UInt64.self, forKey: .requests)
        self.notModified = try container.decode(UInt64.self, forKey: .notModified)
        self.published = try container.decode(UInt64.self, forKey: .published)
        self.unchanged = try container.decode(UInt64.self, forKey: .unchanged)
        self.failuresByClass = try container.decode([String: UInt64].self, forKey: .failuresByClass)
        self.timings = try container.decodeIfPresent([String: FetchTimes].self, forKey: .timings) ?? [:]
        self.watch = try container.decodeIfPresent(WatchStatus.self, forKey: .watch)
        self.status = try SourceStatus(from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        try status.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(layer, forKey: .layer)
        try container.encode(kind, forKey: .kind)
        try container.encode(poll, forKey: .poll)
        try container.encode(requests, forKey: .requests)
        try container.encode(notModified, forKey: .notModified)
        try container.encode(published, forKey: .published)
        try container.encode(unchanged, forKey: .unchanged)
        try container.encode(failuresByClass, forKey: .failuresByClass)
        try container.encode(timings, forKey: .timings)
        try container.encodeIfPresent(watch, forKey: .watch)
    }
}

/// How the agent listens to a source that tells of changes itself.
public struct WatchStatus: Codable, Sendable, Hashable {
    /// Whether it listens.
    public var open: Bool
    /// Since when that is so.
    public var since: WireTime
    /// Changes it was told of.
    public var changes: UInt64
    /// How often the watch has failed.
    public var failures: UInt64
    /// Why it failed last; absent when it never has.
    public var lastError: SourceError?

    enum CodingKeys: String, CodingKey {
        case open
        case since
        case changes
        case failures
        case lastError = "last_error"
    }

    public init(open: Bool, since: WireTime, changes: UInt64, failures: UInt64, lastError: SourceError? = nil) {
        self.open = open
        self.since = since
        self.changes = changes
        self.failures = failures
        self.lastError = lastError
    }
}

/// How long one part of the requests to a source took.
public struct FetchTimes: Codable, Sendable, Hashable {
    /// How often it happened.
    public var count: UInt64
    /// How long all of them took together.
    public var sumMicroseconds: UInt64
    /// The longest.
    public var maxMicroseconds: UInt64
    /// How many took how long.
    public var histogram: [HistogramBucket]

    enum CodingKeys: String, CodingKey {
        case count
        case sumMicroseconds = "sum_us"
        case maxMicroseconds = "max_us"
        case histogram
    }

    public init(count: UInt64, sumMicroseconds: UInt64, maxMicroseconds: UInt64, histogram: [HistogramBucket]) {
        self.count = count
        self.sumMicroseconds = sumMicroseconds
        self.maxMicroseconds = maxMicroseconds
        self.histogram = histogram
    }
}

/// The bounds of the time between two requests to a source.
public struct PollInterval: Codable, Sendable, Hashable {
    /// The shortest time, but for a refresh by hand and the one time after the start that spreads sources.
    public var minSeconds: Double
    /// The longest time while all goes well.
    public var maxSeconds: Double

    enum CodingKeys: String, CodingKey {
        case minSeconds = "min_seconds"
        case maxSeconds = "max_seconds"
    }

    public init(minSeconds: Double, maxSeconds: Double) {
        self.minSeconds = minSeconds
        self.maxSeconds = maxSeconds
    }
}

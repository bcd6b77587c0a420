/// One worker.
public struct WorkerInfo: Codable, Sendable, Hashable {
    /// The name of its thread.
    public var name: String
    /// The generation it reads; 0 when none.
    public var generation: UInt64
    /// By how many generations it is behind the newest.
    public var lag: UInt64
    /// How many reads it has answered.
    public var reads: UInt64

    enum CodingKeys: String, CodingKey {
        case name
        case generation
        case lag
        case reads
    }

    public init(name: String, generation: UInt64, lag: UInt64, reads: UInt64) {
        self.name = name
        self.generation = generation
        self.lag = lag
        self.reads = reads
    }
}

/// The threads that answer requests.
public struct WorkerPool: Codable, Sendable, Hashable {
    /// How many there are.
    public var count: Int
    /// How many of them are on the newest generation.
    public var current: Int
    /// Each of them.
    public var list: [WorkerInfo]

    enum CodingKeys: String, CodingKey {
        case count
        case current
        case list
    }

    public init(count: Int, current: Int, list: [WorkerInfo]) {
        self.count = count
        self.current = current
        self.list = list
    }
}

/// The answer to `GET /v1/history`: the generations that can be gone back to.
public struct HistoryReport: Codable, Sendable, Hashable {
    /// The newest generation; 0 when there is none yet.
    public var generation: UInt64
    /// The newest generation that would survive a power cut; 0 when none.
    public var durableGeneration: UInt64
    /// Newest first. One that is not stored yet is not among them.
    public var generations: [GenerationInfo]

    enum CodingKeys: String, CodingKey {
        case generation
        case durableGeneration = "durable_generation"
        case generations
    }

    public init(generation: UInt64, durableGeneration: UInt64, generations: [GenerationInfo]) {
        self.generation = generation
        self.durableGeneration = durableGeneration
        self.generations = generations
    }
}

/// One content that was in use.
public struct GenerationInfo: Codable, Sendable, Hashable {
    /// The first generation with it.
    public var generation: UInt64
    /// The last one with it.
    public var last: UInt64
    /// The later ones with it, oldest first: each start of the agent makes a generation. Numbers between them are not its.
    public var starts: [UInt64]
    /// When it was first published.
    public var publishedAt: WireTime
    /// The SHA-256 of all keys and values, in hexadecimal.
    public var digest: String
    /// How many keys it holds.
    public var keys: Int
    /// What has made it another than the one before: `start`, `source NAME`, `configuration`, `rollback N` or `unpinned`.
    public var cause: String
    /// Whose command it was; absent where it was nobody's.
    public var command: CommandInfo?
    /// Whether it is pinned.
    public var pinned: Bool
    /// The documents that it was made of, first one first.
    public var layers: [LayerInfo]

    enum CodingKeys: String, CodingKey {
        case generation
        case last
        case starts
        case publishedAt = "published_at"
        case digest
        case keys
        case cause
        case command
        case pinned
        case layers
    }

    public init(
        generation: UInt64,
        last: UInt64,
        starts: [UInt64],
        publishedAt: WireTime,
        digest: String,
        keys: Int,
        cause: String,
        command: CommandInfo? = nil,
        pinned: Bool,
        layers: [LayerInfo]
    ) {
        self.generation = generation
        self.last = last
        self.starts = starts
        self.publishedAt = publishedAt
        self.digest = digest
        self.keys = keys
        self.cause = cause
        self.command = command
        self.pinned = pinned
        self.layers = layers
    }
}

/// A document that a generation was made of.
public struct LayerInfo: Codable, Sendable, Hashable {
    /// Its source.
    public var source: String
    /// Its revision.
    public var revision: String
    /// When it was fetched.
    public var fetchedAt: WireTime

    enum CodingKeys: String, CodingKey {
        case source
        case revision
        case fetchedAt = "fetched_at"
    }

    public init(source: String, revision: String, fetchedAt: WireTime) {
        self.source = source
        self.revision = revision
        self.fetchedAt = fetchedAt
    }
}

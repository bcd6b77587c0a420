/// The snapshot that readers see.
public struct SnapshotInfo: Codable, Sendable, Hashable {
    /// Its generation.
    public var generation: UInt64
    /// The SHA-256 of all keys and values, in hexadecimal.
    public var digest: String
    /// When it was published.
    public var publishedAt: WireTime
    /// How many keys it holds.
    public var keys: Int
    /// The seconds since it was published.
    public var ageSeconds: Double

    enum CodingKeys: String, CodingKey {
        case generation
        case digest
        case publishedAt = "published_at"
        case keys
        case ageSeconds = "age_seconds"
    }

    public init(generation: UInt64, digest: String, publishedAt: WireTime, keys: Int, ageSeconds: Double) {
        self.generation = generation
        self.digest = digest
        self.publishedAt = publishedAt
        self.keys = keys
        self.ageSeconds = ageSeconds
    }
}

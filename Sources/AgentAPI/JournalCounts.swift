/// Where the agent's records go.
public enum JournalDestination: String, Codable, Sendable, Hashable, CaseIterable {
    /// As structured records to the journal.
    case journald
    /// As readable text to standard error.
    case stderr
}

/// What became of the agent's own records.
public struct JournalCounts: Codable, Sendable, Hashable {
    /// How many were delivered.
    public var sent: UInt64
    /// How many were lost because the journal did not keep up.
    public var dropped: UInt64
    /// Where they go.
    public var destination: JournalDestination

    enum CodingKeys: String, CodingKey {
        case sent
        case dropped
        case destination
    }

    public init(sent: UInt64, dropped: UInt64, destination: JournalDestination) {
        self.sent = sent
        self.dropped = dropped
        self.destination = destination
    }
}

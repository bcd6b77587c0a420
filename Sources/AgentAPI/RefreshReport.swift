/// The answer to `POST /v1/refresh`, given when every source has answered or failed.
public struct RefreshReport: Codable, Sendable, Hashable {
    /// The newest generation; 0 when there is none yet.
    public var generation: UInt64
    /// The outcome by source.
    public var sources: [String: SourceRefresh]

    enum CodingKeys: String, CodingKey {
        case generation
        case sources
    }

    public init(generation: UInt64, sources: [String: SourceRefresh]) {
        self.generation = generation
        self.sources = sources
    }
}

/// What a refresh did for one source.
public struct SourceRefresh: Codable, Sendable, Hashable {
    /// What it led to.
    public var outcome: RefreshOutcome
    /// The generation that holds the content; absent when it failed.
    public var generation: UInt64?
    /// The revision in use.
    public var revision: String?
    /// What went wrong; present only when it failed.
    public var error: SourceError?
    /// The time from the command to the outcome.
    public var durationMilliseconds: Double
    /// Whether it joined a request that was shared.
    public var folded: Bool

    enum CodingKeys: String, CodingKey {
        case outcome
        case generation
        case revision
        case error
        case durationMilliseconds = "duration_ms"
        case folded
    }

    public init(
        outcome: RefreshOutcome,
        generation: UInt64? = nil,
        revision: String? = nil,
        error: SourceError? = nil,
        durationMilliseconds: Double,
        folded: Bool
    ) {
        self.outcome = outcome
        self.generation = generation
        self.revision = revision
        self.error = error
        self.durationMilliseconds = durationMilliseconds
        self.folded = folded
    }
}

/// What a refresh of one source led to.
public enum RefreshOutcome: String, Codable, Sendable, Hashable, CaseIterable {
    /// New content, now visible to readers.
    case published
    /// Taken, and visible to readers once every required source has given a document.
    case held
    /// The content in use was confirmed.
    case unchanged
    /// The content in use stays.
    case failed
}

/// What `agentctl check` and `agentd --check-config --try` say in JSON: what would become of documents, without any of it
/// being published.
public struct TrialReport: Codable, Sendable, Hashable {
    /// One for each source that was tried.
    public var sources: [TrialInfo]
    /// In what the configuration would be another, in key order.
    public var changes: [KeyChange]
    /// How many keys would differ; absent when there are too many to count.
    public var total: Int?
    /// What was not looked at, and why.
    public var notes: [String]

    enum CodingKeys: String, CodingKey {
        case sources
        case changes
        case total
        case notes
    }

    public init(sources: [TrialInfo], changes: [KeyChange], total: Int?, notes: [String]) {
        self.sources = sources
        self.changes = changes
        self.total = total
        self.notes = notes
    }

    /// Whether any of them would be refused.
    public var isRefused: Bool { sources.contains { $0.outcome == .refused } }
}

/// What would become of one document.
public struct TrialInfo: Codable, Sendable, Hashable {
    public enum Outcome: String, Codable, Sendable, Hashable {
        /// It is not the one in use, and would be taken.
        case accepted
        /// It is the one in use.
        case unchanged
        case refused
    }

    /// Its source.
    public var source: String
    /// What would become of it.
    public var outcome: Outcome
    /// Where it was stopped: `fetch`, `verify`, `decode`, `guard`; absent where it was not.
    public var stage: String?
    /// The stable name of the reason; absent where it would be taken.
    public var code: String?
    /// The reason; absent where it would be taken.
    public var message: String?
    /// What to do; absent where nobody knows.
    public var hint: String?
    /// What of it breaks rules; the first few.
    public var reasons: [String]
    /// How many there are.
    public var count: Int

    enum CodingKeys: String, CodingKey {
        case source
        case outcome
        case stage
        case code
        case message
        case hint
        case reasons
        case count
    }

    public init(
        source: String,
        outcome: Outcome,
        stage: String? = nil,
        code: String? = nil,
        message: String? = nil,
        hint: String? = nil,
        reasons: [String] = [],
        count: Int = 0
    ) {
        self.source = source
        self.outcome = outcome
        self.stage = stage
        self.code = code
        self.message = message
        self.hint = hint
        self.reasons = reasons
        self.count = count
    }
}

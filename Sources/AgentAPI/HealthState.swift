/// How the agent is doing, best first.
public enum HealthLevel: String, Codable, Sendable, Hashable, CaseIterable {
    /// All is well.
    case healthy
    /// It serves what it has, but something needs looking at.
    case degraded
    /// It cannot do its work.
    case failed
}

/// One thing that keeps the agent from being healthy.
public struct HealthReason: Codable, Sendable, Hashable {
    /// A stable name for this kind of reason, in snake_case.
    public var code: String
    /// The source it concerns; absent when it concerns the whole agent.
    public var source: String?
    /// The reason for people.
    public var message: String
    /// Since when it holds.
    public var since: WireTime

    enum CodingKeys: String, CodingKey {
        case code
        case source
        case message
        case since
    }

    public init(code: String, source: String? = nil, message: String, since: WireTime) {
        self.code = code
        self.source = source
        self.message = message
        self.since = since
    }
}

/// How the agent is doing, and why.
public struct HealthState: Codable, Sendable, Hashable {
    /// How the agent is doing.
    public var level: HealthLevel
    /// Why it is not healthy; empty when it is.
    public var reasons: [HealthReason]
    /// Since when it has been at this level.
    public var since: WireTime

    enum CodingKeys: String, CodingKey {
        case level
        case reasons
        case since
    }

    public init(level: HealthLevel, reasons: [HealthReason], since: WireTime) {
        self.level = level
        self.reasons = reasons
        self.since = since
    }
}

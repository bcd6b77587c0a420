/// The answer to `GET /healthz` and `GET /readyz`: 200 when the answer is yes, else 503.
public struct HealthReport: Codable, Sendable, Hashable {
    /// The answer in one word.
    public var status: HealthStatus
    /// Why it is not a plain yes; empty when it is.
    public var reasons: [String]

    enum CodingKeys: String, CodingKey {
        case status
        case reasons
    }

    public init(status: HealthStatus, reasons: [String]) {
        self.status = status
        self.reasons = reasons
    }
}

/// The answer to a probe in one word.
public enum HealthStatus: String, Codable, Sendable, Hashable, CaseIterable {
    /// Yes.
    case ok
    /// Not yet: a required source was not there so far.
    case starting
    /// Yes, but something needs looking at.
    case degraded
    /// No.
    case failed
}

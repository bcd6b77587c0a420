public import AgentAPI

/// What agentctl exits with, as operators know it from other services.
public enum ExitStatus: Int32, Sendable {
    case success = 0
    /// The agent is degraded or worse; or what was asked for is not there or failed.
    case failure = 1
    case notRunning = 3
    /// Nothing can be said: no permission, no answer, or one that makes no sense.
    case unknown = 4

    /// What `agentctl status` exits with.
    public init(_ level: HealthLevel) {
        self = level == .healthy ? .success : .failure
    }
}

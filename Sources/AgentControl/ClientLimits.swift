/// What a client may take of the agent. All of it bounded, so that no client costs the others anything.
public struct ClientLimits: Sendable, Equatable {
    /// Connections to one socket at once; `nil` for an equal share of the process's descriptors.
    public var connections: Int?
    /// Of these, connections by one process; `nil` for half of them.
    public var connectionsPerPeer: Int?
    /// The bytes of a request before its body.
    public var headerBytes = 16 << 10
    /// The bytes of a request's body: requests to the agent need none worth speaking of.
    public var bodyBytes = 64 << 10
    /// How long a connection may be open without a request. Nanoseconds, as all that follow.
    public var idle: UInt64 = 60_000_000_000
    /// From the first byte of a request to its last.
    public var requestTime: UInt64 = 10_000_000_000
    /// From an answer's, or an event's, first byte until the client has taken the last.
    public var answerTime: UInt64 = 30_000_000_000
    /// Between two signs of life to a watcher.
    public var heartbeat: UInt64 = 15_000_000_000

    public init() {}
}

/// What a client was turned away or cut off for; as in the metric's label.
enum ClientLimit: String, CaseIterable {
    case connections
    case peerConnections = "peer_connections"
    case headerSize = "header_size"
    case bodySize = "body_size"
    case idle
    case requestTime = "request_time"
    case answerTime = "answer_time"
    case watchTime = "watch_time"
    case malformed
    /// Waited because the process had no descriptor left to accept anybody with.
    case descriptors
}

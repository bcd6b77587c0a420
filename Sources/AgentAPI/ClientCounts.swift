/// The clients of one socket.
public struct ClientCounts: Codable, Sendable, Hashable {
    /// Connections open now.
    public var connections: Int
    /// How many of them watch for changes.
    public var watchers: Int
    /// How many clients were turned away or cut off since the start, by the limit that they ran into.
    public var cutOff: [String: UInt64]

    enum CodingKeys: String, CodingKey {
        case connections
        case watchers
        case cutOff = "cut_off"
    }

    public init(connections: Int, watchers: Int, cutOff: [String: UInt64]) {
        self.connections = connections
        self.watchers = watchers
        self.cutOff = cutOff
    }
}

internal import AgentAPI

/// What a socket is for. The mode of the socket's file is the authorisation: there is one socket for each right.
public enum Right: String, Sendable, CaseIterable {
    /// Status, locks, sources, health, metrics; no values. For everyone.
    case status
    /// Values. For the group `agent`.
    case config
    /// Commands. For the group `agent-admin`.
    case control

    var socketMode: UInt32 {
        switch self {
        case .status: 0o666
        case .config, .control: 0o660
        }
    }

    var group: String? {
        switch self {
        case .status: nil
        case .config: "agent"
        case .control: "agent-admin"
        }
    }

    func socketPath(in paths: AgentPaths) -> String {
        switch self {
        case .status: paths.statusSocket
        case .config: paths.configSocket
        case .control: paths.controlSocket
        }
    }
}

/// Why a single-flight group gave a caller no result of the work.
public enum SingleFlightError: Error, Sendable, Equatable {
    /// A bound on keys or callers is reached; nothing was begun or joined.
    case refused(FlightRefusal)
    /// The flight needs a thread of the group's, and as many run as may.
    case tooManyThreads(limit: Int)
    /// The system has no thread to give.
    case noThread
    /// The caller's own deadline passed. The flight goes on for the others.
    case deadlineExceeded
    /// To wait would be to wait for oneself: the flights from the one asked for, each waiting for the next, to the one
    /// whose work asked, and back. Each is told as `group:key`.
    case cycle(path: [String])
}

extension SingleFlightError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(.tooManyKeys(let limit)): "refused: \(limit) keys are in flight already"
        case .refused(.tooManyCallers(let limit)): "refused: \(limit) callers wait for this key already"
        case .tooManyThreads(let limit): "refused: \(limit) flights run on threads of the group already"
        case .noThread: "the system has no thread to give"
        case .deadlineExceeded: "the caller's deadline passed before the flight landed"
        case .cycle(let path): path.joined(separator: " → ")
        }
    }
}

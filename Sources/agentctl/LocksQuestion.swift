internal import AgentAPI
internal import AgentctlKit

/// Asks for the locks: at the status socket, and when the workers behind it do not answer, at the locks socket, which
/// needs none of them.
struct LocksQuestion {
    typealias Answer = (body: [UInt8], report: LocksReport)

    /// How long the workers may take as long as there is somebody else to ask. They take milliseconds.
    private static let patience = 2_000
    /// The same once they have not answered: whether they do again is to be seen without waiting for it each time.
    private static let patienceWithStuck = 250

    private let connection: AgentConnection
    /// What is said of the last answer, if it came from the locks socket.
    private(set) var note: String?
    private var isFallback: Bool { note != nil }

    init(_ connection: AgentConnection) { self.connection = connection }

    mutating func ask() throws(Problem) -> Answer {
        let patience = min(connection.timeoutMilliseconds, isFallback ? Self.patienceWithStuck : Self.patience)
        do throws(Problem) {
            let answer = try connection.limited(to: patience).report(LocksReport.self, .status, path: Routes.locks)
            note = nil
            return answer
        } catch {
            guard let silence = error.silence else { throw error }
            guard let answer = try? connection.report(LocksReport.self, .locks, path: Routes.locks) else {
                throw Problem(
                    "\(error.message), nor at \(AgentPaths.locksSocketName)",
                    remedy: "look at its records: journalctl -u agent AGENT_EVENT=lock_stuck",
                    exit: error.exit
                )
            }
            // A socket that is gone says nothing of those who answer at it.
            let what = silence == .stuck ? "the agent's workers do not answer" : error.message
            note = "\(what); these figures come from its \(AgentPaths.locksSocketName)"
            return answer
        }
    }
}

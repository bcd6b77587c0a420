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
    /// Whether the last answer came from the locks socket.
    private(set) var isFallback = false

    init(_ connection: AgentConnection) { self.connection = connection }

    /// What is said of an answer that came from the locks socket.
    static let note = "the agent's workers do not answer; these figures come from its \(AgentPaths.locksSocketName)"

    mutating func ask() throws(Problem) -> Answer {
        let patience = min(connection.timeoutMilliseconds, isFallback ? Self.patienceWithStuck : Self.patience)
        do throws(Problem) {
            let answer = try connection.limited(to: patience).report(LocksReport.self, .status, path: Routes.locks)
            isFallback = false
            return answer
        } catch {
            guard error.mayBeStuck else { throw error }
            guard let answer = try? connection.report(LocksReport.self, .locks, path: Routes.locks) else {
                throw Problem(
                    "\(error.message), nor at \(AgentPaths.locksSocketName)",
                    remedy: "look at its records: journalctl -u agent AGENT_EVENT=lock_stuck",
                    exit: error.exit
                )
            }
            isFallback = true
            return answer
        }
    }
}

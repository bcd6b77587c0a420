internal import AgentAPI
internal import AgentctlKit
internal import Curl

/// Asks the agent, once it is known to live.
struct AgentConnection {
    /// The agent's sockets, by what they allow.
    enum Socket: Equatable {
        case status
        case config
        /// For what only members of a group read.
        case configOf(String)
        case control
        case locks
    }

    let paths: AgentPaths
    let timeoutMilliseconds: Int

    init(_ options: GlobalOptions, defaultTimeoutMilliseconds: Int = 10_000) {
        self.paths = options.paths
        self.timeoutMilliseconds = options.timeout?.milliseconds ?? defaultTimeoutMilliseconds
    }

    private init(paths: AgentPaths, timeoutMilliseconds: Int) {
        self.paths = paths
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// The same, with a time limit of its own.
    func limited(to milliseconds: Int) -> AgentConnection {
        AgentConnection(paths: paths, timeoutMilliseconds: milliseconds)
    }

    /// - Returns: an answer with a status of 2xx.
    func request(
        _ socket: Socket,
        _ method: LocalClient.Method = .get,
        path: String
    ) throws(Problem) -> LocalClient.Response {
        if let problem = Problem(InstanceLock.probe(path: paths.lockFile), paths: paths) { throw problem }
        let socketPath = self.path(of: socket)
        let client = LocalClient(socketPath: socketPath, timeoutMilliseconds: timeoutMilliseconds)
        let response: LocalClient.Response
        do {
            response = try client.request(method, path: path)
        } catch {
            throw problem(error, socket, socketPath)
        }
        guard (200..<300).contains(response.status) else { throw refusal(response, socket, path) }
        return response
    }

    /// - Returns: the answer as sent, and what it says.
    func report<Report: Decodable>(
        _ type: Report.Type,
        _ socket: Socket,
        _ method: LocalClient.Method = .get,
        path: String
    ) throws(Problem) -> (body: [UInt8], report: Report) {
        let response = try request(socket, method, path: path)
        do {
            return (response.body, try WireJSON.decode(type, from: response.body))
        } catch {
            throw Problem(
                "the answer to \(path) at \(self.path(of: socket)) makes no sense to agentctl \(Version.text)",
                remedy: "see whether agentd has the same version: agentd --version",
                exit: .unknown
            )
        }
    }

    /// Takes a stream of the agent's until the agent or `take` ends it.
    func stream(
        _ socket: Socket,
        path: String,
        lastID: String?,
        take: @escaping ([UInt8]) -> Bool
    ) throws(Problem) {
        if let problem = Problem(InstanceLock.probe(path: paths.lockFile), paths: paths) { throw problem }
        let socketPath = self.path(of: socket)
        let client = LocalClient(socketPath: socketPath, timeoutMilliseconds: timeoutMilliseconds)
        let refused: LocalClient.Response?
        do {
            let headers = lastID.map { [("Last-Event-ID", $0)] } ?? []
            // The agent gives a sign of life every 15 s.
            refused = try client.stream(path: path, headers: headers, silenceSeconds: 60, take: take)
        } catch {
            throw problem(error, socket, socketPath)
        }
        if let refused { throw refusal(refused, socket, path) }
    }

    private func path(of socket: Socket) -> String {
        switch socket {
        case .status: paths.statusSocket
        case .config: paths.configSocket
        case .configOf(let group): paths.configSocket(of: group)
        case .control: paths.controlSocket
        case .locks: paths.locksSocket
        }
    }

    private func problem(_ failure: LocalClient.Failure, _ socket: Socket, _ path: String) -> Problem {
        let place = "the agent is running, but cannot be reached at \(path)"
        func silent(_ silence: Problem.Silence, _ message: String) -> Problem {
            let remedy = "look at its records: journalctl -u agent; whether its threads wait for a lock: agentctl locks"
            return Problem(message, remedy: remedy, exit: .unknown, silence: silence)
        }
        switch failure {
        case .noSuchSocket:
            if case .configOf(let group) = socket {
                return Problem(
                    "no source's document is for the group \(group) alone: there is no \(path)",
                    remedy: "name the group that 'readers' of the source names, or leave --group out",
                    exit: .failure
                )
            }
            return silent(.unreachable, "\(place): there is no such socket")
        case .refused: return silent(.unreachable, "\(place): nobody listens there")
        case .noPermission:
            let group =
                switch socket {
                case .control: "agent-admin"
                case .configOf(let group): group
                case .status, .config, .locks: "agent"
                }
            return Problem(
                "no permission to use \(path)",
                remedy: "run agentctl as root or as a member of the group \(group)",
                exit: .unknown
            )
        case .timeout:
            let limit = Durations.limit(milliseconds: timeoutMilliseconds)
            return silent(.stuck, "the agent did not answer at \(path) within \(limit)")
        case .tooLarge: return Problem("the answer from \(path) is too large", exit: .unknown)
        case .hungUp(let text): return silent(.hungUp, "\(place): \(text)")
        case .other(let text): return silent(.unreachable, "\(place): \(text)")
        }
    }

    private func refusal(_ response: LocalClient.Response, _ socket: Socket, _ path: String) -> Problem {
        // There is nothing wrong to ask of the status socket: who is refused there knows nothing of the agent. But that
        // what was waited for has not come is an answer.
        let exit: ExitStatus = socket == .status && !path.hasPrefix(Routes.wait) ? .unknown : .failure
        if let report = try? WireJSON.decode(ErrorReport.self, from: response.body) {
            return Problem(report, exit: exit)
        }
        return Problem(
            "the agent answered \(path) at \(self.path(of: socket)) with status \(response.status) and no reason",
            exit: .unknown
        )
    }
}

internal import Foundation
import TestSupport

/// An agentd whose process comes and goes while its directory stays.
final class FaultAgent: @unchecked Sendable {
    let directory: TemporaryDirectory
    private let stateMount: String?
    private var program: Program?

    /// Nothing runs yet.
    ///
    /// - Parameter stateMount: options of a file system in memory for the state directory. It is seen by the process
    ///   alone and ends with it, so that it is gone whatever becomes of the test.
    init(stateMount: String? = nil, _ settings: (TemporaryDirectory) throws -> AgentSettings) throws {
        self.stateMount = stateMount
        directory = try TemporaryDirectory(prefix: "fault")
        for name in ["run", "state"] { try createDirectory(directory.path(name)) }
        try directory.write("agent.yaml", settings(directory).yaml(in: directory.path))
    }

    deinit { program?.stop(signal: SIGKILL) }

    var documents: String { directory.path("state/documents") }
    var pid: pid_t { program?.pid ?? 0 }
    var isRunning: Bool { program?.isRunning ?? false }
    /// What it wrote to standard error since it was started last.
    var log: String { program?.standardError ?? "" }
    var statusSocket: Endpoint { .unix(directory.path("run/status.sock")) }
    var configSocket: Endpoint { .unix(directory.path("run/config.sock")) }
    var controlSocket: Endpoint { .unix(directory.path("run/control.sock")) }

    // MARK: - Coming and going

    func start(environment: [String: String] = [:]) throws {
        let log = directory.path("agent.log")
        unlink(log)
        var command = [AgentProcess.path(of: "agentd"), "--config", directory.path("agent.yaml")]
        if let stateMount {
            let script = #"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#
            let mounted = ["sh", "-c", script, "sh", stateMount, directory.path("state")] + command
            command = ["unshare", "--mount", "--propagation", "private"] + mounted
        }
        program = try Program(
            command,
            environment: ["NOTIFY_SOCKET": "", "JOURNAL_STREAM": ""].merging(environment) { $1 },
            log: log
        )
    }

    /// Where this process sees the state directory of the running agent.
    var mountedState: String { "/proc/\(pid)/root\(directory.path("state"))" }

    /// Nothing can be written any more by way of the directory's path. (To the file system itself that cannot be
    /// done, for the agent has a file open for writing.)
    func makeStateReadOnly() throws {
        try shell(#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1""#)
    }

    func makeStateWritable() throws { try shell(#"umount "$1""#) }

    /// The same for a file system that was mounted read-only.
    func remountStateWritable() throws { try shell(#"mount -o remount,rw "$1""#) }

    /// Runs a line where the agent sees its files.
    private func shell(_ line: String) throws {
        let enter = ["nsenter", "-t", "\(pid)", "-m", "--root", "--wd"]
        try Program.check(enter + ["sh", "-c", line, "sh", directory.path("state")])
    }

    func kill() { program?.signal(SIGKILL) }

    func waitForEnd() throws { try program?.waitForExit() }

    func stop() throws {
        program?.signal(SIGTERM)
        try waitForEnd()
    }

    func waitUntilReady(deadline: Duration = .seconds(20)) throws {
        try waitUntilAnswering("the agent to be ready", deadline: deadline) { $0.status == 200 }
    }

    /// Waits until it answers at all, ready or not.
    func waitUntilRunning() throws {
        try waitUntilAnswering("the agent to answer", deadline: .seconds(20)) { _ in true }
    }

    private func waitUntilAnswering(
        _ what: String,
        deadline: Duration,
        _ isEnough: (HTTPResponse) -> Bool
    ) throws {
        do {
            try waitUntil(what, deadline: deadline, every: .milliseconds(2)) {
                guard isRunning else { return true }
                guard isEnough(try HTTPClient.send("GET", "/readyz", to: statusSocket)) else { return false }
                // The socket for values is opened a moment after the one that says so.
                return try value("").status > 0
            }
        } catch {
            throw ProgramFailed(description: "\(error)\n--- agent.log\n\(log)")
        }
        guard isRunning else { throw ProgramFailed(description: "agentd ended\n--- agent.log\n\(log)") }
    }

    // MARK: - What it says

    func status() throws -> JSONValue { try HTTPClient.send("GET", "/v1/status", to: statusSocket).json() }

    func value(_ key: String) throws -> HTTPResponse {
        try HTTPClient.send("GET", key.isEmpty ? "/v1/config" : "/v1/config/\(key)", to: configSocket)
    }

    /// The stable names of what is wrong.
    func reasons() throws -> [String] { try status()["health"]["reasons"].array.compactMap { $0["code"].string } }

    @discardableResult
    func refresh(_ source: String? = nil, timeout: Duration = .seconds(30)) throws -> HTTPResponse {
        let query = source.map { "?source=\($0)" } ?? ""
        return try HTTPClient.send("POST", "/v1/refresh\(query)", to: controlSocket, timeout: timeout)
    }

    func control(_ arguments: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentctl"), "--runtime-dir", directory.path("run")] + arguments)
    }

    func waitUntilHealthy(deadline: Duration = .seconds(30)) throws {
        do {
            try waitUntil("health", deadline: deadline) { try status()["health"]["level"].string == "healthy" }
        } catch {
            throw ProgramFailed(description: "\(error)\n\((try? control("status").standardOutput) ?? "")\(log)")
        }
    }

    /// Its records are written when it has time for them.
    func waitUntilLogged(_ text: String) throws {
        do {
            try waitUntil("a record") { log.contains(text) }
        } catch {
            throw ProgramFailed(description: "\(error): \(text)\n--- agent.log\n\(log)")
        }
    }

    /// Waits until what is served would survive a crash.
    func waitUntilDurable(deadline: Duration = .seconds(30)) throws {
        try waitUntil("what is published to be durable", deadline: deadline) {
            let status = try status()
            return status["generation"].int == status["durable_generation"].int
        }
    }

    /// Seconds of processor time that it has used.
    func processorTime() -> Double {
        let stat = readText("/proc/\(pid)/stat")
        guard let end = stat.lastIndex(of: ")") else { return 0 }
        let fields = stat[end...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}

/// An origin on a Unix socket, which can be out of reach for a while.
final class RemoteOrigin: Sendable {
    let origin: HeldOrigin
    private let path: String

    init(in directory: TemporaryDirectory, _ respond: @escaping @Sendable (OriginRequest) -> OriginReply) throws {
        path = directory.path("origin.sock")
        origin = try HeldOrigin(on: .unix(path), respond)
    }

    /// Nobody can connect any more.
    func goAway() { rename(path, path + ".away") }
    func comeBack() { rename(path + ".away", path) }

    static func settings(in directory: TemporaryDirectory, poll: String = "1h", more: [String] = []) -> SourceSettings {
        SourceSettings(
            url: "http://origin/app.json",
            poll: poll,
            more: ["unix_socket: \(directory.path("origin.sock"))"] + more
        )
    }
}

internal import Foundation

/// A source in a generated configuration.
public struct SourceSettings: Sendable {
    public var url: String
    public var poll: String
    public var maxBytes: String?
    public var format: String?
    /// More settings, each a line such as `max_redirects: 1`.
    public var more: [String]

    public init(
        url: String,
        poll: String = "1s",
        maxBytes: String? = nil,
        format: String? = nil,
        more: [String] = []
    ) {
        self.more = more
        self.url = url
        self.poll = poll
        self.maxBytes = maxBytes
        self.format = format
    }
}

/// The agent's own configuration, as YAML.
public struct AgentSettings: Sendable {
    /// By name.
    public var sources: [String: SourceSettings]
    /// The order in which they are merged.
    public var layers: [String]
    public var workers: Int
    public var report: String
    public var warnWait: String

    public init(
        sources: [String: SourceSettings],
        layers: [String]? = nil,
        workers: Int = 2,
        report: String = "60s",
        warnWait: String = "10ms"
    ) {
        self.sources = sources
        self.layers = layers ?? sources.keys.sorted()
        self.workers = workers
        self.report = report
        self.warnWait = warnWait
    }

    /// - Parameter directory: Where the sockets and the state go; `nil` leaves the defaults of the program.
    public func yaml(in directory: String?) -> String {
        var lines: [String] = []
        if let directory {
            lines += ["runtime_dir: \(directory)/run", "state_dir: \(directory)/state"]
        }
        lines += ["workers: \(workers)", "sources:"]
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
            lines += ["  \(name):", "    url: \(source.url)", "    poll: \(source.poll)"]
            lines += source.more.map { "    \($0)" }
            if let format = source.format { lines.append("    format: \(format)") }
            if let maxBytes = source.maxBytes { lines.append("    guard: {max_bytes: \(maxBytes)}") }
        }
        lines.append("layers: [\(layers.joined(separator: ", "))]")
        lines.append("locks: {report: \(report), warn_wait: \(warnWait)}")
        return lines.joined(separator: "\n") + "\n"
    }
}

/// An agentd of the build under test, with a directory of its own.
public final class AgentProcess: @unchecked Sendable {
    public let directory: TemporaryDirectory
    public let program: Program

    /// A program that was built together with the tests.
    public static func path(of name: String) -> String { "\(Workspace.products)/\(name)" }

    /// Starts it; it may not be ready yet.
    ///
    /// - Parameter wrap: makes the command another one, which becomes the agent; the directory is for its files.
    public init(
        _ settings: AgentSettings,
        arguments: [String] = [],
        environment: [String: String] = [:],
        by wrap: ([String], TemporaryDirectory) throws -> [String] = { command, _ in command }
    ) throws {
        directory = try TemporaryDirectory(prefix: "agent")
        for name in ["run", "state"] { try createDirectory(directory.path(name)) }
        let configuration = try directory.write("agent.yaml", settings.yaml(in: directory.path))
        program = try Program(
            try wrap([Self.path(of: "agentd"), "--config", configuration] + arguments, directory),
            environment: ["NOTIFY_SOCKET": "", "JOURNAL_STREAM": ""].merging(environment) { $1 },
            log: directory.path("agent.log")
        )
    }

    /// Starts one where another has ended, with all that it left there.
    public init(
        after ended: AgentProcess,
        arguments: [String] = [],
        by wrap: ([String], TemporaryDirectory) throws -> [String] = { command, _ in command }
    ) throws {
        directory = ended.directory
        program = try Program(
            try wrap([Self.path(of: "agentd"), "--config", directory.path("agent.yaml")] + arguments, directory),
            environment: ["NOTIFY_SOCKET": "", "JOURNAL_STREAM": ""],
            log: directory.path("agent.log")
        )
    }

    /// Starts it and waits until it has a snapshot.
    public static func ready(_ settings: AgentSettings) throws -> AgentProcess {
        let agent = try AgentProcess(settings)
        try agent.waitUntilReady()
        return agent
    }

    deinit {
        program.stop()
    }

    public var runtimeDirectory: String { directory.path("run") }
    public var statusSocket: Endpoint { .unix("\(runtimeDirectory)/status.sock") }
    public var configSocket: Endpoint { .unix("\(runtimeDirectory)/config.sock") }
    public var controlSocket: Endpoint { .unix("\(runtimeDirectory)/control.sock") }
    /// What it wrote to standard error.
    public var log: String { program.standardError }

    public func waitUntilReady(deadline: Duration = .seconds(20)) throws {
        do {
            try waitUntil("the agent to be ready", deadline: deadline) {
                guard program.isRunning else { return true }
                return try HTTPClient.send("GET", "/readyz", to: statusSocket).status == 200
            }
        } catch {
            throw ProgramFailed(description: "\(error)\n--- agent.log\n\(log)")
        }
        if let status = program.exitStatus {
            throw ProgramFailed(description: "agentd ended, \(status)\n--- agent.log\n\(log)")
        }
    }

    /// `GET /v1/status`.
    public func status() throws -> JSONValue {
        try HTTPClient.send("GET", "/v1/status", to: statusSocket).json()
    }

    /// `GET /v1/config/KEY`: the value as JSON text.
    public func value(_ key: String) throws -> HTTPResponse {
        try HTTPClient.send("GET", "/v1/config/\(key)", to: configSocket)
    }

    /// `POST /v1/refresh`, which returns when the sources have answered.
    @discardableResult
    public func refresh(_ source: String? = nil, timeout: Duration = .seconds(30)) throws -> HTTPResponse {
        let query = source.map { "?source=\($0)" } ?? ""
        return try HTTPClient.send("POST", "/v1/refresh\(query)", to: controlSocket, timeout: timeout)
    }

    /// Runs agentctl against it.
    public func control(_ arguments: String...) throws -> ProgramOutput { try control(arguments) }

    /// The same, with the arguments as a list.
    public func control(_ arguments: [String]) throws -> ProgramOutput {
        try Program.run([Self.path(of: "agentctl"), "--runtime-dir", runtimeDirectory] + arguments)
    }

    /// The resident memory of now, in bytes.
    public func residentMemory() throws -> Int { try memory("VmRSS") }
    /// The most resident memory since the start or the last ``forgetPeakMemory()``, in bytes.
    public func peakMemory() throws -> Int { try memory("VmHWM") }

    /// Makes the peak start again from the memory of now.
    public func forgetPeakMemory() throws {
        try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(program.pid)/clear_refs"))
    }

    private func memory(_ field: String) throws -> Int {
        let line = readText("/proc/\(program.pid)/status").split(separator: "\n").first { $0.hasPrefix(field + ":") }
        guard let words = line?.split(separator: " "), words.count > 1, let kilobytes = Int(words[1]) else {
            throw ProgramFailed(description: "no \(field) of process \(program.pid)")
        }
        return kilobytes * 1024
    }
}

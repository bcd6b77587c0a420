import BenchKit
import Foundation

/// The agent whose process comes and goes while its directory stays.
final class Agent: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the process is touched under `lock`.
    let binaries: URL
    let configuration: Configuration
    let ledger: Ledger
    let promises: Promises
    private let lock = NSLock()
    private var child: Child?
    private var isExpectedToEnd = true

    init(binaries: URL, configuration: Configuration, ledger: Ledger, promises: Promises) {
        self.binaries = binaries
        self.configuration = configuration
        self.ledger = ledger
        self.promises = promises
    }

    var agentctl: String { binaries.appending(path: "agentctl").path }
    var pid: pid_t { lock.withLock { child?.pid ?? 0 } }
    var log: URL { configuration.directory.appending(path: "agent.log") }
    func socket(_ name: String) -> String { configuration.runtime.appending(path: "\(name).sock").path }

    /// Starts it, and waits until what it has is served.
    func start() throws {
        let output = open(log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(output) }
        let child = try Child(
            binaries.appending(path: "agentd").path,
            ["--config", configuration.file.path, "--log-level", "error"],
            environment: ["PATH": "/usr/bin:/bin"],
            output: output
        )
        lock.withLock {
            self.child = child
            isExpectedToEnd = false
        }
        let begin = Figures.now
        while !isServing {
            let seconds = Double(Figures.now - begin) / 1e9
            guard child.end == nil, seconds < 20, !Interrupt.isRaised else {
                promises.check(.comesBack, false, "no configuration \(seconds) s after the start: \(tail)")
                throw Tools.Failure(description: "the agent does not start: \(tail)")
            }
            usleep(20_000)
        }
        promises.check(.comesBack, true, "")
        ledger.comesUp()
    }

    private var isServing: Bool {
        guard let socket = try? LocalSocket(socket("config"), timeout: 1) else { return false }
        return (try? socket.get("/v1/config"))?.status == 200
    }

    private var tail: String {
        String(decoding: ((try? Data(contentsOf: log)) ?? Data()).suffix(1_500), as: UTF8.self)
    }

    /// Ends it with a signal, and waits for that.
    func end(by signal: Int32) {
        ledger.goesDown()
        let child = lock.withLock {
            isExpectedToEnd = true
            return self.child
        }
        guard let child else { return }
        child.send(signal)
        let status = child.wait(seconds: 10)
        let holds = signal == SIGTERM ? status == 0 : status == 128 + signal
        promises.check(.comesBack, holds, "after signal \(signal) it ended with \(status.map { "\($0)" } ?? "nothing")")
        child.stop(within: 0)
    }

    /// Looks whether it is still there.
    func watch(_ crew: Crew) {
        while crew.pause(0.1) {
            let (child, isExpected) = lock.withLock { (self.child, isExpectedToEnd) }
            guard let child, !isExpected else { continue }
            let end = child.end
            // It may have been told to meanwhile.
            let isStillMeant = lock.withLock { self.child === child && !isExpectedToEnd }
            promises.check(.staysAlive, end == nil || !isStillMeant, "it has ended with \(end ?? 0): \(tail)")
            if end != nil, isStillMeant {
                lock.withLock { isExpectedToEnd = true }
                ledger.goesDown()
            }
        }
    }

    /// For a negative control.
    func endUnexpectedly() { lock.withLock { child }?.send(SIGKILL) }

    func stop() { lock.withLock { child }?.stop() }

    // MARK: Conversation

    /// A command on the control socket.
    func command(_ path: String) throws -> (status: Int, json: [String: Any]) {
        try ask("control", path, method: "POST", seconds: 30)
    }

    func ask(
        _ socket: String,
        _ path: String,
        method: String = "GET",
        seconds: Double = 10
    ) throws -> (status: Int, json: [String: Any]) {
        let answer = try LocalSocket(self.socket(socket), timeout: seconds).ask(method, path)
        return (answer.status, Self.json(answer.body))
    }

    static func json(_ body: [UInt8]) -> [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
    }
}

extension LocalSocket {
    func ask(_ method: String, _ path: String, headers: String = "") throws -> Answer {
        let length = method == "POST" ? "Content-Length: 0\r\n" : ""
        try send(Array("\(method) \(path) HTTP/1.1\r\nHost: agent\r\n\(headers)\(length)\r\n".utf8))
        return try receive()
    }

    func get(_ path: String, headers: String = "") throws -> Answer { try ask("GET", path, headers: headers) }
}

import BenchKit
import Foundation

/// Origins that can all be made to fail at once, each in its way.
private final class FailingOrigins: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the state is touched under `lock`; the server is set once, in `init`.
    private let lock = NSLock()
    private var isFailing = false
    private var server: TCP.Server?

    init() throws { server = try TCP.Server { [weak self] in self?.answer($0) } }

    var port: UInt16 { server?.port ?? 0 }
    func fail(_ fails: Bool) { lock.withLock { isFailing = fails } }
    func stop() { server?.stop() }

    private func answer(_ connection: Int32) {
        var buffer = [UInt8](repeating: 0, count: 8_192)
        let count = recv(connection, &buffer, buffer.count, 0)
        guard count > 0 else { return }
        let path = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ").dropFirst().first ?? ""
        func document(_ body: String, length: Int? = nil) -> String {
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(length ?? body.utf8.count)\r\n"
                + "Connection: close\r\n\r\n\(body)"
        }
        guard lock.withLock({ isFailing }) else {
            _ = TCP.send(document("{\"\(path.dropFirst())\": 1}"), to: connection)
            return
        }
        switch path {
        case "/error": _ = TCP.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", to: connection)
        case "/cut": _ = TCP.send(document("{\"cut\":", length: 500), to: connection)
        case "/page": _ = TCP.send(document("<html>no</html>"), to: connection)
        // Until the agent has had enough.
        case "/silent": _ = recv(connection, &buffer, buffer.count, 0)
        default: return
        }
    }
}

/// A journald that nobody else uses, and that can be frozen.
private struct FrozenJournal {
    private let file: URL

    /// Has the agent started beside it, where both see a /run of their own.
    init(beside agent: Agent) {
        file = agent.file("journald.pid")
        agent.launcher = [
            "/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
            """
            mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal || exit 1
            env -u NOTIFY_SOCKET -u LD_PRELOAD /lib/systemd/systemd-journald & echo $! >"$0"
            for turn in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.05; done
            JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM
            exec "$@"
            """, file.path,
        ]
    }

    private var pid: pid_t {
        get throws {
            let text = try String(contentsOf: file, encoding: .utf8)
            guard let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
                throw Agent.Failure(description: "no journald")
            }
            return pid
        }
    }

    func freeze(_ freezes: Bool) throws {
        guard kill(try pid, freezes ? SIGSTOP : SIGCONT) == 0 else {
            throw Agent.Failure(description: "journald is gone")
        }
    }

    func end() { if let pid = try? pid { kill(pid, SIGKILL) } }
}

extension LocalReads {
    /// What everything at once costs those who read: a full disk, a frozen journald, every source failing, and 1,000 clients
    /// of which half never finish their request and half never read their answer.
    func underSiege(clients: Int = 1_000, requests: Int = 8_000, rounds: Int = 9) throws -> [Measurement] {
        let origins = try FailingOrigins()
        defer { origins.stop() }
        let others = ["error", "cut", "page", "silent", "closed"].map { name in
            "  \(name): {url: \"http://127.0.0.1:\(origins.port)/\(name)\", poll: 1s, timeout: 2s, required: false, "
                + "retry: {base: 100ms, max: 1s}}"
        }
        let agent = try Agent(
            binaries: binaries,
            keys: 8_000,
            settings: """
                limits:
                  {connections: 2000, connections_per_peer: 2000, idle: 600s, request_time: 600s, answer_time: 600s}
                """,
            others: others.joined(separator: "\n")
        )
        defer { agent.end() }
        let disk = try FaultyDisk(of: agent)
        let journal = FrozenJournal(beside: agent)
        defer { journal.end() }
        try agent.prepare()
        _ = try agent.start()
        var quiet = Latencies()
        var besieged = Latencies()
        for round in 0...rounds {
            try waitFor(agent, "all is well") { $0.values.allSatisfy { $0 == "fresh" } }
            try measure(agent, requests, into: &quiet, counts: round > 0)
            try journal.freeze(true)
            try disk.strike(.full)
            origins.fail(true)
            try "{\"bench\":".write(to: agent.file("app.json"), atomically: true, encoding: .utf8)
            try waitFor(agent, "every source fails") { $0.values.allSatisfy { $0 == "failing" } }
            try beside(clients, of: agent) { try measure(agent, requests, into: &besieged, counts: round > 0) }
            origins.fail(false)
            try agent.writeDocument()
            try disk.mend(.full)
            try journal.freeze(false)
        }
        let name = "local reads under siege"
        return [
            Measurement("\(name), p99", "besieged", besieged.p99, against: "quiet", quiet.p99, unit: "µs", .atMost(2)),
            Measurement("\(name), median", "besieged", besieged.p50, against: "quiet", quiet.p50, unit: "µs", .none),
        ]
    }

    /// - Parameter holds: told the state of each source, by name.
    private func waitFor(_ agent: Agent, _ what: String, until holds: ([String: String]) -> Bool) throws {
        let deadline = Date.now + 60
        while Date.now < deadline {
            let sources = try agent.status()["sources"] as? [String: [String: Any]] ?? [:]
            if !sources.isEmpty, holds(sources.compactMapValues { $0["state"] as? String }) { return }
            Thread.sleep(forTimeInterval: 0.05)
        }
        throw Agent.Failure(description: "waited 60 s in vain: \(what): \(try agent.status())")
    }
}

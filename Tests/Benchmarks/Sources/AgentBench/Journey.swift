import BenchKit
import Foundation

/// How long a change takes from its source until a read over the local socket sees it, by each way of being told; beside
/// `etcdctl watch` with a script that writes a file, on the same etcd in turn.
struct Journey {
    private static let rounds = 400
    private static let slowRounds = 120
    /// Between two changes: of one source they are then further apart than the agent's shortest time between two fetches
    /// because of news.
    private static let pause = 0.08

    let binaries: URL

    func measure() throws -> [Measurement] {
        let etcd = try EtcdServer()
        defer { etcd.stop() }
        try etcd.put("agent", "{\"e\": 0}")
        try etcd.put("script", "0")
        let longPoll = try LongPollOrigin()
        defer { longPoll.stop() }
        let port = try TCP.freePort()
        let others = """
              etcd: {url: "etcd+http://127.0.0.1:\(etcd.port)/?key=agent", format: json, poll: 1h}
              long: {url: "http://127.0.0.1:\(longPoll.port)/l.json", format: json, poll: {min: 1h, max: 1h, wait: 1m}}
              polled: {url: "http://127.0.0.1:\(port)/c/0.json", poll: 1s}
            """
        let agent = try Agent(binaries: binaries, keys: 1_000, poll: "1h", others: others)
        defer { agent.end() }
        let nginx = try Nginx(directory: agent.directory, documents: 1, port: port, mayCache: false)
        defer { nginx.stop() }
        try agent.prepare()
        _ = try agent.start()
        let script = try Script(etcd, directory: agent.directory)
        defer { script.stop() }
        let reader = try Reader(agent.configSocket)
        // Both listen, and both have been told something.
        try settle("the agent to listen") {
            try etcd.put("agent", "{\"e\": -1}")
            return try reader.wait(for: "e", "-1", seconds: 0.5) != nil
        }
        try settle("etcdctl to listen") {
            try etcd.put("script", "-1")
            return script.wait(for: "-1", seconds: 0.5) != nil
        }

        var ours: [Double] = []
        var theirs: [Double] = []
        var long: [Double] = []
        var file: [Double] = []
        var polled: [Double] = []
        for round in 1...Self.rounds {
            ours.append(try reader.time("e", "\(round)") { try etcd.put("agent", "{\"e\": \(round)}") })
            Thread.sleep(forTimeInterval: Self.pause)
            theirs.append(try script.time("\(round)") { try etcd.put("script", "\(round)") })
            Thread.sleep(forTimeInterval: Self.pause)
            file.append(try reader.time("bench.sequence", "\(agent.sequence + 1)") { try agent.writeDocument() })
            Thread.sleep(forTimeInterval: Self.pause)
        }
        let document = agent.directory.appending(path: "nginx/c/0.json")
        for round in 1...Self.slowRounds {
            // A source that has something to tell all the time is listened to once a second.
            Thread.sleep(forTimeInterval: 1.2)
            long.append(try reader.time("l", "\(round)") { longPoll.set(round) })
            // Of another length each time: the server makes its ETag of length and time. At any moment between two polls.
            Thread.sleep(forTimeInterval: Double(round % 6) / 6)
            let value = String(repeating: "1", count: round % 12 + 2)
            polled.append(
                try reader.time("s0.value", value) {
                    try Data("{\"s0\": {\"value\": \(value)}}".utf8).write(to: document, options: .atomic)
                }
            )
        }
        return rows("etcd watch", ours, against: theirs) + rows("HTTP long poll", long) + rows("inotify", file)
            + rows("poll each second", polled)
    }

    private func rows(_ name: String, _ samples: [Double], against theirs: [Double]? = nil) -> [Measurement] {
        [("median", 0.5), ("99 % of \(samples.count)", 0.99)].map { label, part in
            let name = "change to read, \(name): \(label)"
            let ours = [Statistics.quantile(part, of: samples)]
            guard let theirs else { return Measurement(name, "agentd", ours, unit: "ms", .none) }
            let anchor = [Statistics.quantile(part, of: theirs)]
            return Measurement(name, "agentd", ours, against: "etcdctl watch", anchor, unit: "ms", .atMost(1))
        }
    }

    private func settle(_ what: String, _ condition: () throws -> Bool) throws {
        let deadline = Date.now + 20
        while !(try condition()) {
            guard Date.now < deadline else { throw Agent.Failure(description: "waited in vain for \(what)") }
        }
    }

    /// Looks again and again: often against the time that a change takes, and seldom enough to leave others room.
    private static let look: useconds_t = 200

    /// Reads values as a local service does.
    private struct Reader {
        private let socket: LocalSocket

        init(_ path: String) throws { socket = try LocalSocket(path) }

        /// Milliseconds from before `change` until a read sees `json`.
        func time(_ key: String, _ json: String, _ change: () throws -> Void) throws -> Double {
            let begin = Figures.now
            try change()
            guard let end = try wait(for: key, json, seconds: 10) else {
                throw Agent.Failure(description: "\(key) did not become \(json)")
            }
            return Double(end - begin) / 1e6
        }

        func wait(for key: String, _ json: String, seconds: Double) throws -> UInt64? {
            let request = Array("GET /v1/config/\(key) HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
            let deadline = Figures.now + UInt64(seconds * 1e9)
            let wanted = Array(json.utf8)
            while Figures.now < deadline {
                try socket.send(request)
                let body = try socket.receive().body
                if body == wanted || body == wanted + [0x0A] { return Figures.now }
                usleep(Journey.look)
            }
            return nil
        }
    }

    /// `etcdctl watch`, which runs a script for each change.
    private struct Script {
        private let process = Process()
        private let file: String

        init(_ etcd: EtcdServer, directory: URL) throws {
            file = directory.appending(path: "value").path
            process.executableURL = URL(filePath: "/usr/bin/etcdctl")
            process.arguments = [
                "--endpoints", "127.0.0.1:\(etcd.port)", "watch", "script", "--", "sh", "-c",
                "printf %s \"$ETCD_WATCH_VALUE\" >\(file)",
            ]
            process.environment = ["ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
        }

        func stop() {
            process.terminate()
            process.waitUntilExit()
        }

        func time(_ value: String, _ change: () throws -> Void) throws -> Double {
            let begin = Figures.now
            try change()
            guard let end = wait(for: value, seconds: 10) else {
                throw Agent.Failure(description: "etcdctl did not tell of \(value)")
            }
            return Double(end - begin) / 1e6
        }

        func wait(for value: String, seconds: Double) -> UInt64? {
            let deadline = Figures.now + UInt64(seconds * 1e9)
            var buffer = [UInt8](repeating: 0, count: 64)
            // etcdctl puts it in quotes.
            let wanted = Array("\"\(value)\"".utf8)
            while Figures.now < deadline {
                let descriptor = open(file, O_RDONLY)
                if descriptor >= 0 {
                    let count = read(descriptor, &buffer, buffer.count)
                    close(descriptor)
                    if count > 0, Array(buffer[..<count]) == wanted { return Figures.now }
                }
                usleep(Journey.look)
            }
            return nil
        }
    }
}

/// An etcd of one member, and a connection to write to it.
final class EtcdServer {
    let port: UInt16
    private let process = Process()
    private let directory: URL
    private var connection: Int32 = -1

    init() throws {
        port = try TCP.freePort()
        let peer = "http://127.0.0.1:\(try TCP.freePort())"
        let client = "http://127.0.0.1:\(port)"
        directory = FileManager.default.temporaryDirectory.appending(path: "etcd-bench-\(UUID().uuidString.prefix(8))")
        process.executableURL = URL(filePath: "/usr/bin/etcd")
        process.arguments = [
            "--data-dir", directory.path, "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=\(peer)",
            "--log-level", "error", "--unsafe-no-fsync",
        ]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let deadline = Date.now + 20
        while (try? put("ready", "1")) == nil {
            guard Date.now < deadline else {
                stop()
                throw Agent.Failure(description: "etcd does not start")
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    func stop() {
        if connection >= 0 { close(connection) }
        connection = -1
        if process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: directory)
    }

    func put(_ key: String, _ value: String) throws {
        if connection < 0 { connection = TCP.connect(port: port) ?? -1 }
        func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }
        let body = "{\"key\":\"\(base64(key))\",\"value\":\"\(base64(value))\"}"
        let request =
            "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        guard connection >= 0, TCP.send(request, to: connection), let head = TCP.head(from: connection),
            head.hasPrefix("HTTP/1.1 200")
        else {
            if connection >= 0 { close(connection) }
            connection = -1
            throw Agent.Failure(description: "etcd does not take \(key)")
        }
    }
}

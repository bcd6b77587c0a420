import BenchKit
import Foundation

/// Values read over config.sock, by many requests over few connections.
struct LocalReads {
    let binaries: URL

    // MARK: Against nginx

    /// How much work a read is, with nginx's static files as the measure.
    func againstNginx(requests: Int = 100_000, rounds: Int = 7) throws -> [Measurement] {
        let agent = try Agent(binaries: binaries, keys: 1_000, workers: 1, poll: "1h")
        defer { agent.end() }
        try agent.prepare()
        _ = try agent.start()
        let path = "/v1/config/bench.greeting"
        let nginx = try Nginx(directory: agent.directory, body: try value(agent, path))
        defer { nginx.stop() }

        var ours = Rates()
        var theirs = Rates()
        // The first pair warms both up.
        for round in 0...rounds {
            let first = round % 2 == 0
            if first { try ours.add([agent.pid], agent.configSocket, path, requests, counts: round > 0) }
            try theirs.add(nginx.workers, nginx.socket, "/value", requests, counts: round > 0)
            if !first { try ours.add([agent.pid], agent.configSocket, path, requests, counts: round > 0) }
        }
        return [
            Measurement(
                "local reads per core (P13)",
                "agentd",
                ours.perCore,
                against: "nginx",
                theirs.perCore,
                unit: "req/cpu-s",
                .atLeast(0.8)
            ),
            Measurement(
                "local reads, 8 connections",
                "agentd",
                ours.perSecond,
                against: "nginx",
                theirs.perSecond,
                unit: "req/s",
                .none
            ),
        ]
    }

    private struct Rates {
        var perCore: [Double] = []
        var perSecond: [Double] = []

        mutating func add(
            _ servers: [pid_t],
            _ socket: String,
            _ path: String,
            _ requests: Int,
            counts: Bool
        ) throws {
            let before = try Figures.processorTime(servers)
            let rate = try Tools.load(socket: socket, path: path, requests: requests)
            let spent = try Figures.processorTime(servers) - before
            guard counts else { return }
            perSecond.append(rate)
            perCore.append(Double(requests) / spent)
        }
    }

    private func value(_ agent: Agent, _ path: String) throws -> Data {
        let socket = try LocalSocket(agent.configSocket)
        try socket.send(Array("GET \(path) HTTP/1.1\r\nHost: agent\r\n\r\n".utf8))
        let answer = try socket.receive()
        guard answer.status == 200 else { throw Agent.Failure(description: "\(path): \(answer.status)") }
        return Data(answer.body)
    }

    // MARK: Beside clients that stall

    /// What 1,000 clients that do not go on cost those who do.
    func besideStalled(clients: Int = 1_000, requests: Int = 8_000, rounds: Int = 15) throws -> [Measurement] {
        // Nobody is cut off within a round. Half of the clients each make the agent hold a large answer.
        let agent = try Agent(
            binaries: binaries,
            keys: 8_000,
            poll: "1h",
            settings: """
                limits:
                  {connections: 2000, connections_per_peer: 2000, idle: 600s, request_time: 600s, answer_time: 600s}
                """
        )
        defer { agent.end() }
        try agent.prepare()
        _ = try agent.start()
        var quiet = Latencies()
        var stalled = Latencies()
        for round in 0...rounds {
            let quietFirst = round % 2 == 0
            if quietFirst { try measure(agent, requests, into: &quiet, counts: round > 0) }
            try beside(clients, of: agent) {
                try measure(agent, requests, into: &stalled, counts: round > 0)
            }
            if !quietFirst { try measure(agent, requests, into: &quiet, counts: round > 0) }
        }
        let name = "local reads beside \(clients) stalled clients"
        return [
            Measurement("\(name), p99", "stalled", stalled.p99, against: "quiet", quiet.p99, unit: "µs", .atMost(2)),
            Measurement("\(name), median", "stalled", stalled.p50, against: "quiet", quiet.p50, unit: "µs", .none),
        ]
    }

    struct Latencies {
        var p50: [Double] = []
        var p99: [Double] = []
    }

    func beside(_ count: Int, of agent: Agent, _ body: () throws -> Void) throws {
        let half = Array("GET /v1/config HTTP/1.1\r\nHost: ag".utf8)
        let whole = Array("GET /v1/config HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        let clients = try (0..<count).map { number in
            let client = try LocalSocket(agent.configSocket)
            try client.send(number % 2 == 0 ? half : whole)
            return client
        }
        // All have been accepted, and what they sent has been read, when the agent has nothing left to do.
        try Settling.wait(for: agent)
        try body()
        withExtendedLifetime(clients) {}
    }

    /// A closed loop over 8 connections, one request at a time.
    func measure(_ agent: Agent, _ requests: Int, into latencies: inout Latencies, counts: Bool) throws {
        try Settling.wait(for: agent)
        let request = Array("GET /v1/config/bench.sequence HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        let connections = try (0..<8).map { _ in try LocalSocket(agent.configSocket) }
        var samples: [Double] = []
        samples.reserveCapacity(requests)
        for number in 0..<requests {
            let connection = connections[number % connections.count]
            let begin = Figures.now
            try connection.send(request)
            let answer = try connection.receive()
            samples.append(Double(Figures.now - begin) / 1e3)
            guard answer.status == 200 else { throw Agent.Failure(description: "a read: \(answer.status)") }
        }
        guard counts else { return }
        latencies.p50.append(Statistics.median(samples))
        latencies.p99.append(Statistics.quantile(0.99, of: samples))
    }
}

/// Waits until the agent has nothing to do: half a tenth of a second without using any of the processor.
enum Settling {
    static func wait(for agent: Agent) throws {
        let deadline = Date.now + 30
        var before = try Figures.fineProcessorTime(agent.pid)
        while Date.now < deadline {
            Thread.sleep(forTimeInterval: 0.05)
            let now = try Figures.fineProcessorTime(agent.pid)
            // A timer may fire now and then.
            if now - before < 1_000_000 { return }
            before = now
        }
        throw Agent.Failure(description: "the agent does not come to rest")
    }
}

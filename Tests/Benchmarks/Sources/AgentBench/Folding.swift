import BenchKit
import Foundation

/// Many callers want the same value at once, and it has to be fetched first: how often the origin is asked, and how long
/// the slowest waits. nginx with `proxy_cache_lock` does the same job in front of the same origin.
struct Folding {
    static let callers = 64
    private static let delay = 50
    private static let rounds = 7

    let binaries: URL

    func measure() throws -> [Measurement] {
        let origin = try SlowOrigin(milliseconds: Self.delay)
        defer { origin.stop() }
        let url = "http://127.0.0.1:\(origin.port)/app.json"
        let agent = try Agent(
            binaries: binaries,
            keys: 1,
            source: "{url: \"\(url)\", poll: 1h}"
        )
        defer { agent.end() }
        try agent.prepare()
        _ = try agent.start()
        let nginx = try Nginx(directory: agent.directory, origin: origin.port)
        defer { nginx.stop() }
        var ours = Crowds()
        var theirs = Crowds()
        for round in 0..<Self.rounds {
            // So that what is there is too old for them.
            Thread.sleep(forTimeInterval: 1.1)
            try ours.add(origin, socket: agent.configSocket, path: "/v1/config/greeting?max_age=1")
            try theirs.add(origin, socket: nginx.socket, path: "/round\(round)")
        }
        return [
            Measurement("64 callers, 50 ms origin: requests", "agentd", ours.requests, unit: "", .atMost(1)),
            Measurement(
                "64 callers, 50 ms origin: slowest",
                "agentd",
                ours.slowest,
                against: "nginx proxy_cache_lock",
                theirs.slowest,
                unit: "ms",
                .none
            ),
            Measurement("64 callers, 50 ms origin: slowest", "agentd", ours.slowest, unit: "ms", .atMost(60)),
        ]
    }

    private struct Crowds {
        var requests: [Double] = []
        /// Milliseconds.
        var slowest: [Double] = []

        mutating func add(_ origin: SlowOrigin, socket: String, path: String) throws {
            let before = origin.requests
            slowest.append(try Folding.slowest(of: Folding.callers, socket, path))
            requests.append(Double(origin.requests - before))
        }
    }

    /// Milliseconds from when all ask until the last one has its answer.
    private static func slowest(of callers: Int, _ socket: String, _ path: String) throws -> Double {
        let sockets = try (0..<callers).map { _ in try LocalSocket(socket) }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: agent\r\n\r\n".utf8)
        let begin = Figures.now
        for socket in sockets { try socket.send(request) }
        for socket in sockets {
            let answer = try socket.receive()
            guard answer.status == 200 else { throw Agent.Failure(description: "\(path): \(answer.status)") }
        }
        return Double(Figures.now - begin) / 1e6
    }
}

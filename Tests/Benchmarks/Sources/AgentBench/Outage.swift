import BenchKit
import Foundation

/// An origin that a thousand sources are asked from goes away for 20 s and comes back: what it is asked meanwhile, and
/// what hits it then. Beside it pollers without manners: each of a thousand tries again after a second.
struct Outage {
    private static let sources = 1_000
    private static let poll = 5
    private static let away = 20.0
    private static let before = 15.0
    private static let after = 30.0

    let binaries: URL

    func measure() throws -> [Measurement] {
        let ours = try watched("agentd") { origin in
            let lines = (0..<Self.sources).map { number in
                "  s\(number): {url: \"http://127.0.0.1:\(origin.port)/\(number).json\", poll: \(Self.poll)s}"
            }
            let agent = try Agent(binaries: binaries, keys: 1, others: lines.joined(separator: "\n"))
            try agent.prepare()
            _ = try agent.start()
            return { agent.end() }
        }
        let theirs = try watched("no manners") { origin in
            let pollers = RudePollers(Self.sources, port: origin.port, seconds: Double(Self.poll))
            return { pollers.stop() }
        }
        print("requests in each tenth of a second, from the first one that the origin answers again:")
        for (name, course) in [("agentd         ", ours), ("without manners", theirs)] {
            let first = course.tenths.dropFirst(course.back).prefix(100)
            print("  \(name)   \(first.map(String.init).joined(separator: " "))")
        }
        func row(_ name: String, _ unit: String, _ goal: Measurement.Goal, _ figure: (Course) -> Double) -> Measurement
        {
            Measurement(
                "1000 sources, 20 s outage: \(name)",
                "agentd",
                [figure(ours)],
                against: "no manners",
                [figure(theirs)],
                unit: unit,
                goal
            )
        }
        return [
            row("requests meanwhile", "", .atMost(0.1)) { Double($0.meanwhile) },
            row("most in 100 ms after", "", .atMost(0.5)) { Double($0.most) },
            row("all are asked again after", "s", .none) { $0.allAsked },
            Measurement("1000 sources: usual in 100 ms", "agentd", [ours.usual], unit: "", .none),
            course("agentd", ours), course("no manners", theirs),
        ]
    }

    private func course(_ who: String, _ course: Course) -> Measurement {
        let name = "1000 sources, 20 s outage: in each 100 ms from 5 s before"
        var row = Measurement(name, who, [Double(course.tenths.max() ?? 0)], unit: "", .none)
        row.series = course.tenths
        return row
    }

    private struct Course {
        /// Requests in a tenth of a second before.
        var usual: Double
        var meanwhile: Int
        /// In the busiest tenth of a second once it is back.
        var most: Int
        /// Seconds until each source was asked.
        var allAsked: Double
        /// Requests in each tenth of a second, from five seconds before the origin went until the end.
        var tenths: [Int]
        /// The tenth in which it was asked first once it was back.
        var back: Int
    }

    private func watched(_ who: String, _ start: (FlakyOrigin) throws -> () -> Void) throws -> Course {
        let origin = try FlakyOrigin()
        defer { origin.stop() }
        let stop = try start(origin)
        defer { stop() }
        Thread.sleep(forTimeInterval: Self.before)
        let gone = origin.set(isAway: true)
        Thread.sleep(forTimeInterval: Self.away)
        let back = origin.set(isAway: false)
        Thread.sleep(forTimeInterval: Self.after)
        let log = origin.log
        let begin = gone - 5_000_000_000
        var counts: [Int: Int] = [:]
        for (time, _) in log where time >= begin { counts[Int((time - begin) / 100_000_000), default: 0] += 1 }
        let tenths = (0...(counts.keys.max() ?? 0)).map { counts[$0] ?? 0 }
        let firstBack = Int((back - begin) / 100_000_000)
        var firsts: [String: UInt64] = [:]
        for (time, path) in log where time >= back && firsts[path] == nil { firsts[path] = time - back }
        guard firsts.count >= Self.sources else {
            let missing = (0..<Self.sources).filter { firsts["/\($0).json"] == nil }
            let before = Set(log.filter { $0.0 < gone }.map(\.1)).count
            throw Agent.Failure(
                description:
                    "\(who): only \(firsts.count) sources (\(before) before) were asked again in \(Self.after) s, not \(missing)"
            )
        }
        return Course(
            usual: Double(log.count { $0.0 < gone && $0.0 + 10_000_000_000 > gone }) / 100,
            meanwhile: log.count { $0.0 >= gone && $0.0 < back },
            most: tenths.dropFirst(firstBack).max() ?? 0,
            allAsked: Double(firsts.values.max() ?? 0) / 1e9,
            tenths: tenths,
            back: Int(((log.first { $0.0 >= back })?.0 ?? back) - begin) / 100_000_000
        )
    }
}

/// An origin that hangs up on everybody while it is away, and writes down when it was asked for what.
private final class FlakyOrigin: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what changes is touched under `lock`; the server is set once, in `init`.
    private let lock = NSLock()
    private var isAway = false
    private var asked: [(UInt64, String)] = []
    private var server: TCP.Server?

    init() throws { server = try TCP.Server { [weak self] in self?.serve($0) } }

    var port: UInt16 { server?.port ?? 0 }

    /// - Returns: when.
    func set(isAway: Bool) -> UInt64 {
        lock.withLock {
            self.isAway = isAway
            return Figures.now
        }
    }

    var log: [(UInt64, String)] { lock.withLock { asked } }

    func stop() { server?.stop() }

    private func serve(_ connection: Int32) {
        while let head = TCP.head(from: connection) {
            let path = head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
            let isAway = lock.withLock {
                asked.append((Figures.now, path))
                return self.isAway
            }
            guard !isAway else { return }
            let body = "{\"a\": 1}"
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
            guard TCP.send(answer, to: connection) else { return }
        }
    }
}

/// Pollers that know nothing of each other: each asks at its interval, and when that fails, a second later.
private final class RudePollers: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what changes is touched under `lock`.
    private let lock = NSLock()
    private var isStopped = false

    init(_ count: Int, port: UInt16, seconds: Double) {
        for number in 0..<count {
            let thread = Thread { [self] in
                // As many agents started at different times do.
                Thread.sleep(forTimeInterval: seconds * Double(number) / Double(count))
                while !lock.withLock({ isStopped }) {
                    Thread.sleep(forTimeInterval: Self.ask("/\(number).json", port) ? seconds : 1)
                }
            }
            thread.stackSize = 128 << 10
            thread.start()
        }
    }

    func stop() { lock.withLock { isStopped = true } }

    private static func ask(_ path: String, _ port: UInt16) -> Bool {
        guard let connection = TCP.connect(port: port) else { return false }
        defer { close(connection) }
        return TCP.send("GET \(path) HTTP/1.1\r\nHost: origin\r\n\r\n", to: connection)
            && TCP.head(from: connection)?.hasPrefix("HTTP/1.1 200") == true
    }
}

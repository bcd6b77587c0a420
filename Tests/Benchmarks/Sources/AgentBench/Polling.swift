import BenchKit
import Foundation

/// What many sources cost: the processor's time for a poll, memory for a source, and how late polls set out.
struct Polling {
    static let counts = [100, 1_000, 10_000]
    private static let rounds = 3
    /// Seconds that one round takes.
    private static let length = 5.0
    /// Polls each second, as far as sources may be polled so often: what is compared is a poll among few and among many.
    private static let rate = 500

    let binaries: URL

    func measure() throws -> [Measurement] {
        let few = try figures(of: Self.counts[0])
        var measurements = few.measurements(nil)
        var before = few
        for count in Self.counts.dropFirst() {
            let found = try figures(of: count)
            measurements += found.measurements(few)
            // Polled as often in all: what the agent does each second, whatever it is asked to, is the same in both.
            if before.sources > few.sources { measurements.append(found.pollTime(against: before)) }
            before = found
        }
        return measurements
    }

    private struct Figures {
        let sources: Int
        /// Microseconds, one for each round.
        var perPoll: [Double] = []
        /// Bytes, beyond those of an agent with one source.
        var memory = 0.0
        var memoryOfEach: Double { memory / Double(sources) / 1_024 }
        /// Microseconds that nineteen of twenty polls, and that nearly all, set out within.
        var late95 = 0.0
        var late999 = 0.0
        /// Of all sources, the one asked the least often, against the mean.
        var leastAsked = 0.0

        func pollTime(against others: Figures) -> Measurement {
            Measurement(
                "\(sources) sources: processor time of a poll",
                "agentd",
                perPoll,
                against: "\(others.sources) sources",
                others.perPoll,
                unit: "us",
                .atMost(1.3)
            )
        }

        func measurements(_ few: Figures?) -> [Measurement] {
            let name = "\(sources) sources"
            var rows = [
                few.map { pollTime(against: $0) }
                    ?? Measurement("\(name): processor time of a poll", "agentd", perPoll, unit: "us", .none)
            ]
            rows.append(
                few.map {
                    Measurement(
                        "\(name): memory of a source",
                        "agentd",
                        [memoryOfEach],
                        against: "\($0.sources) sources",
                        [$0.memoryOfEach],
                        unit: "KiB",
                        .atMost(1.3)
                    )
                } ?? Measurement("\(name): memory of a source", "agentd", [memoryOfEach], unit: "KiB", .none)
            )
            rows.append(Measurement("\(name): 95 % of polls late by", "agentd", [late95 / 1_000], unit: "ms", .none))
            // A tenth of the shortest time between two polls.
            let late = late999 / 1_000
            rows.append(Measurement("\(name): 99.9 % of polls late by", "agentd", [late], unit: "ms", .atMost(100)))
            rows.append(
                Measurement("\(name): asked the least, to the mean", "agentd", [leastAsked], unit: "", .atLeast(0.5))
            )
            return rows
        }
    }

    private func figures(of count: Int) throws -> Figures {
        let poll = max(1, Double(count) / Double(Self.rate))
        let alone = try memory(of: 1, poll: 1)
        let (agent, nginx) = try start(count, poll: poll)
        defer {
            nginx.stop()
            agent.end()
        }
        var figures = Figures(sources: count)
        // Before anybody has asked for a report on all of them, which takes memory too.
        Thread.sleep(forTimeInterval: Self.length)
        figures.memory = max(0, try agent.anonymousMemory() - alone)
        // At the start all are asked at once; how late polls are is told of those that come after.
        let start = Lateness(try wait(agent, for: 2, seconds: 2 * poll + 30))
        for _ in 0..<Self.rounds {
            // The reports are left out of the processor's time; polls go on while one is made.
            let (first, asked) = (Date.now, try requests(agent))
            let (start, spent) = (Date.now, try BenchKit.Figures.processorTime([agent.pid]))
            Thread.sleep(forTimeInterval: Self.length)
            let share = (try BenchKit.Figures.processorTime([agent.pid]) - spent) / Date.now.timeIntervalSince(start)
            let second = Date.now
            let rate = Double(try requests(agent) - asked) / second.timeIntervalSince(first)
            figures.perPoll.append(share * 1e6 / max(1, rate))
        }
        // So that each has been asked several times.
        let sources = try wait(agent, for: 4, seconds: 6 * poll + 30)
        let asked = sources.map { Double($0["requests"] as? Int ?? 0) }
        figures.leastAsked = (asked.min() ?? 0) / (asked.reduce(0, +) / Double(max(1, asked.count)))
        let lateness = Lateness(sources)
        figures.late95 = lateness.bound(0.95, since: start)
        figures.late999 = lateness.bound(0.999, since: start)
        return figures
    }

    private func memory(of count: Int, poll: Double) throws -> Double {
        let (agent, nginx) = try start(count, poll: poll)
        defer {
            nginx.stop()
            agent.end()
        }
        Thread.sleep(forTimeInterval: Self.length)
        return try agent.anonymousMemory()
    }

    private func start(_ count: Int, poll: Double) throws -> (Agent, Nginx) {
        let port = try TCP.freePort()
        let lines = (0..<count).map { number in
            "  s\(number): {url: \"http://127.0.0.1:\(port)/c/\(number).json\", poll: \(Int(poll))s}"
        }
        let agent = try Agent(binaries: binaries, keys: 1, workers: 1, others: lines.joined(separator: "\n"))
        do {
            let nginx = try Nginx(directory: agent.directory, documents: count, port: port)
            do {
                try agent.prepare()
                _ = try agent.start()
                return (agent, nginx)
            } catch {
                nginx.stop()
                throw error
            }
        } catch {
            agent.end()
            throw error
        }
    }

    // MARK: What the agent says

    private func sources(_ agent: Agent) throws -> [[String: Any]] {
        let arguments = ["-s", "--unix-socket", agent.statusSocket, "http://agent/v1/sources"]
        let report = try Tools.run(URL(filePath: "/usr/bin/curl"), arguments)
        let json = try JSONSerialization.jsonObject(with: report) as? [String: Any]
        return json?["sources"] as? [[String: Any]] ?? []
    }

    private func requests(_ agent: Agent) throws -> Int {
        try sources(agent).reduce(0) { $0 + ($1["requests"] as? Int ?? 0) }
    }

    /// Waits until each source has been asked so often.
    private func wait(_ agent: Agent, for times: Int, seconds: Double) throws -> [[String: Any]] {
        let deadline = Date.now + seconds
        while true {
            let all = try sources(agent)
            if !all.isEmpty, all.allSatisfy({ $0["requests"] as? Int ?? 0 >= times }) { return all }
            guard Date.now < deadline else {
                throw Agent.Failure(description: "not every source was asked \(times) times in \(seconds) s")
            }
            Thread.sleep(forTimeInterval: 0.5)
        }
    }

    /// How late polls set out, all sources together.
    private struct Lateness {
        /// By upper bound in microseconds, those below included.
        private var counts: [Double: Double] = [:]
        private var total = 0.0

        init(_ sources: [[String: Any]]) {
            for source in sources {
                let waits = (source["timings"] as? [String: [String: Any]])?["wait"] ?? [:]
                total += waits["count"] as? Double ?? 0
                for bucket in waits["histogram"] as? [[String: Double]] ?? [] {
                    counts[bucket["le_us"] ?? 0, default: 0] += bucket["count"] ?? 0
                }
            }
        }

        /// The bound in microseconds below which that share of the polls since `earlier` is.
        func bound(_ share: Double, since earlier: Lateness) -> Double {
            let wanted = share * (total - earlier.total)
            return counts.filter { $0.value - (earlier.counts[$0.key] ?? 0) >= wanted }.keys.min() ?? .infinity
        }
    }
}

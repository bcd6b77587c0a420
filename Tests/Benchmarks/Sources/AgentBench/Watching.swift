import BenchKit
import Foundation

/// What it costs to tell many of a change.
struct Watching {
    let binaries: URL

    private static let limits = """
        limits: {connections: 12000, connections_per_peer: 12000, answer_time: 600s, idle: 600s, heartbeat: 600s}
        """

    private func agent() throws -> Agent {
        let agent = try Agent(binaries: binaries, keys: 1_000, poll: "1h", settings: Self.limits)
        do {
            try agent.prepare()
            _ = try agent.start()
        } catch {
            agent.end()
            throw error
        }
        return agent
    }

    // MARK: Those who read

    private struct Step {
        var watchers = 0
        var cpu: [Double] = []
        var first: [Double] = []
        var last: [Double] = []
        var answered: [Double] = []
        var memory = 0.0
    }

    func live(_ sizes: [Int] = [1, 100, 1_000, 10_000], publishes: Int = 20) throws -> [Measurement] {
        let agent = try agent()
        defer { agent.end() }
        let crowd = try Crowd(agent, topic: "/v1/watch?prefix=bench")
        // Whatever a publication leaves behind for good is there before memory counts.
        for _ in 0..<publishes { _ = try crowd.publish() }
        let alone = try step(0, crowd, agent, publishes)
        var steps: [Step] = []
        for size in sizes {
            try crowd.grow(to: size)
            steps.append(try step(size, crowd, agent, publishes))
        }
        return report(steps, alone)
    }

    private func step(_ size: Int, _ crowd: Crowd, _ agent: Agent, _ publishes: Int) throws -> Step {
        var step = Step(watchers: size)
        _ = try crowd.publish()
        for _ in 0..<publishes {
            try Settling.wait(for: agent)
            let before = try Figures.fineProcessorTime(agent.pid)
            let times = try crowd.publish()
            try Settling.wait(for: agent)
            step.cpu.append((try Figures.fineProcessorTime(agent.pid) - before) / 1e3)
            step.first.append(Double(times.first) / 1e6)
            step.last.append(Double(times.last) / 1e6)
            step.answered.append(Double(times.answered) / 1e6)
        }
        step.memory = try agent.anonymousMemory()
        return step
    }

    private func report(_ steps: [Step], _ alone: Step) -> [Measurement] {
        var found: [Measurement] = []
        let fixed = Statistics.median(alone.cpu)
        for step in steps {
            let name = "\(step.watchers) watchers"
            let count = Double(step.watchers)
            found += [
                Measurement("\(name), change to first", "agentd", step.first, unit: "ms", .none),
                Measurement("\(name), change to last", "agentd", step.last, unit: "ms", .none),
                Measurement("\(name), refresh answered", "agentd", step.answered, unit: "ms", .none),
                Measurement(
                    "\(name), cpu each",
                    "agentd",
                    step.cpu.map { ($0 - fixed) / count },
                    unit: "µs",
                    .none
                ),
                Measurement(
                    "\(name), memory each",
                    "agentd",
                    [(step.memory - alone.memory) / count / 1_024],
                    unit: "KiB",
                    .none
                ),
            ]
        }
        // What one more costs, at each size against the size before. One alone is lost in what a publication costs.
        for (smaller, larger) in zip(steps.dropFirst(), steps.dropFirst(2)) {
            let name = "\(smaller.watchers) → \(larger.watchers) watchers"
            func each(_ step: Step) -> [Double] { step.cpu.map { ($0 - fixed) / Double(step.watchers) } }
            found.append(
                Measurement(
                    "\(name), growth of cpu each (P12)",
                    "larger",
                    [Statistics.median(each(larger))],
                    against: "smaller",
                    [Statistics.median(each(smaller))],
                    unit: "µs",
                    .atMost(1.3)
                )
            )
            func memory(_ step: Step) -> Double { (step.memory - alone.memory) / Double(step.watchers) / 1_024 }
            found.append(
                Measurement(
                    "\(name), growth of memory each (P12)",
                    "larger",
                    [memory(larger)],
                    against: "smaller",
                    [memory(smaller)],
                    unit: "KiB",
                    .atMost(1.3)
                )
            )
        }
        return found
    }

    // MARK: Those who do not

    /// Watchers that never read, against the same agent without any, publication by publication.
    func deaf(_ count: Int = 1_000, publishes: Int = 500) throws -> [Measurement] {
        let beset = try agent()
        defer { beset.end() }
        let free = try agent()
        defer { free.end() }
        let crowd = try Crowd(beset, topic: "/v1/watch?prefix=bench")
        let nobody = try Crowd(free, topic: "/v1/watch?prefix=bench")
        for _ in 0..<20 {
            _ = try crowd.publish()
            _ = try nobody.publish()
        }
        let before = try beset.anonymousMemory()
        try crowd.grow(to: count, reads: false)
        let connected = try beset.anonymousMemory()
        var memory: [Double] = []
        var ours = Durations()
        var theirs = Durations()
        for number in 0..<publishes {
            if number % 2 == 0 { try ours.add(crowd, beset) }
            try theirs.add(nobody, free)
            if number % 2 == 1 { try ours.add(crowd, beset) }
            memory.append(try beset.anonymousMemory())
        }
        // Their sockets are full by the first fifth.
        let late = memory.suffix(publishes - publishes / 5)
        let growth = ((late.last ?? 0) - (late.first ?? 0)) / Double(1 << 20)
        // And each of them is told the end of the story when it asks for it.
        try crowd.beginReading()
        let name = "\(count) deaf watchers"
        return [
            Measurement("\(name), memory before", "agentd", [before / Double(1 << 20)], unit: "MiB", .none),
            Measurement("\(name), memory once connected", "agentd", [connected / Double(1 << 20)], unit: "MiB", .none),
            Measurement(
                "\(name), memory over \(publishes) changes",
                "agentd",
                memory.map { $0 / Double(1 << 20) },
                unit: "MiB",
                .none
            ),
            Measurement("\(name), growth while deaf", "agentd", [growth], unit: "MiB", .atMost(1)),
            Measurement(
                "\(name), memory after",
                "agentd",
                [try beset.anonymousMemory() / Double(1 << 20)],
                unit: "MiB",
                .none
            ),
            Measurement(
                "\(name), refresh answered",
                "deaf",
                ours.answered,
                against: "nobody",
                theirs.answered,
                unit: "ms",
                .none
            ),
            Measurement(
                "\(name), publish duration",
                "deaf",
                ours.staged,
                against: "nobody",
                theirs.staged,
                unit: "µs",
                .atMost(1.3)
            ),
        ]
    }

    private struct Durations {
        /// Milliseconds until the refresh was answered.
        var answered: [Double] = []
        /// Microseconds from the request to the publication, by the agent's own trace.
        var staged: [Double] = []

        mutating func add(_ crowd: Crowd, _ agent: Agent) throws {
            answered.append(Double(try crowd.publish(isHeard: false).answered) / 1e6)
            let socket = try LocalSocket(agent.statusSocket)
            try socket.send(Array("GET /v1/sources HTTP/1.1\r\nHost: agent\r\n\r\n".utf8))
            let json = try JSONSerialization.jsonObject(with: Data(try socket.receive().body)) as? [String: Any]
            let source = (json?["sources"] as? [[String: Any]])?.first
            guard let trace = source?["trace"] as? [String: Any] else {
                throw Agent.Failure(description: "no trace in \(json ?? [:])")
            }
            staged.append(trace.values.compactMap { $0 as? Double }.reduce(0, +))
        }
    }
}

import BenchKit
import Foundation

/// Asks status and metrics again and again, and holds what they say against what is known.
final class Scraper: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what changes is touched under `lock`.
    /// What the sampler wants of it.
    struct Seen {
        var generation: UInt64 = 0
        var connections = 0
        var watchers = 0
        var inFlight = 0
        /// Snapshots that somebody still holds: by the agent's own word, else those that its workers are on.
        var snapshots = 0
        var lag = 0
        var waiting = 0
        var cutOff = 0
        var dropped = 0
    }

    /// Seconds that a source may be failing until health has to say so: a poll, the time-out of its request, a margin.
    private static let grace = 5.0

    private let agent: Agent
    private let ledger: Ledger
    private let promises: Promises
    private let counters: Counters
    private let lock = NSLock()
    private var latest = Seen()
    private var metricsSay = 0
    private var cutOffBefore = 0

    init(_ agent: Agent, _ ledger: Ledger, _ promises: Promises, _ counters: Counters) {
        self.agent = agent
        self.ledger = ledger
        self.promises = promises
        self.counters = counters
    }

    var seen: Seen { lock.withLock { latest } }
    var countsSnapshots: Bool { lock.withLock { metricsSay > 0 } }

    func run(_ crew: Crew) {
        var round = 0
        while crew.pause(0.25) {
            let ticket = ledger.begin()
            guard ticket.isUp else { continue }
            round += 1
            do {
                switch round % 8 {
                case 1, 3, 5, 7: try status()
                case 2, 6: try metrics()
                default: try others(round)
                }
                counters.scrapes.add(1, ordering: .relaxed)
            } catch {
                if ledger.wasUp(since: ticket) { promises.check(.lastGoodServed, false, "status.sock: \(error)") }
            }
        }
    }

    private func status() throws {
        let ticket = ledger.begin()
        let failing = ledger.longFailing(grace: Self.grace)
        let (code, json) = try agent.ask("status", "/v1/status")
        ledger.timed(ticket, "/v1/status")
        guard code == 200 else { throw LocalSocket.Failure(description: "status \(code)") }
        let still = failing.intersection(ledger.longFailing(grace: Self.grace))
        let health = json["health"] as? [String: Any] ?? [:]
        let level = health["level"] as? String ?? ""
        if !still.isEmpty { promises.check(.healthTold, level != "healthy", "healthy, though \(still)") }
        let generation = (json["generation"] as? NSNumber)?.uint64Value ?? 0
        let durable = (json["durable_generation"] as? NSNumber)?.uint64Value ?? 0
        promises.check(.durableBehind, durable <= generation, "durable \(durable) of \(generation)")
        ledger.checkGeneration(ticket, generation, "/v1/status")
        ledger.change { $0.durable = max($0.durable, durable) }
        note(json, generation)
    }

    private func note(_ json: [String: Any], _ generation: UInt64) {
        var seen = Seen()
        seen.generation = generation
        for case let counts as [String: Any] in (json["clients"] as? [String: Any] ?? [:]).values {
            seen.connections += counts["connections"] as? Int ?? 0
            seen.watchers += counts["watchers"] as? Int ?? 0
            seen.cutOff += (counts["cut_off"] as? [String: Int] ?? [:]).values.reduce(0, +)
        }
        seen.inFlight = (json["flights"] as? [String: Any])?["in_flight"] as? Int ?? 0
        seen.dropped = (json["journal"] as? [String: Any])?["dropped"] as? Int ?? 0
        let workers = (json["workers"] as? [String: Any])?["list"] as? [[String: Any]] ?? []
        let generations = Set(workers.compactMap { ($0["generation"] as? NSNumber)?.uint64Value } + [generation])
        seen.lag = workers.compactMap { $0["lag"] as? Int }.max() ?? 0
        let plain = (json["sources"] as? [String: Any])?["plain"] as? [String: Any]
        let place = (plain?["place"] as? [String: Any])?["index"] as? Int ?? 0
        ledger.change { $0.place = place }
        lock.withLock {
            seen.snapshots = metricsSay > 0 ? metricsSay : generations.count
            seen.waiting = latest.waiting
            // Each life counts anew.
            if seen.cutOff < latest.cutOff - cutOffBefore { cutOffBefore = latest.cutOff }
            seen.cutOff += cutOffBefore
            latest = seen
        }
    }

    private func metrics() throws {
        let ticket = ledger.begin()
        let answer = try LocalSocket(agent.socket("status"), timeout: 10).get("/metrics")
        ledger.timed(ticket, "/metrics")
        guard answer.status == 200 else { throw LocalSocket.Failure(description: "metrics \(answer.status)") }
        let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
        func sum(_ name: String) -> Double {
            lines.filter { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
                .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
        }
        lock.withLock {
            metricsSay = Int(sum("config_agent_live_snapshots"))
            latest.waiting = Int(sum("config_agent_lock_waiting_threads"))
        }
    }

    private func others(_ round: Int) throws {
        let paths = [
            ("status", "/v1/sources"), ("locks", "/v1/locks"), ("status", "/healthz"), ("status", "/readyz"),
            ("status", "/v1/locks"), ("status", "/v1/history"), ("status", "/v1/quarantine"),
        ]
        let (socket, path) = paths[round / 4 % paths.count]
        let ticket = ledger.begin()
        let code = try agent.ask(socket, path).status
        ledger.timed(ticket, path)
        guard code == 200 || path == "/readyz" && code == 503 else {
            throw LocalSocket.Failure(description: "\(path): \(code)")
        }
    }
}

import BenchKit
import Foundation

/// Looks at the process again and again.
final class Sampler: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the samples are touched under `lock`.
    struct Sample: Codable {
        /// Seconds since the soak began.
        var at = 0.0
        var life = 0
        /// Mebibytes: all that is resident, and what belongs to the process alone and to no file.
        var resident = 0.0
        var anonymous = 0.0
        var descriptors = 0.0
        var connections = 0.0
        var watchers = 0.0
        var threads = 0.0
        var snapshots = 0.0
        /// Kibibytes below the state directory.
        var stored = 0.0
        /// Percent of one processor.
        var processor = 0.0
        var readsPerSecond = 0.0
        var eventsPerSecond = 0.0
        /// Milliseconds from a change to the first reader that sees it: of a file that is watched, and of a document
        /// that is polled each second. None in this time: absent.
        var watchedLatency: Double?
        var polledLatency: Double?
        var generation: UInt64 = 0
        var inFlight = 0.0
        var lag = 0.0
        var waitingForLocks = 0.0
    }

    private let agent: Agent
    private let scraper: Scraper
    private let counters: Counters
    private let plan: Plan
    private let lock = NSLock()
    private var samples: [Sample] = []
    private var latencies: [String: [Double]] = [:]

    init(_ agent: Agent, _ scraper: Scraper, _ counters: Counters, _ plan: Plan) {
        self.agent = agent
        self.scraper = scraper
        self.counters = counters
        self.plan = plan
    }

    var all: [Sample] { lock.withLock { samples } }
    /// Milliseconds, by source.
    var allLatencies: [String: [Double]] { lock.withLock { latencies } }

    func run(_ crew: Crew) {
        var before = (at: agent.promises.seconds, time: 0.0, pid: pid_t(0), reads: 0, events: 0)
        while crew.pause(plan.sampleEvery) {
            guard agent.ledger.isUp, var sample = try? process() else { continue }
            let pid = agent.pid
            let time = (try? Figures.processorTime([pid])) ?? 0
            let (reads, events) = (counters.reads.load(ordering: .relaxed), counters.events.load(ordering: .relaxed))
            let seconds = sample.at - before.at
            sample.readsPerSecond = Double(reads - before.reads) / seconds
            sample.eventsPerSecond = Double(events - before.events) / seconds
            sample.processor = pid == before.pid ? (time - before.time) / seconds * 100 : 0
            before = (sample.at, time, pid, reads, events)
            note(agent.ledger.drainLatencies(), in: &sample)
            keep(sample)
        }
    }

    private func process() throws -> Sample {
        var sample = Sample()
        let pid = agent.pid
        sample.at = agent.promises.seconds
        sample.life = agent.ledger.look(\.life)
        let maps = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
        sample.resident = Self.number("Rss:", in: maps) / 1_024
        sample.anonymous = Self.number("Anonymous:", in: maps) / 1_024
        sample.threads = Self.number("Threads:", in: try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8))
        sample.descriptors = Double(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count)
        sample.stored = Self.size(of: agent.configuration.state) / 1_024
        let seen = scraper.seen
        sample.connections = Double(seen.connections)
        sample.watchers = Double(seen.watchers)
        sample.snapshots = Double(seen.snapshots)
        sample.generation = seen.generation
        sample.inFlight = Double(seen.inFlight)
        sample.lag = Double(seen.lag)
        sample.waitingForLocks = Double(seen.waiting)
        return sample
    }

    private static func number(_ name: String, in text: String) -> Double {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return Double(line?.filter(\.isNumber) ?? "") ?? 0
    }

    private static func size(of directory: URL) -> Double {
        let files = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: [.fileSizeKey])
        var sum = 0
        while let file = files?.nextObject() as? URL {
            sum += (try? file.resourceValues(forKeys: [.fileSizeKey]))?.fileSize ?? 0
        }
        return Double(sum)
    }

    private func note(_ found: [String: [Double]], in sample: inout Sample) {
        if let watched = found["file"], !watched.isEmpty { sample.watchedLatency = Statistics.median(watched) }
        if let polled = found["plain"], !polled.isEmpty { sample.polledLatency = Statistics.median(polled) }
        lock.withLock {
            for (source, times) in found {
                latencies[source, default: []] += times
                // Enough to tell a quantile by.
                if let count = latencies[source]?.count, count > 20_000 { latencies[source]?.removeFirst(count / 2) }
            }
        }
    }

    private func keep(_ sample: Sample) {
        lock.withLock {
            var sample = sample
            if plan.plant == .leak { sample.anonymous += 0.5 * Double(samples.count) }
            samples.append(sample)
        }
    }
}

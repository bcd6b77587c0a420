import AgentAPI
import Testing

@testable import AgentControl
@testable import AgentTelemetry
@testable import LockLadder

/// The figures of locks on the wire and in metrics, from figures that are known.
@Suite struct LockFiguresTests {
    private static let waiter = CallSite(fileID: "Scene/Waiter.swift", line: 11)
    private static let holder = CallSite(fileID: "Scene/Holder.swift", line: 22)
    private static let longest = CallSite(fileID: "Scene/Longest.swift", line: 33)

    private func figures(_ name: String, waiting: UInt32 = 0) -> LockFigures {
        var statistics = LockStatistics()
        statistics.acquisitions = 10_000
        statistics.contended = 12
        statistics.spun = 7
        statistics.parks = 6
        statistics.waitTotalNanoseconds = 2_500_000_000
        statistics.waitMaxNanoseconds = 2_000_000_000
        statistics.waitMaxSite = Self.longest
        statistics.waitMaxHolderSite = Self.holder
        statistics.wakeTotalNanoseconds = 1_500_000
        statistics.wakeMaxNanoseconds = 1_000_000
        statistics.holdMaxNanoseconds = 1_750_000_000
        statistics.holdMaxSite = Self.holder
        statistics.holdSamples = 4
        statistics.holdSampledNanoseconds = 5_001
        statistics.waitersMax = 3
        statistics.waiting = waiting
        // Whoever reads figures while they change may find these although nobody waits any more.
        statistics.waitingNanoseconds = 12_400_000_000
        statistics.waitingSite = Self.waiter
        statistics.lastHolderSite = Self.holder
        return LockFigures(
            name: name,
            kind: .rwlock,
            instances: 2,
            statistics: statistics,
            waits: [(1_250, 1), (1_500, 1), (4_000, 1), (1_250_000_000, 1), (nil, 1)]
        )
    }

    @Test func everythingIsOnTheWire() {
        let lock = LockStatus(figures("a", waiting: 3))
        #expect(lock.kind == "rwlock" && lock.instances == 2)
        #expect(lock.acquisitions == 10_000 && lock.contended == 12 && lock.spins == 7 && lock.parks == 6)
        #expect(lock.waiting == 3 && lock.waitingMicroseconds == 12_400_000)
        #expect(lock.waitingSite == "Scene/Waiter.swift:11" && lock.holdingSite == "Scene/Holder.swift:22")
        #expect(lock.waitTotalMicroseconds == 2_500_000 && lock.waitMaxMicroseconds == 2_000_000)
        #expect(lock.waitMaxSite == "Scene/Longest.swift:33")
        #expect(lock.waitMaxHolderSite == "Scene/Holder.swift:22")
        #expect(lock.wakeTotalMicroseconds == 1_500 && lock.wakeLatencyMaxMicroseconds == 1_000)
        #expect(lock.holderSite == "Scene/Holder.swift:22" && lock.holdMaxMicroseconds == 1_750_000)
        #expect(lock.holdSamples == 4 && lock.holdMeanMicroseconds == 1.25)
        #expect(lock.waitCount == 5 && lock.waitersMax == 3)
        let bounds: [(UInt64, UInt64)] = [(2, 2), (4, 3), (1_250_000, 4)]
        #expect(lock.waitHistogram == bounds.map { HistogramBucket(upToMicroseconds: $0.0, count: $0.1) })
    }

    @Test func whereNobodyWaitsThereIsNoPlace() {
        let lock = LockStatus(figures("a"))
        #expect(lock.waiting == 0 && lock.waitingMicroseconds == 0)
        #expect(lock.waitingSite == nil && lock.holdingSite == nil)
        let empty = LockFigures(name: "b", kind: .mutex, instances: 1, statistics: LockStatistics(), waits: [])
        let quiet = LockStatus(empty)
        #expect(quiet.waitMaxSite == nil && quiet.holderSite == nil && quiet.holdMeanMicroseconds == 0)
        #expect(quiet.waitHistogram.isEmpty)
    }

    private func metrics(_ figures: [LockFigures]) -> String {
        var out = PrometheusText()
        LockMetrics.render(figures, &out)
        return out.text
    }

    @Test func everythingIsInMetrics() {
        let lines = Set(metrics([figures("a", waiting: 3), figures("b")]).split(separator: "\n").map(String.init))
        let a = #"lock="a",kind="rwlock""#
        let wanted = [
            "config_agent_lock_accounting 1", "config_agent_lock_acquisitions_total{\(a)} 10000",
            "config_agent_lock_contended_total{\(a)} 12", "config_agent_lock_spins_total{\(a)} 7",
            "config_agent_lock_parks_total{\(a)} 6", "config_agent_lock_wake_seconds_total{\(a)} 0.0015",
            #"config_agent_lock_wait_seconds_bucket{\#(a),le="1e-06"} 0"#,
            #"config_agent_lock_wait_seconds_bucket{\#(a),le="4e-06"} 3"#,
            #"config_agent_lock_wait_seconds_bucket{\#(a),le="4.194304"} 4"#,
            #"config_agent_lock_wait_seconds_bucket{\#(a),le="+Inf"} 5"#,
            "config_agent_lock_wait_seconds_sum{\(a)} 2.5", "config_agent_lock_wait_seconds_count{\(a)} 5",
            "config_agent_lock_hold_seconds_sum{\(a)} 5.001e-06", "config_agent_lock_hold_seconds_count{\(a)} 4",
            #"config_agent_lock_wait_max_seconds{\#(a),site="Scene/Longest.swift:33",holder="Scene/Holder.swift:22"} 2"#,
            #"config_agent_lock_hold_max_seconds{\#(a),site="Scene/Holder.swift:22"} 1.75"#,
            "config_agent_lock_wake_max_seconds{\(a)} 0.001", "config_agent_lock_waiting_threads{\(a)} 3",
            #"config_agent_lock_waiting_seconds{\#(a),site="Scene/Waiter.swift:11",holder="Scene/Holder.swift:22"} 12.4"#,
            #"config_agent_lock_waiting_threads{lock="b",kind="rwlock"} 0"#,
            #"config_agent_lock_waiting_seconds{lock="b",kind="rwlock",site="",holder=""} 0"#,
        ]
        for line in wanted { #expect(lines.contains(line), "\(line)") }
    }

    /// What `promtool check metrics` asks for, and what a scraper needs.
    @Test func metricsAreAsPrometheusWantsThem() throws {
        let text = metrics([figures("b"), figures("a", waiting: 1)])
        #expect(text.hasSuffix("\n") && !text.contains("\n\n"))
        let sampleLine = #/([a-z_]+)(?:\{([a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*)\})? ([-+0-9.e]+|\+Inf)/#
        var family = ""
        var kinds: [String: String] = [:]
        var helped: Set<String> = []
        var seen: Set<String> = []
        var buckets: [String: [(bound: Double, count: Double)]] = [:]
        var counts: [String: Double] = [:]
        var sums: Set<String> = []
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if words[0] == "#", words[1] == "HELP" {
                #expect(helped.insert(words[2]).inserted && words[3].hasSuffix("."), "\(line)")
                family = words[2]
                continue
            }
            if words[0] == "#" {
                #expect(words[1] == "TYPE" && words[2] == family && kinds[family] == nil, "\(line)")
                kinds[family] = words[3]
                #expect((words[3] == "counter") == family.hasSuffix("_total"), "\(line)")
                continue
            }
            let match = try #require(try sampleLine.wholeMatch(in: line), "\(line)")
            let name = String(match.1)
            let labels = match.2.map(String.init) ?? ""
            let value = try #require(Double(match.3))
            #expect(seen.insert("\(name){\(labels)}").inserted, "\(line) twice")
            let suffixes: [String] =
                switch kinds[family] {
                case "histogram": ["_bucket", "_sum", "_count"]
                case "summary": ["_sum", "_count"]
                default: [""]
                }
            #expect(suffixes.contains { name == family + $0 }, "\(line) is not of \(family)")
            if name.hasSuffix("_bucket") {
                let parts = labels.components(separatedBy: ",le=")
                let bound = parts[1] == "\"+Inf\"" ? Double.infinity : Double(parts[1].dropFirst().dropLast()) ?? .nan
                buckets["\(family){\(parts[0])}", default: []].append((bound, value))
            } else if name.hasSuffix("_count") {
                counts["\(family){\(labels)}"] = value
            } else if name.hasSuffix("_sum") {
                sums.insert("\(family){\(labels)}")
            }
        }
        #expect(helped == Set(kinds.keys))
        #expect(buckets.count == 2)
        for (series, list) in buckets {
            #expect(zip(list, list.dropFirst()).allSatisfy { $0.bound < $1.bound && $0.count <= $1.count }, "\(series)")
            #expect(list.last?.bound == .infinity && list.last?.count == counts[series], "\(series)")
        }
        #expect(sums == Set(counts.keys))
    }
}

extension String {
    /// Foundation is not needed for as little as this.
    fileprivate func components(separatedBy separator: String) -> [String] {
        guard let range = firstRange(of: separator) else { return [self] }
        return [String(self[..<range.lowerBound]), String(self[range.upperBound...])]
    }
}

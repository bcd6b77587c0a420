public import LockLadder

/// The figures of all locks of one name, added up.
public struct LockFigures: Sendable {
    public var name: String
    public var kind: LockKind
    public var instances: Int
    public var statistics: LockStatistics
    /// Waits by length: not cumulative, rising, `nil` without bound.
    public var waits: [(upperBoundNanoseconds: UInt64?, count: UInt64)]

    /// All locks of the process, most waited for first.
    public static func collect() -> [LockFigures] {
        var byName: [String: LockFigures] = [:]
        for probe in ContentionRegistry.shared.all {
            let name = "\(probe.name)"
            let one = LockFigures(
                name: name,
                kind: probe.kind,
                instances: 1,
                statistics: probe.statistics,
                waits: probe.waits.counts
            )
            byName[name] = byName[name].map { $0.adding(one) } ?? one
        }
        return byName.values.sorted { left, right in
            let l = left.statistics
            let r = right.statistics
            return l.waitTotalNanoseconds != r.waitTotalNanoseconds
                ? l.waitTotalNanoseconds > r.waitTotalNanoseconds : left.name < right.name
        }
    }

    private func adding(_ other: LockFigures) -> LockFigures {
        var sum = self
        sum.instances += other.instances
        sum.statistics.acquisitions += other.statistics.acquisitions
        sum.statistics.contended += other.statistics.contended
        sum.statistics.spun += other.statistics.spun
        sum.statistics.parks += other.statistics.parks
        sum.statistics.waitTotalNanoseconds += other.statistics.waitTotalNanoseconds
        sum.statistics.waitMaxNanoseconds = max(statistics.waitMaxNanoseconds, other.statistics.waitMaxNanoseconds)
        sum.statistics.wakeMaxNanoseconds = max(statistics.wakeMaxNanoseconds, other.statistics.wakeMaxNanoseconds)
        sum.statistics.waitersMax = max(statistics.waitersMax, other.statistics.waitersMax)
        if other.statistics.holdMaxNanoseconds > statistics.holdMaxNanoseconds {
            sum.statistics.holdMaxNanoseconds = other.statistics.holdMaxNanoseconds
            sum.statistics.holdMaxSite = other.statistics.holdMaxSite
        }
        var counts: [UInt64: UInt64] = [:]
        for bucket in waits + other.waits { counts[bucket.upperBoundNanoseconds ?? .max, default: 0] += bucket.count }
        sum.waits = counts.sorted { $0.key < $1.key }.map { ($0.key == .max ? nil : $0.key, $0.value) }
        return sum
    }
}

/// Tells from time to time which locks were contended since the last time.
struct LockReporter {
    private var last: [String: LockStatistics] = [:]

    mutating func report(generation: UInt64) -> [JournalRecord] {
        var records: [JournalRecord] = []
        for figures in LockFigures.collect() {
            let now = figures.statistics
            var before = last.updateValue(now, forKey: figures.name)
            // A lock of this name is gone, and its figures with it: what is left is counted from the start.
            if let old = before, Self.hasFallen(now, below: old) { before = nil }
            let contended = now.contended - (before?.contended ?? 0)
            guard contended > 0 else { continue }
            records.append(Self.record(figures, contended: contended, since: before, generation: generation))
        }
        return records
    }

    private static func hasFallen(_ now: LockStatistics, below old: LockStatistics) -> Bool {
        now.contended < old.contended || now.acquisitions < old.acquisitions
            || now.waitTotalNanoseconds < old.waitTotalNanoseconds
    }

    private static func record(
        _ figures: LockFigures,
        contended: UInt64,
        since before: LockStatistics?,
        generation: UInt64
    ) -> JournalRecord {
        let now = figures.statistics
        let acquisitions = now.acquisitions - (before?.acquisitions ?? 0)
        let waited = (now.waitTotalNanoseconds - (before?.waitTotalNanoseconds ?? 0)) / 1_000
        let longest = now.waitMaxNanoseconds / 1_000
        let fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "lock_report"),
            ("AGENT_LOCK", figures.name),
            ("AGENT_LOCK_MODE", figures.kind.rawValue),
            ("AGENT_ACQUISITIONS", String(acquisitions)),
            ("AGENT_CONTENDED", String(contended)),
            ("AGENT_WAIT_TOTAL_US", String(waited)),
            ("AGENT_WAIT_US", String(longest)),
            ("AGENT_HOLD_US", String(now.holdMaxNanoseconds / 1_000)),
            ("AGENT_WAITERS", String(now.waitersMax)),
            ("AGENT_HOLDER_SITE", now.holdMaxSite.description),
            ("AGENT_GENERATION", String(generation)),
        ]
        let message =
            "lock \(figures.name): \(contended) of \(acquisitions) acquisitions contended since the last report, "
            + "\(waited) µs waited; longest wait so far \(longest) µs"
        return JournalRecord(.info, .lockReport, message, fields)
    }
}

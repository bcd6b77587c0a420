internal import LockLadder

/// Tells from time to time which locks were contended since the last time.
struct LockReporter {
    private var last: [LockFigures.Identity: LockStatistics] = [:]

    mutating func report(generation: UInt64) -> [JournalRecord] {
        var records: [JournalRecord] = []
        for figures in LockFigures.collect() {
            let now = figures.statistics
            var before = last.updateValue(now, forKey: figures.identity)
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
            ("AGENT_LOCK_KIND", figures.kind.rawValue),
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

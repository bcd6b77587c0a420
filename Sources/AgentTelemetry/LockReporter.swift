internal import LockLadder

/// Tells from time to time which locks were contended since the last time.
struct LockReporter {
    /// What was counted since the last report by locks that there are still. What one counted that has gone since then
    /// is gone with it.
    struct News {
        var acquisitions: UInt64 = 0
        var contended: UInt64 = 0
        /// Of those, how many had the lock by looking again, without sleeping.
        var spun: UInt64 = 0
        var waitNanoseconds: UInt64 = 0

        mutating func add(_ now: LockStatistics, since before: LockStatistics) {
            acquisitions += now.acquisitions - before.acquisitions
            contended += now.contended - before.contended
            spun += now.spun - before.spun
            waitNanoseconds += now.waitTotalNanoseconds - before.waitTotalNanoseconds
        }
    }

    /// The figures of each single lock at the last report: locks of one name come and go.
    private var last: [UInt64: LockStatistics] = [:]

    mutating func report(generation: UInt64) -> [JournalRecord] {
        var seen: [UInt64: LockStatistics] = [:]
        var news: [LockFigures.Identity: News] = [:]
        let all = LockFigures.collect { [last] probe, figures in
            seen[probe.id] = figures.statistics
            let before = last[probe.id] ?? LockStatistics()
            news[figures.identity, default: News()].add(figures.statistics, since: before)
        }
        last = seen
        return all.compactMap { figures in
            guard let news = news[figures.identity], news.contended > 0 else { return nil }
            return Self.record(figures, news, generation: generation)
        }
    }

    static func record(_ figures: LockFigures, _ news: News, generation: UInt64) -> JournalRecord {
        let now = figures.statistics
        let waited = news.waitNanoseconds / 1_000
        let longest = now.waitMaxNanoseconds / 1_000
        let fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "lock_report"),
            ("AGENT_LOCK", figures.name),
            ("AGENT_LOCK_KIND", figures.kind.rawValue),
            ("AGENT_ACQUISITIONS", String(news.acquisitions)),
            ("AGENT_CONTENDED", String(news.contended)),
            ("AGENT_SPINS", String(news.spun)),
            ("AGENT_WAIT_TOTAL_US", String(waited)),
            ("AGENT_WAIT_US", String(longest)),
            ("AGENT_HOLD_US", String(now.holdMaxNanoseconds / 1_000)),
            ("AGENT_WAITERS", String(now.waitersMax)),
            ("AGENT_HOLDER_SITE", now.holdMaxSite.description),
            ("AGENT_GENERATION", String(generation)),
        ]
        // Not to be spoken of as waits: a lock that was only spun for may never have had one.
        let waits =
            news.waitNanoseconds == 0
            ? "only spun: nobody slept for it" : "\(waited) µs waited; longest wait so far \(longest) µs"
        let message =
            "lock \(figures.name): \(news.contended) of \(news.acquisitions) acquisitions contended since the last report, "
            + waits
        return JournalRecord(.info, .lockReport, message, fields)
    }
}

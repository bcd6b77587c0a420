internal import LockLadder

/// Tells of waits while they last: a record written at the end of a wait never comes for a lock that is never released.
///
/// Looks at the figures from outside, and so takes no lock but that of the registry.
struct StuckWaits {
    /// A lock as it stood at one look.
    struct Lock {
        var id: UInt64
        var name: StaticString
        var kind: LockKind
        var figures: LockStatistics
    }

    private struct Told {
        /// The order of magnitude that was told last; see ``magnitude(of:)``.
        var magnitude: Int
        var at: MonotonicTime
    }

    /// Nobody is told of a shorter wait, whatever the settings say: most of those end by themselves.
    static let leastNanoseconds: UInt64 = 1_000_000_000

    /// One for each lock that somebody has been waiting for too long, at the last look.
    private var told: [UInt64: Told] = [:]
    private var limiter = ContentionLimiter()

    /// All locks that somebody waits for now. To wait for a flight is no sign of being stuck: it takes what its work
    /// takes.
    static func waitedFor() -> [Lock] {
        ContentionRegistry.shared.all.compactMap { probe in
            let figures = probe.statistics
            guard probe.kind != .flight, figures.waiting > 0 else { return nil }
            return Lock(id: probe.id, name: probe.name, kind: probe.kind, figures: figures)
        }
    }

    /// To be called at least once a second.
    ///
    /// - Parameters:
    ///   - locks: those that somebody waits for at `now`.
    ///   - warnWait: nanoseconds from which on a wait is worth a record.
    /// - Returns: a record for each wait that has just become too long, and again at 10 s, 100 s and so on.
    mutating func look(
        at locks: [Lock],
        now: MonotonicTime,
        warnWait: UInt64,
        generation: UInt64
    ) -> [JournalRecord] {
        let limit = max(Self.leastNanoseconds, warnWait)
        let before = told
        told = [:]
        var records: [JournalRecord] = []
        for lock in locks where lock.figures.waitingNanoseconds >= limit {
            let magnitude = Self.magnitude(of: lock.figures.waitingNanoseconds)
            if let last = before[lock.id], last.magnitude >= magnitude, Self.isSame(lock, since: last.at, now) {
                told[lock.id] = Told(magnitude: last.magnitude, at: now)
                continue
            }
            told[lock.id] = Told(magnitude: magnitude, at: now)
            // Marks of their own, apart from those of waits that are over: a limiter of their own has them.
            if let suppressed = limiter.admit(lock.name, mark: magnitude, at: now) {
                records.append(ContentionText.stuck(lock, generation: generation, suppressed: suppressed))
            }
        }
        return records
    }

    /// Whether the wait is the one that was seen at the look before: it had begun by then.
    private static func isSame(_ lock: Lock, since last: MonotonicTime, _ now: MonotonicTime) -> Bool {
        lock.figures.waitingNanoseconds >= now.nanoseconds(since: last)
    }

    /// 0 below 10 s, 1 below 100 s, and so on.
    static func magnitude(of wait: UInt64) -> Int {
        var magnitude = 0
        var bound: UInt64 = 10_000_000_000
        // Ends: 10¹⁹ is the last power of ten in 64 bits.
        while wait >= bound {
            magnitude += 1
            let (next, overflow) = bound.multipliedReportingOverflow(by: 10)
            if overflow { break }
            bound = next
        }
        return magnitude
    }
}

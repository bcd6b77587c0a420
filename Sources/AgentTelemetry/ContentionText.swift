internal import LockLadder

/// Contention as journal records: the same figures under the same names everywhere.
enum ContentionText {
    /// Journal matches are exact only. These cumulative marks let `journalctl AGENT_WAIT_GE=1ms` find "at least".
    static let marks: [(nanoseconds: UInt64, name: String)] = [
        (10_000, "10us"), (100_000, "100us"), (1_000_000, "1ms"), (10_000_000, "10ms"), (100_000_000, "100ms"),
        (1_000_000_000, "1s"),
    ]

    static func marks(for wait: UInt64) -> [(name: String, value: String)] {
        marks.filter { $0.nanoseconds <= wait }.map { ("AGENT_WAIT_GE", $0.name) }
    }

    /// A wait that is over.
    static func record(_ contention: ContentionRecord, generation: UInt64, suppressed: Int) -> JournalRecord {
        let lock = "\(contention.lock)"
        let wait = contention.waitNanoseconds / 1_000
        let hold = contention.holdNanoseconds / 1_000
        let facts = ContentionAdvice.Facts(
            kind: contention.kind,
            mode: contention.mode,
            holdNanoseconds: contention.holdNanoseconds,
            wakeNanoseconds: contention.wakeNanoseconds,
            takenMeanwhile: contention.takenMeanwhile,
            waiters: contention.waiters
        )
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "lock_contended"),
            ("AGENT_LOCK", lock),
            ("AGENT_LOCK_KIND", contention.kind.rawValue),
            ("AGENT_LOCK_MODE", contention.mode.rawValue),
            ("AGENT_WAIT_US", String(wait)),
            ("AGENT_HOLD_US", String(hold)),
            ("AGENT_WAKE_US", String(contention.wakeNanoseconds / 1_000)),
            ("AGENT_TAKEN_MEANWHILE", String(contention.takenMeanwhile)),
            ("AGENT_WAITERS", String(contention.waiters)),
            ("AGENT_CONTENDED", String(contention.contended)),
            ("AGENT_WAITER_SITE", contention.waiter.description),
            ("AGENT_HOLDER_SITE", contention.holder.description),
            ("AGENT_TRY", ContentionAdvice.choose(facts).sentence(holder: contention.holder)),
            ("AGENT_GENERATION", String(generation)),
            ("AGENT_SUPPRESSED", String(suppressed)),
            ("CODE_FILE", contention.waiter.file),
            ("CODE_LINE", String(contention.waiter.line)),
            ("CODE_FUNC", "\(contention.waiterFunction)"),
            ("TID", String(contention.threadID)),
        ]
        fields += marks(for: contention.waitNanoseconds)
        let message =
            "waited \(wait) µs for lock \(lock) at \(contention.waiter); "
            + (contention.takenMeanwhile == 0
                ? "held at \(contention.holder) for \(hold) µs of it"
                : "held at \(contention.holder) first, and taken by others \(contention.takenMeanwhile) times meanwhile")
        return JournalRecord(.warning, .lockContended, message, fields)
    }

    /// A wait that lasts.
    static func stuck(_ lock: StuckWaits.Lock, generation: UInt64, suppressed: Int) -> JournalRecord {
        let figures = lock.figures
        let name = "\(lock.name)"
        let wait = figures.waitingNanoseconds / 1_000
        let facts = ContentionAdvice.Facts(
            kind: lock.kind,
            mode: nil,
            holdNanoseconds: figures.waitingNanoseconds,
            wakeNanoseconds: 0,
            waiters: figures.waiting,
            isOver: false
        )
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "lock_stuck"),
            ("AGENT_LOCK", name),
            ("AGENT_LOCK_KIND", lock.kind.rawValue),
            ("AGENT_WAIT_US", String(wait)),
            ("AGENT_WAITERS", String(figures.waiting)),
            ("AGENT_CONTENDED", String(figures.contended)),
            ("AGENT_WAITER_SITE", figures.waitingSite.description),
            ("AGENT_HOLDER_SITE", figures.lastHolderSite.description),
            ("AGENT_TRY", ContentionAdvice.choose(facts).sentence(holder: figures.lastHolderSite)),
            ("AGENT_GENERATION", String(generation)),
            ("AGENT_SUPPRESSED", String(suppressed)),
        ]
        if figures.waitingSite != .none {
            fields.append(("CODE_FILE", figures.waitingSite.file))
            fields.append(("CODE_LINE", String(figures.waitingSite.line)))
        }
        fields += marks(for: figures.waitingNanoseconds)
        let threads = figures.waiting == 1 ? "1 thread" : "\(figures.waiting) threads"
        let message =
            "\(threads) waiting for lock \(name) for \(wait) µs and still waiting, at \(figures.waitingSite); "
            + "held at \(figures.lastHolderSite)"
        return JournalRecord(.warning, .lockStuck, message, fields)
    }
}

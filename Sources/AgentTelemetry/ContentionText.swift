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

    static func record(_ contention: ContentionRecord, generation: UInt64, suppressed: Int) -> JournalRecord {
        let lock = "\(contention.lock)"
        let wait = contention.waitNanoseconds / 1_000
        let hold = contention.holdNanoseconds / 1_000
        var fields: [(name: String, value: String)] = [
            ("AGENT_EVENT", "lock_contended"),
            ("AGENT_LOCK", lock),
            ("AGENT_LOCK_MODE", contention.kind.rawValue),
            ("AGENT_WAIT_US", String(wait)),
            ("AGENT_HOLD_US", String(hold)),
            ("AGENT_WAKE_US", String(contention.wakeNanoseconds / 1_000)),
            ("AGENT_WAITERS", String(contention.waiters)),
            ("AGENT_WAITER_SITE", contention.waiter.description),
            ("AGENT_HOLDER_SITE", contention.holder.description),
            ("AGENT_GENERATION", String(generation)),
            ("AGENT_SUPPRESSED", String(suppressed)),
            ("CODE_FILE", contention.waiter.file),
            ("CODE_LINE", String(contention.waiter.line)),
            ("CODE_FUNC", "\(contention.waiterFunction)"),
            ("TID", String(contention.threadID)),
        ]
        fields += marks(for: contention.waitNanoseconds)
        let message =
            "waited \(wait) µs for lock \(lock) at \(contention.waiter); held at \(contention.holder) for "
            + "\(hold) µs of it"
        return JournalRecord(.warning, .lockContended, message, fields)
    }
}

/// Lets through a few records for each lock and order of magnitude, and counts the rest: journald's own rate limit
/// drops in silence and takes other records with it.
struct ContentionLimiter {
    private struct Key: Hashable {
        let lock: UInt
        let mark: Int
    }

    private struct Window {
        var began: MonotonicTime
        var admitted = 0
        var suppressed = 0
    }

    static let perWindow = 5
    static let windowNanoseconds: UInt64 = 10_000_000_000

    /// Bounded by the number of locks times the number of marks.
    private var windows: [Key: Window] = [:]

    /// - Returns: how many like this one were left out since the last that was not; `nil` to leave this one out.
    mutating func admit(_ record: ContentionRecord, at now: MonotonicTime) -> Int? {
        let mark = ContentionText.marks.lastIndex { $0.nanoseconds <= record.waitNanoseconds } ?? -1
        let key = Key(lock: UInt(bitPattern: record.lock.utf8Start), mark: mark)
        var window = windows[key] ?? Window(began: now)
        defer { windows[key] = window }
        if now.nanoseconds(since: window.began) > Self.windowNanoseconds {
            window.began = now
            window.admitted = 0
        }
        guard window.admitted < Self.perWindow else {
            window.suppressed += 1
            return nil
        }
        window.admitted += 1
        defer { window.suppressed = 0 }
        return window.suppressed
    }
}

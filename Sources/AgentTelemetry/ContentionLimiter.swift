internal import LockLadder

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

    /// Bounded by the number of names of locks times the number of marks.
    private var windows: [Key: Window] = [:]

    /// - Returns: how many like this one were left out since the last that was not; `nil` to leave this one out.
    mutating func admit(_ record: ContentionRecord, at now: MonotonicTime) -> Int? {
        let mark = ContentionText.marks.lastIndex { $0.nanoseconds <= record.waitNanoseconds } ?? -1
        return admit(record.lock, mark: mark, at: now)
    }

    /// The same for a record of another kind.
    ///
    /// - Parameter mark: its order of magnitude, of which there must be few.
    mutating func admit(_ lock: StaticString, mark: Int, at now: MonotonicTime) -> Int? {
        let key = Key(lock: UInt(bitPattern: lock.utf8Start), mark: mark)
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

internal import LockLadder

internal import struct Synchronization.Atomic

/// When a source's document was last read: noted by readers without a lock, and looked at by the fetch thread.
///
/// Thread safety: any number of threads.
public final class LastUse: Sendable {
    /// A mark younger than this stands for a new one: a reader does not write where others have just written.
    private static let grain: UInt64 = 100_000_000

    private let time = Atomic<UInt64>(0)

    public init() {}

    /// It is read now.
    public func note() {
        let now = MonotonicTime.now.nanoseconds
        // Relaxed, all: a time for a decision that may come out either way while somebody reads.
        if now > time.load(ordering: .relaxed) + Self.grain { time.store(now, ordering: .relaxed) }
    }

    /// Nanoseconds on the monotonic clock; 0 for never.
    var last: UInt64 { time.load(ordering: .relaxed) }
}

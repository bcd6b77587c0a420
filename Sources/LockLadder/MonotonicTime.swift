internal import CLockLadder

/// A moment on CLOCK_MONOTONIC, in nanoseconds: never jumps, means nothing after a reboot.
public struct MonotonicTime: Sendable, Hashable, Comparable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static var now: MonotonicTime { MonotonicTime(nanoseconds: cll_now_ns()) }

    public func advanced(byNanoseconds delta: UInt64) -> MonotonicTime {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(delta)
        return MonotonicTime(nanoseconds: overflow ? .max : sum)
    }

    /// Nanoseconds from `earlier` to this moment; 0 when `earlier` is later.
    public func nanoseconds(since earlier: MonotonicTime) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.nanoseconds < right.nanoseconds }
}

/// The calling thread.
public enum CurrentThread {
    /// The kernel's thread id, as in `ps -L` and the journal's `TID` field.
    public static var id: UInt32 { cll_thread_id() }

    /// Names the calling thread; the kernel keeps 15 bytes.
    public static func setName(_ name: String) { unsafe cll_set_thread_name(name) }
}

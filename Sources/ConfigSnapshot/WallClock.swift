internal import Glibc

/// The time of day. For people and for files; never for measuring how long something took.
public enum WallClock {
    /// Nanoseconds since 1970.
    public static var nowNanoseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

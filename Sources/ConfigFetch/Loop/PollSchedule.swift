/// When a source is asked next: pure arithmetic, so that it can be tested as a table.
enum PollSchedule {
    /// Whatever is configured, no source is asked more often than this because of its schedule.
    static let shortestPoll: UInt64 = 1_000_000_000
    /// The shortest wait after a failure: full jitter may draw zero.
    static let shortestRetry: UInt64 = 100_000_000
    /// A source that tells of changes all the time is asked no more often than this because of it.
    static let shortestBetweenChanges: UInt64 = 100_000_000
    /// However long a source asks to be left alone.
    static let longestRetryAfter: UInt64 = 3_600_000_000_000

    /// Nanoseconds until the next poll after a success.
    ///
    /// - Parameter rest: what the source has said about that. A hint moves the wait within the bounds, give or take a
    ///   tenth; only a binding one moves it beyond.
    static func delay(
        poll: ClosedRange<UInt64>,
        rest: Rest? = nil,
        using random: inout some RandomNumberGenerator
    ) -> UInt64 {
        guard let rest else { return max(UInt64.random(in: poll, using: &random), shortestPoll) }
        let wanted = min(rest.nanoseconds, longestRetryAfter)
        let drawn = UInt64.random(in: (wanted - wanted / 10)...(wanted + wanted / 10), using: &random)
        let bounded = min(max(drawn, poll.lowerBound), poll.upperBound)
        return max(rest.isBinding ? max(bounded, wanted) : bounded, shortestPoll)
    }

    /// Nanoseconds from the first success to the poll after it: anything up to the longest wait. Sources are all asked at
    /// the start; from then on they are spread over their time, and stay so.
    static func firstDelay(
        poll: ClosedRange<UInt64>,
        rest: Rest? = nil,
        using random: inout some RandomNumberGenerator
    ) -> UInt64 {
        let drawn = UInt64.random(in: shortestPoll...max(shortestPoll, poll.upperBound), using: &random)
        guard let rest, rest.isBinding else { return drawn }
        return max(drawn, min(rest.nanoseconds, longestRetryAfter))
    }

    /// Nanoseconds until the next try after the `failures`-th failure in a row (counted from 1).
    ///
    /// Full jitter: a thousand agents that failed together do not come back together.
    static func retryDelay(
        failures: Int,
        base: UInt64,
        cap: UInt64,
        retryAfter: UInt64?,
        using random: inout some RandomNumberGenerator
    ) -> UInt64 {
        let doublings = UInt64(min(max(failures - 1, 0), 40))
        let (grown, overflow) = base.multipliedReportingOverflow(by: 1 << doublings)
        let ceiling = max(min(overflow ? cap : grown, cap), shortestRetry)
        let drawn = max(UInt64.random(in: 0...ceiling, using: &random), shortestRetry)
        return max(drawn, min(retryAfter ?? 0, longestRetryAfter))
    }
}

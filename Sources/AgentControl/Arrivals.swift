internal import LockLadder

/// When each generation had reached the workers: the last step of a change's journey.
///
/// May be used from any thread; the lock is held for a few instructions.
final class Arrivals: Sendable {
    private struct Arrival {
        var workers = 0
        /// Nanoseconds on the monotonic clock.
        var last: UInt64 = 0
    }

    /// Generations remembered; the oldest go first.
    private static let most: UInt64 = 1_024

    private let arrivals = Mutex("control.arrivals", [UInt64: Arrival]())
    private let workers: Int
    private let onArrival: ControlServer.Arrived?

    init(workers: Int, onArrival: ControlServer.Arrived?) {
        self.workers = workers
        self.onArrival = onArrival
    }

    /// A worker has taken `generation` up.
    func note(_ generation: UInt64) {
        let now = MonotonicTime.now
        let isLast = arrivals.withLock { arrivals in
            arrivals[generation, default: Arrival()].workers += 1
            arrivals[generation]?.last = now.nanoseconds
            if arrivals.count > Self.most {
                arrivals = arrivals.filter { $0.key + Self.most / 2 > generation }
            }
            return arrivals[generation]?.workers == workers
        }
        if isLast { onArrival?(generation, now) }
    }

    /// When the last worker had taken `generation` up; `nil` where one of them has not, or went on from an earlier one to a
    /// later one at once.
    func arrived(_ generation: UInt64) -> UInt64? {
        arrivals.withLock { arrivals in
            guard let arrival = arrivals[generation], arrival.workers >= workers else { return nil }
            return arrival.last
        }
    }
}

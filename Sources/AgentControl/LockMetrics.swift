internal import AgentTelemetry
internal import LockLadder

/// The locks in `/metrics`: the same figures as `/v1/locks`, in seconds.
enum LockMetrics {
    private typealias Labels = [(String, String)]

    static func render(_ figures: [LockFigures], _ out: inout PrometheusText) {
        let locks = figures.sorted { ($0.name, $0.kind.rawValue) < ($1.name, $1.kind.rawValue) }
        out.metric("config_agent_lock_accounting", .gauge, "Whether locks count their contention; 0: no series below.")
        out.sample("config_agent_lock_accounting", [], UInt64(Accounting.isCompiledIn ? 1 : 0))
        counters(locks, &out)
        waits(locks, &out)
        longest(locks, &out)
        waitingNow(locks, &out)
    }

    private static func labels(_ lock: LockFigures) -> Labels { [("lock", lock.name), ("kind", lock.kind.rawValue)] }

    /// Where nothing is known the label is empty, which to Prometheus is the same as none.
    private static func place(_ site: CallSite) -> String { site == .none ? "" : site.description }

    private static func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }

    private static func counters(_ locks: [LockFigures], _ out: inout PrometheusText) {
        func each(_ name: String, _ help: String, _ value: (LockStatistics) -> UInt64) {
            out.metric(name, .counter, help)
            for lock in locks { out.sample(name, labels(lock), value(lock.statistics)) }
        }
        each("config_agent_lock_acquisitions_total", "Times a lock was taken.", \.acquisitions)
        each("config_agent_lock_contended_total", "Times a lock was not free.", \.contended)
        each("config_agent_lock_spins_total", "Times it was then had by spinning.", \.spun)
        each("config_agent_lock_parks_total", "Times a thread went to sleep for a lock.", \.parks)
        each("config_agent_lock_gave_up_total", "Waits that ended at their deadline, without the lock.", \.gaveUp)
        let wakes = "config_agent_lock_wake_seconds_total"
        out.metric(wakes, .counter, "The part of the waits after the release: until the woken thread ran.")
        for lock in locks { out.sample(wakes, labels(lock), seconds(lock.statistics.wakeTotalNanoseconds)) }
    }

    private static func waits(_ locks: [LockFigures], _ out: inout PrometheusText) {
        out.metric("config_agent_lock_wait_seconds", .histogram, "How long threads slept for a lock.")
        for lock in locks {
            out.histogram(
                "config_agent_lock_wait_seconds",
                labels(lock),
                buckets: coarse(lock.waits),
                sum: seconds(lock.statistics.waitTotalNanoseconds)
            )
        }
        let holds = "config_agent_lock_hold_seconds"
        out.metric(holds, .summary, "How long a lock was held, by samples.")
        for lock in locks {
            out.sample("\(holds)_sum", labels(lock), seconds(lock.statistics.holdSampledNanoseconds))
            out.sample("\(holds)_count", labels(lock), lock.statistics.holdSamples)
        }
    }

    private static func longest(_ locks: [LockFigures], _ out: inout PrometheusText) {
        let wait = "config_agent_lock_wait_max_seconds"
        out.metric(wait, .gauge, "The longest wait since the start, where it was, and where the lock had been taken.")
        for lock in locks {
            let (site, holder) = (lock.statistics.waitMaxSite, lock.statistics.waitMaxHolderSite)
            let places = [("site", place(site)), ("holder", place(holder))]
            out.sample(wait, labels(lock) + places, seconds(lock.statistics.waitMaxNanoseconds))
        }
        let hold = "config_agent_lock_hold_max_seconds"
        out.metric(hold, .gauge, "The longest known hold since the start, and where it was.")
        for lock in locks {
            let site = [("site", place(lock.statistics.holdMaxSite))]
            out.sample(hold, labels(lock) + site, seconds(lock.statistics.holdMaxNanoseconds))
        }
        let wake = "config_agent_lock_wake_max_seconds"
        out.metric(wake, .gauge, "The longest time from a release until the woken thread ran.")
        for lock in locks { out.sample(wake, labels(lock), seconds(lock.statistics.wakeMaxNanoseconds)) }
    }

    private static func waitingNow(_ locks: [LockFigures], _ out: inout PrometheusText) {
        let count = "config_agent_lock_waiting_threads"
        out.metric(count, .gauge, "Threads that wait for a lock now.")
        for lock in locks { out.sample(count, labels(lock), UInt64(lock.statistics.waiting)) }
        let age = "config_agent_lock_waiting_seconds"
        out.metric(age, .gauge, "How long the oldest of those waits has lasted, where, and where the lock was taken.")
        for lock in locks {
            let now = lock.statistics
            let isWaitedFor = now.waiting > 0
            out.sample(
                age,
                labels(lock) + [
                    ("site", isWaitedFor ? place(now.waitingSite) : ""),
                    ("holder", isWaitedFor ? place(now.lastHolderSite) : ""),
                ],
                isWaitedFor ? seconds(now.waitingNanoseconds) : 0
            )
        }
    }

    /// Always the same bounds (1 µs · 4ᵏ), each of which is also one of the fine histogram's.
    private static func coarse(
        _ waits: [(upperBoundNanoseconds: UInt64?, count: UInt64)]
    ) -> [(upperBound: Double?, count: UInt64)] {
        var rest = waits[...]
        var buckets: [(upperBound: Double?, count: UInt64)] = []
        for step in 0...12 {
            let bound = UInt64(1_000) << UInt64(2 * step)
            var count: UInt64 = 0
            while let next = rest.first, let upper = next.upperBoundNanoseconds, upper <= bound {
                count += next.count
                rest.removeFirst()
            }
            buckets.append((Double(bound) / 1e9, count))
        }
        buckets.append((nil, rest.reduce(0) { $0 + $1.count }))
        return buckets
    }
}

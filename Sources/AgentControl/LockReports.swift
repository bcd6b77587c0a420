internal import AgentAPI
internal import AgentTelemetry
internal import LockLadder

extension LocksReport {
    /// - Parameter figures: worst first.
    init(_ figures: [LockFigures], since: WireTime) {
        self.init(accounting: Accounting.isCompiledIn, since: since, locks: figures.map { LockStatus($0) })
    }
}

extension LockStatus {
    init(_ figures: LockFigures) {
        let statistics = figures.statistics
        let histogram = Self.cumulative(figures.waits)
        let isWaitedFor = statistics.waiting > 0
        self.init(
            name: figures.name,
            kind: figures.kind.rawValue,
            instances: figures.instances,
            acquisitions: statistics.acquisitions,
            contended: statistics.contended,
            spins: statistics.spun,
            parks: statistics.parks,
            waiting: Int(statistics.waiting),
            waitingMicroseconds: isWaitedFor ? statistics.waitingNanoseconds / 1_000 : 0,
            waitingSite: isWaitedFor ? Self.text(statistics.waitingSite) : nil,
            holdingSite: isWaitedFor ? Self.text(statistics.lastHolderSite) : nil,
            waitTotalMicroseconds: statistics.waitTotalNanoseconds / 1_000,
            waitMaxMicroseconds: statistics.waitMaxNanoseconds / 1_000,
            waitMaxSite: Self.text(statistics.waitMaxSite),
            waitMaxHolderSite: Self.text(statistics.waitMaxHolderSite),
            gaveUp: statistics.gaveUp,
            wakeTotalMicroseconds: statistics.wakeTotalNanoseconds / 1_000,
            wakeLatencyMaxMicroseconds: statistics.wakeMaxNanoseconds / 1_000,
            waitersMax: Int(statistics.waitersMax),
            holderSite: Self.text(statistics.holdMaxSite),
            holdMaxMicroseconds: statistics.holdMaxNanoseconds / 1_000,
            holdSamples: statistics.holdSamples,
            holdMeanMicroseconds: Self.mean(statistics.holdSampledNanoseconds, statistics.holdSamples),
            waitCount: figures.waits.reduce(0) { $0 + $1.count },
            waitHistogram: histogram
        )
    }

    private static func text(_ site: CallSite) -> String? { site == .none ? nil : site.description }

    private static func mean(_ nanoseconds: UInt64, _ samples: UInt64) -> Double {
        samples == 0 ? 0 : Double(nanoseconds / samples) / 1_000
    }

    private static func cumulative(
        _ waits: [(upperBoundNanoseconds: UInt64?, count: UInt64)]
    ) -> [HistogramBucket] {
        var count: UInt64 = 0
        var histogram: [HistogramBucket] = []
        for wait in waits {
            count += wait.count
            guard let bound = wait.upperBoundNanoseconds else { continue }
            // Bounds below a microsecond's fraction (1.25 µs …) are rounded up, and their counts join.
            let rounded = (bound + 999) / 1_000
            if histogram.last?.upToMicroseconds == rounded { histogram.removeLast() }
            histogram.append(HistogramBucket(upToMicroseconds: rounded, count: count))
        }
        return histogram
    }
}

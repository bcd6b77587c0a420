public import LockLadder

/// The figures of all locks of one name and kind, added up.
public struct LockFigures: Sendable {
    public var name: String
    public var kind: LockKind
    public var instances: Int
    public var statistics: LockStatistics
    /// Waits by length: not cumulative, rising, `nil` without bound.
    public var waits: [(upperBoundNanoseconds: UInt64?, count: UInt64)]

    /// All locks of the process, worst first: those that somebody waits for now, the oldest wait before the others,
    /// then by all that was waited for them.
    ///
    /// - Parameter each: is shown the figures of each single lock.
    public static func collect(_ each: (LockProbe, LockFigures) -> Void = { _, _ in }) -> [LockFigures] {
        // A flight group and its mutex bear one name: the waits for the work are not those for the lock.
        var sums: [Identity: LockFigures] = [:]
        for probe in ContentionRegistry.shared.all {
            let one = LockFigures(
                name: "\(probe.name)",
                kind: probe.kind,
                instances: 1,
                statistics: probe.statistics,
                waits: probe.waits.counts
            )
            each(probe, one)
            sums[one.identity] = sums[one.identity].map { $0.adding(one) } ?? one
        }
        return sums.values.sorted { $0.isWorse(than: $1) }
    }

    /// What makes the figures of two locks one's.
    struct Identity: Hashable {
        var name: String
        var kind: LockKind
    }

    var identity: Identity { Identity(name: name, kind: kind) }

    func isWorse(than other: LockFigures) -> Bool {
        let mine = statistics
        let its = other.statistics
        if (mine.waiting > 0) != (its.waiting > 0) { return mine.waiting > 0 }
        if mine.waitingNanoseconds != its.waitingNanoseconds { return mine.waitingNanoseconds > its.waitingNanoseconds }
        if mine.waitTotalNanoseconds != its.waitTotalNanoseconds {
            return mine.waitTotalNanoseconds > its.waitTotalNanoseconds
        }
        return (name, kind.rawValue) < (other.name, other.kind.rawValue)
    }

    func adding(_ other: LockFigures) -> LockFigures {
        var sum = self
        sum.instances += other.instances
        sum.addWaitingNow(other.statistics)
        sum.statistics.acquisitions += other.statistics.acquisitions
        sum.statistics.contended += other.statistics.contended
        sum.statistics.spun += other.statistics.spun
        sum.statistics.parks += other.statistics.parks
        sum.statistics.gaveUp += other.statistics.gaveUp
        sum.statistics.waitTotalNanoseconds += other.statistics.waitTotalNanoseconds
        sum.statistics.wakeTotalNanoseconds += other.statistics.wakeTotalNanoseconds
        sum.statistics.holdSamples += other.statistics.holdSamples
        sum.statistics.holdSampledNanoseconds += other.statistics.holdSampledNanoseconds
        if other.statistics.waitMaxNanoseconds > statistics.waitMaxNanoseconds {
            sum.statistics.waitMaxNanoseconds = other.statistics.waitMaxNanoseconds
            sum.statistics.waitMaxSite = other.statistics.waitMaxSite
            sum.statistics.waitMaxHolderSite = other.statistics.waitMaxHolderSite
        }
        sum.statistics.wakeMaxNanoseconds = max(statistics.wakeMaxNanoseconds, other.statistics.wakeMaxNanoseconds)
        sum.statistics.waitersMax = max(statistics.waitersMax, other.statistics.waitersMax)
        if other.statistics.holdMaxNanoseconds > statistics.holdMaxNanoseconds {
            sum.statistics.holdMaxNanoseconds = other.statistics.holdMaxNanoseconds
            sum.statistics.holdMaxSite = other.statistics.holdMaxSite
        }
        var counts: [UInt64: UInt64] = [:]
        for bucket in waits + other.waits { counts[bucket.upperBoundNanoseconds ?? .max, default: 0] += bucket.count }
        sum.waits = counts.sorted { $0.key < $1.key }.map { ($0.key == .max ? nil : $0.key, $0.value) }
        return sum
    }

    /// Of several locks that are waited for, the oldest wait's sites are told.
    private mutating func addWaitingNow(_ other: LockStatistics) {
        let isWorse =
            statistics.waiting == 0
            ? other.waiting > 0 : other.waitingNanoseconds > statistics.waitingNanoseconds
        if isWorse {
            statistics.waitingNanoseconds = other.waitingNanoseconds
            statistics.waitingSite = other.waitingSite
            statistics.lastHolderSite = other.lastHolderSite
        }
        statistics.waiting += other.waiting
    }
}

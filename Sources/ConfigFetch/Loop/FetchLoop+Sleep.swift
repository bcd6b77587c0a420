internal import ConfigSnapshot
internal import LockLadder

/// Sources that are asked only while somebody reads their documents.
extension FetchLoop {
    struct Sleep {
        var isAsleep: Bool
        /// When it was woken up last.
        var wokenAt: UInt64 = 0
        /// When it is to be seen whether it may fall asleep.
        var idleAt: UInt64 = 0
        /// Where readers leave their marks; `nil` while nobody has wanted it.
        var use: LastUse?

        init(isAsleep: Bool) { self.isAsleep = isAsleep }
    }

    func wake(_ name: SourceName, _ stored: SourceRevision?, _ use: LastUse) {
        guard let source = sources[name], let idle = source.spec.idle else { return }
        sources[name]?.sleep.use = use
        if let stored, source.validators == .none, source.underWay.isEmpty { sources[name]?.take(stored) }
        guard source.sleep.isAsleep else { return }
        let now = MonotonicTime.now.nanoseconds
        sources[name]?.sleep.isAsleep = false
        sources[name]?.sleep.wokenAt = now
        if source.places.count > 1 { sources[name]?.failover.goOn(from: source.failover, at: now) }
        let place = sources[name]?.failover.active ?? 0
        fetcher.board.update(name) {
            $0.wakeUp()
            $0.place = place
        }
        // Whoever wants it has a flight of its own on its way in a moment, which a poll then joins; should it be gone by
        // then, the document is loaded still.
        setPoll(name, at: max(now + PollSchedule.shortestPoll, source.notBefore))
        lookForIdleness(name, at: now + idle)
        scheduleProbe(name)
    }

    private func lookForIdleness(_ name: SourceName, at time: UInt64) {
        sources[name]?.sleep.idleAt = time
        setTimer(.idle(name, at: time), due: time)
    }

    func fallAsleepIfIdle(_ name: SourceName, at time: UInt64) {
        guard let source = sources[name], let idle = source.spec.idle, !source.sleep.isAsleep,
            source.sleep.idleAt == time
        else { return }
        let now = MonotonicTime.now.nanoseconds
        let due = max(source.sleep.wokenAt, source.sleep.use?.last ?? 0) + idle
        guard due <= now, source.underWay.isEmpty else {
            // What is on its way is somebody's wish, and over soon.
            return lookForIdleness(name, at: max(due, now + PollSchedule.shortestBetweenChanges))
        }
        putToSleep(name)
    }

    /// From now on it is as if it had never been asked: of the document that the validators and the conversation stand for,
    /// nothing stays but what keeps an older one out, and of its failures the time before which it is not asked again.
    ///
    /// Also for what came of a flight that had been on its way when it fell asleep, or when it began to be on demand.
    func putToSleep(_ name: SourceName) {
        guard let source = sources[name] else { return }
        endWatch(name)
        breakOffProbe(name)
        let fresh = Source(source.spec, nil)
        fresh.memory = source.memory
        if fresh.places.count > 1 { fresh.failover.goOn(from: source.failover, at: .max) }
        fresh.underWay = source.underWay
        fresh.notBefore = source.failures > 0 ? max(source.notBefore, source.pollAt) : source.notBefore
        sources[name] = fresh
        // First the document: as long as the source does not sleep nobody looks for a copy.
        fetcher.notify(.asleep(name))
        fetcher.board.update(name) { $0.fallAsleep(at: WallClock.nowNanoseconds) }
    }
}

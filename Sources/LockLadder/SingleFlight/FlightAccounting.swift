internal import CLockLadder
internal import Synchronization

/// What a group tells the contention figures: each call counts as an acquisition, each caller that waited for the work
/// of another as contended, and whoever does the work as the holder.
@usableFromInline
final class FlightAccounting: Sendable {
    /// A caller's wait for the work of another.
    @usableFromInline
    struct Wait: Sendable {
        fileprivate var wait: LockProbe.Wait
    }

    private final class Meter: LockMeter {
        let calls = Atomic<UInt64>(0)
        let worker = Atomic<UInt>(0)
        let landedAt = Atomic<UInt64>(0)

        // Relaxed, all: figures.
        var acquisitions: UInt64 { calls.load(ordering: .relaxed) }
        var lastHolder: CallSite { CallSite(word: worker.load(ordering: .relaxed)) }
    }

    private let meter = Meter()
    private let probe: LockProbe

    @usableFromInline
    init(_ name: StaticString) {
        probe = LockProbe(name: name, kind: .flight, meter: meter)
        ContentionRegistry.shared.enter(probe)
    }

    deinit { ContentionRegistry.shared.leave(probe) }

    /// A call was taken.
    ///
    /// - Parameter causesWork: whether nobody else is doing this work.
    @usableFromInline
    func noteCall(at site: CallSite, causesWork: Bool) {
        guard Accounting.isCompiledIn else { return }
        meter.calls.add(1, ordering: .relaxed)
        if causesWork { meter.worker.store(site.word, ordering: .relaxed) }
    }

    @usableFromInline
    func noteLanding() {
        guard Accounting.isCompiledIn else { return }
        meter.landedAt.store(cll_now_ns(), ordering: .relaxed)
    }

    @usableFromInline
    func beginWait(at site: CallSite, in function: StaticString) -> Wait {
        var wait = probe.beginWait(.shared, at: site, in: function, heldBy: meter.lastHolder)
        wait.parks = 1
        return Wait(wait: wait)
    }

    /// - Parameter isAnswered: `false` for a caller that left.
    @usableFromInline
    func end(_ wait: Wait, isAnswered: Bool) {
        guard isAnswered else { return probe.abandon(wait.wait) }
        var slept = wait.wait
        slept.runs(wokenAt: meter.landedAt.load(ordering: .relaxed))
        guard let record = probe.end(slept) else { return }
        // No lock is held where callers wait.
        ContentionRegistry.shared.report(record)
    }

    var statistics: LockStatistics { probe.statistics }
}

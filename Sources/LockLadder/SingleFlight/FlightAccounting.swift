internal import CLockLadder
public import Synchronization

/// What a group tells the contention figures: each call counts as an acquisition, each caller that waited for the work
/// of another as contended, and whoever does the work as the holder.
@usableFromInline
final class FlightAccounting: Sendable {
    /// A caller's wait for the work of another.
    @usableFromInline
    struct Wait: Sendable {
        fileprivate var wait: LockProbe.Wait
    }

    @usableFromInline
    final class Meter: LockMeter {
        @usableFromInline let calls = Atomic<UInt64>(0)
        @usableFromInline let worker = Atomic<UInt>(0)
        let landedAt = Atomic<UInt64>(0)

        // Relaxed, all: figures.
        var acquisitions: UInt64 { calls.load(ordering: .relaxed) }
        var lastHolder: CallSite { CallSite(word: worker.load(ordering: .relaxed)) }
    }

    @usableFromInline let meter = Meter()
    private let probe: LockProbe

    @usableFromInline
    init(_ name: StaticString) {
        probe = LockProbe(name: name, kind: .flight, meter: meter)
        ContentionRegistry.shared.enter(probe)
    }

    deinit { ContentionRegistry.shared.leave(probe) }

    /// A call was taken. To be called under the group's mutex.
    ///
    /// - Parameter causesWork: whether nobody else is doing this work.
    @inlinable
    @inline(__always)
    func noteCall(at site: CallSite, causesWork: Bool) {
        guard Accounting.isCompiledIn else { return }
        // Relaxed: one writer at a time, so a load and a store are enough to count.
        meter.calls.store(meter.calls.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        if causesWork { meter.worker.store(site.word, ordering: .relaxed) }
    }

    /// Those who sleep are about to be woken. To be called before the first of them is.
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

internal import CLockLadder
internal import Synchronization

/// What a lock counts at each acquisition. It lies in the lock's own line of memory, which whoever takes the lock has
/// at hand anyway, so that counting costs next to nothing.
protocol LockMeter: AnyObject, Sendable {
    var acquisitions: UInt64 { get }
    /// Those that were contended but got by spinning, where the lock counts them itself.
    var spun: UInt64 { get }
    /// Who took the lock last, as far as it can be told.
    var lastHolder: CallSite { get }
}

extension LockMeter {
    var spun: UInt64 { 0 }
}

/// The running figures of one lock. Anybody may read them at any time without stopping anybody: figures of one reading
/// may be a moment apart.
public final class LockProbe: Sendable {
    /// Differs from that of every other lock that the process had or has.
    public let id: UInt64
    public let name: StaticString
    public let kind: LockKind
    /// One in so many acquisitions of a mutex has its hold timed.
    @inlinable public static var samplePeriod: UInt64 { 1_024 }

    private static let lastID = Atomic<UInt64>(0)
    /// Holds the lock's memory: it stays as long as somebody looks at the figures.
    private let meter: any LockMeter

    // All relaxed: statistics, by which nothing else is ordered. Only contended acquisitions come here.
    private let contended = Atomic<UInt64>(0)
    private let spun = Atomic<UInt64>(0)
    private let parks = Atomic<UInt64>(0)
    private let gaveUp = Atomic<UInt64>(0)
    private let waitTotal = Atomic<UInt64>(0)
    private let waitMax = Atomic<UInt64>(0)
    private let waitMaxSite = Atomic<UInt>(0)
    private let waitMaxHolder = Atomic<UInt>(0)
    private let wakeTotal = Atomic<UInt64>(0)
    private let wakeMax = Atomic<UInt64>(0)
    private let holdMax = Atomic<UInt64>(0)
    private let holdMaxSite = Atomic<UInt>(0)
    private let holdSamples = Atomic<UInt64>(0)
    private let holdSampled = Atomic<UInt64>(0)
    private let waitersMax = Atomic<UInt32>(0)
    private let waiting = Atomic<UInt32>(0)
    private let waitingSince = Atomic<UInt64>(0)
    private let waitingSite = Atomic<UInt>(0)
    public let waits = WaitHistogram()
    /// Where in the registry's list it stands, so that leaving takes no search.
    // SAFETY: touched under the registry's mutex only.
    nonisolated(unsafe) var place = Int.max
    // SAFETY: touched by the lock's exclusive holder only.
    private nonisolated(unsafe) var kept: ContentionRecord?

    init(name: StaticString, kind: LockKind, meter: any LockMeter) {
        // Relaxed: only that no two are alike.
        id = Self.lastID.add(1, ordering: .relaxed).newValue
        self.name = name
        self.kind = kind
        self.meter = meter
    }

    /// An acquisition that was contended but got by spinning, where the meter does not count them.
    func noteSpun() {
        guard Accounting.isCompiledIn else { return }
        contended.add(1, ordering: .relaxed)
        spun.add(1, ordering: .relaxed)
    }

    /// A thread's wait, from its first sleep on.
    struct Wait {
        var mode: LockMode
        var waiter: CallSite
        var function: StaticString
        var holder: CallSite
        var began: UInt64
        var waiters: UInt32 = 1
        var parks: UInt64 = 0
        /// How often others took the lock since, as far as it is counted.
        var takenMeanwhile: UInt64 = 0
        /// How long it took this thread to run after it was woken, over all its sleeps.
        var wake: UInt64 = 0

        /// The thread runs again after a sleep.
        ///
        /// - Parameter moment: when it was woken, as far as known.
        mutating func runs(wokenAt moment: UInt64) {
            guard Accounting.isCompiledIn, moment > began else { return }
            wake += MonotonicTime.now.nanoseconds(since: MonotonicTime(nanoseconds: moment))
        }
    }

    /// The thread is about to sleep. To be ended by ``end(_:)`` or ``abandon(_:)``.
    func beginWait(_ mode: LockMode, at site: CallSite, in function: StaticString, heldBy holder: CallSite) -> Wait {
        var wait = Wait(mode: mode, waiter: site, function: function, holder: holder, began: 0)
        guard Accounting.isCompiledIn else { return wait }
        wait.began = cll_now_ns()
        wait.waiters = waiting.add(1, ordering: .relaxed).newValue
        if wait.waiters == 1 {
            waitingSince.store(wait.began, ordering: .relaxed)
            waitingSite.store(site.word, ordering: .relaxed)
        }
        waitersMax.max(wait.waiters, ordering: .relaxed)
        unsafe cll_probe_wait_begin(name.cString, site.word, holder.word, wait.waiters)
        return wait
    }

    /// The thread no longer waits, and not because it was granted what it slept for: either that was there before its
    /// first sleep, or its deadline passed. The time it slept counts all the same.
    func abandon(_ wait: Wait) {
        guard Accounting.isCompiledIn else { return }
        let now = cll_now_ns()
        leave(wait, at: now)
        let slept = wait.parks > 0 ? now - wait.began : 0
        // Each begin has its end, or a listener would believe the thread to wait still.
        unsafe cll_probe_wait_end(name.cString, wait.waiter.word, wait.holder.word, slept, 0)
        guard wait.parks > 0 else { return }
        gaveUp.add(1, ordering: .relaxed)
        _ = count(wait, lasting: slept)
    }

    private func leave(_ wait: Wait, at now: UInt64) {
        let since = waitingSince.load(ordering: .relaxed)
        if waiting.subtract(1, ordering: .relaxed).newValue == 0 {
            // So that nobody who looks between the next waiter's count and its time takes this time for that one's.
            // Not when the next waiter's time is there already.
            _ = waitingSince.compareExchange(expected: since, desired: 0, ordering: .relaxed)
            return
        }
        // Whoever is left has been waiting for less long than this one, if this was the first: told from now on, which
        // is too little rather than too much; and where is not known.
        let first = waitingSince.compareExchange(expected: wait.began, desired: now, ordering: .relaxed)
        if first.exchanged { waitingSite.store(CallSite.none.word, ordering: .relaxed) }
    }

    /// The thread has what it waited for.
    func end(_ wait: Wait) -> ContentionRecord? {
        guard Accounting.isCompiledIn else { return nil }
        let now = cll_now_ns()
        leave(wait, at: now)
        let waited = now - wait.began
        let woken = min(wait.wake, waited)
        let count = count(wait, lasting: waited)
        wakeTotal.add(woken, ordering: .relaxed)
        wakeMax.max(woken, ordering: .relaxed)
        unsafe cll_probe_wait_end(name.cString, wait.waiter.word, wait.holder.word, waited, woken)
        return ContentionRecord(
            lock: name,
            kind: kind,
            mode: wait.mode,
            waiter: wait.waiter,
            waiterFunction: wait.function,
            holder: wait.holder,
            waitNanoseconds: waited,
            holdNanoseconds: waited - woken,
            wakeNanoseconds: woken,
            takenMeanwhile: wait.takenMeanwhile,
            waiters: wait.waiters,
            threadID: cll_thread_id(),
            contended: count,
            endedAt: MonotonicTime(nanoseconds: now)
        )
    }

    /// - Returns: how often the lock was contended so far.
    private func count(_ wait: Wait, lasting waited: UInt64) -> UInt64 {
        parks.add(wait.parks, ordering: .relaxed)
        waitTotal.add(waited, ordering: .relaxed)
        if waitMax.max(waited, ordering: .relaxed).oldValue < waited {
            waitMaxSite.store(wait.waiter.word, ordering: .relaxed)
            waitMaxHolder.store(wait.holder.word, ordering: .relaxed)
        }
        waits.record(nanoseconds: waited)
        return contended.add(1, ordering: .relaxed).newValue &+ meter.spun
    }

    /// Leaves the record of the wait that has just ended with the lock, to be told at its release. Under the lock only.
    func keep(_ record: ContentionRecord) { unsafe kept = record }

    /// Takes that record out again. Under the lock only.
    func takeKept() -> ContentionRecord? { unsafe kept.take() }

    /// A hold that somebody slept for.
    func noteHold(_ nanoseconds: UInt64, at site: CallSite) {
        guard Accounting.isCompiledIn else { return }
        if holdMax.max(nanoseconds, ordering: .relaxed).oldValue < nanoseconds {
            holdMaxSite.store(site.word, ordering: .relaxed)
        }
    }

    /// A hold that was timed because its turn had come.
    func noteSample(_ nanoseconds: UInt64, at site: CallSite) {
        guard Accounting.isCompiledIn else { return }
        holdSamples.add(1, ordering: .relaxed)
        holdSampled.add(nanoseconds, ordering: .relaxed)
        noteHold(nanoseconds, at: site)
    }

    /// The figures as they stand.
    public var statistics: LockStatistics {
        var figures = LockStatistics()
        figures.acquisitions = meter.acquisitions
        figures.spun = spun.load(ordering: .relaxed) &+ meter.spun
        figures.contended = contended.load(ordering: .relaxed) &+ meter.spun
        figures.parks = parks.load(ordering: .relaxed)
        figures.gaveUp = gaveUp.load(ordering: .relaxed)
        figures.waitTotalNanoseconds = waitTotal.load(ordering: .relaxed)
        figures.waitMaxNanoseconds = waitMax.load(ordering: .relaxed)
        figures.waitMaxSite = CallSite(word: waitMaxSite.load(ordering: .relaxed))
        figures.waitMaxHolderSite = CallSite(word: waitMaxHolder.load(ordering: .relaxed))
        figures.wakeTotalNanoseconds = wakeTotal.load(ordering: .relaxed)
        figures.wakeMaxNanoseconds = wakeMax.load(ordering: .relaxed)
        figures.holdMaxNanoseconds = holdMax.load(ordering: .relaxed)
        figures.holdMaxSite = CallSite(word: holdMaxSite.load(ordering: .relaxed))
        figures.holdSamples = holdSamples.load(ordering: .relaxed)
        figures.holdSampledNanoseconds = holdSampled.load(ordering: .relaxed)
        figures.waitersMax = waitersMax.load(ordering: .relaxed)
        figures.lastHolderSite = meter.lastHolder
        figures.waiting = waiting.load(ordering: .relaxed)
        if figures.waiting > 0 {
            // 0: somebody has only just begun.
            let since = waitingSince.load(ordering: .relaxed)
            if since != 0 {
                figures.waitingNanoseconds = MonotonicTime.now.nanoseconds(since: MonotonicTime(nanoseconds: since))
                figures.waitingSite = CallSite(word: waitingSite.load(ordering: .relaxed))
            }
        }
        return figures
    }
}

extension StaticString {
    /// As C reads it. The name of a lock is a literal, which ends in a NUL.
    var cString: UnsafePointer<CChar> {
        // SAFETY: every `StaticString` of several characters is stored as UTF-8 bytes with a NUL behind them; a single
        // scalar is not, and has no address.
        guard hasPointerRepresentation else { return unsafe Self.unnamed }
        return unsafe UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }

    // SAFETY: never written, never freed.
    private nonisolated(unsafe) static let unnamed: UnsafePointer<CChar> = {
        let start = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        unsafe start.initialize(to: 0)
        return unsafe UnsafePointer(start)
    }()
}

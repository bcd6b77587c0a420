public import LockLadder

internal import struct Synchronization.Atomic

/// Takes records from any thread without ever waiting, and sends them on a thread of its own.
///
/// Between the two lies a ring of fixed size. When journald stalls, the ring fills, what does not fit is dropped and
/// counted, and the count is told once records get through again.
public final class Journal: Sendable {
    public struct Counts: Sendable {
        public var sent: UInt64
        public var dropped: UInt64
    }

    private enum Entry: Sendable {
        case record(JournalRecord)
        case contention(ContentionRecord, generation: UInt64)
    }

    private static let capacity = 2_048
    /// Between two looks at who waits.
    private static let lookInterval: UInt64 = 1_000_000_000

    /// Records below this level are not taken.
    public let level: LogLevel
    private let sink = JournalSink.detect()
    private let ring = BoundedRing<Entry>(capacity: Journal.capacity)
    private let signal = WakeSignal()
    private let sent = PaddedCounter()
    private let dropped = PaddedCounter()
    private let isStopping = Atomic<Bool>(false)
    private let generation = Atomic<UInt64>(0)
    // Relaxed, both: settings that may change while the agent runs.
    private let warnWait: Atomic<UInt64>
    private let reportInterval: Atomic<UInt64>
    private let thread = Mutex<NamedThread?>("journal.thread", nil)

    /// - Parameters:
    ///   - warnWait: nanoseconds a thread may wait for a lock before a record tells of it.
    ///   - reportInterval: nanoseconds between two reports of the locks contended meanwhile.
    public init(level: LogLevel, warnWait: UInt64, reportInterval: UInt64) {
        self.level = level
        self.warnWait = Atomic(warnWait)
        self.reportInterval = Atomic(reportInterval)
    }

    /// Takes over new settings while running; see ``init(level:warnWait:reportInterval:)``.
    public func adopt(warnWait: UInt64, reportInterval: UInt64) {
        self.warnWait.store(warnWait, ordering: .relaxed)
        self.reportInterval.store(reportInterval, ordering: .relaxed)
        // A shorter interval counts from now.
        signal.raise()
    }

    /// Where records go: `journald` or `stderr`.
    public var destination: String {
        switch sink {
        case .journald: "journald"
        case .standardError: "stderr"
        }
    }

    public var counts: Counts { Counts(sent: sent.count, dropped: dropped.count) }

    /// The generation that contention records carry.
    public func note(generation: UInt64) {
        // Relaxed: a hint in a record.
        self.generation.store(generation, ordering: .relaxed)
    }

    /// Takes a record, or drops and counts it. Never waits.
    public func log(_ record: JournalRecord) {
        guard record.level <= level else { return }
        push(.record(record))
    }

    private func push(_ entry: Entry) {
        if ring.push(entry) { signal.raise() } else { dropped.add() }
    }

    /// Starts the thread and begins to listen to the locks.
    ///
    /// - Returns: `false` when the system has no thread to give.
    public func start() -> Bool {
        ContentionRegistry.shared.observe { [self] record in
            guard record.waitNanoseconds >= warnWait.load(ordering: .relaxed), LogLevel.warning <= level else { return }
            push(.contention(record, generation: generation.load(ordering: .relaxed)))
        }
        let started = NamedThread("agent-journal") { self.run() }
        thread.withLock { $0 = started }
        return started != nil
    }

    /// Sends what is waiting and ends the thread; gives up at the deadline, because journald may be stuck.
    @discardableResult
    public func stop(until deadline: MonotonicTime) -> Bool {
        // Releasing, acquired by the thread: all that was pushed before is seen.
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        let running = thread.withLock { $0.take() }
        return running?.join(until: deadline) ?? true
    }

    // MARK: On the agent-journal thread

    private func run() {
        var limiter = ContentionLimiter()
        var reporter = LockReporter()
        var reportedDrops: UInt64 = 0
        var stuck = StuckWaits()
        var lastReport = MonotonicTime.now
        var lastLook = lastReport
        while true {
            let interval = reportInterval.load(ordering: .relaxed)
            let stopping = isStopping.load(ordering: .acquiring)
            while let entry = ring.pop() { send(entry, &limiter) }
            reportDrops(&reportedDrops)
            if MonotonicTime.now >= lastReport.advanced(byNanoseconds: interval) {
                lastReport = .now
                for record in reporter.report(generation: generation.load(ordering: .relaxed)) { sendCounted(record) }
            }
            if stopping { return }
            if MonotonicTime.now >= lastLook.advanced(byNanoseconds: Self.lookInterval) {
                lastLook = .now
                look(&stuck)
            }
            let nextReport = lastReport.advanced(byNanoseconds: interval)
            _ = signal.wait(until: min(nextReport, lastLook.advanced(byNanoseconds: Self.lookInterval)))
        }
    }

    /// Takes the registry's lock and no other: this thread must not wait for the lock that it is to tell of.
    private func look(_ stuck: inout StuckWaits) {
        guard LogLevel.warning <= level else { return }
        let records = stuck.look(
            at: StuckWaits.waitedFor(),
            now: .now,
            warnWait: warnWait.load(ordering: .relaxed),
            generation: generation.load(ordering: .relaxed)
        )
        for record in records { sendCounted(record) }
    }

    private func send(_ entry: Entry, _ limiter: inout ContentionLimiter) {
        switch entry {
        case .record(let record): sendCounted(record)
        case .contention(let record, let generation):
            if let suppressed = limiter.admit(record, at: .now) {
                sendCounted(ContentionText.record(record, generation: generation, suppressed: suppressed))
            }
        }
    }

    private func sendCounted(_ record: JournalRecord) {
        guard record.level <= level else { return }
        if sink.send(record) { sent.add() } else { dropped.add() }
    }

    private func reportDrops(_ reported: inout UInt64) {
        let now = dropped.count
        guard now > reported else { return }
        let count = now - reported
        reported = now
        sendCounted(
            JournalRecord(
                .warning,
                .recordsDropped,
                "\(count) journal records were dropped because the journal did not take them in time",
                [("AGENT_EVENT", "records_dropped"), ("AGENT_DROPPED", String(count))]
            )
        )
    }
}

public import AgentAPI

/// What became of the locks between two looks: the tables of `agentctl locks --watch` after the first.
public struct LocksChanges: Sendable {
    /// One lock's figures for each second in between.
    struct Change {
        var lock: LockStatus
        var waitedMicroseconds: Double
        var contended: Double
        var acquisitions: Double
        var parks: Double
        /// The wait that was the longest of all until now and was not before.
        var isLongestNew: Bool
    }

    /// Whether it is another run of the agent, which counts from the start.
    public let isRestart: Bool
    private let report: LocksReport
    private let changes: [Change]

    /// - Parameter seconds: the time between the two.
    public init(from before: LocksReport, to now: LocksReport, seconds: Double) {
        let isRestart = before.since != now.since
        self.isRestart = isRestart
        let known = isRestart ? [:] : Dictionary(before.locks.map { ($0.identity, $0) }, uniquingKeysWith: { $1 })
        let span = max(seconds, 0.001)
        report = now
        changes = LocksText.worstFirst(now.locks).compactMap { lock in
            Self.change(from: known[lock.identity], to: lock, seconds: span)
        }.sorted(by: Self.isWorse)
    }

    /// - Returns: `nil` when nothing has changed.
    private static func change(from before: LockStatus?, to now: LockStatus, seconds: Double) -> Change? {
        func each(_ figure: (LockStatus) -> UInt64) -> Double {
            let old = before.map(figure) ?? 0
            let new = figure(now)
            // Of several locks of one name some may be gone, and their counts with them.
            return new < old ? 0 : Double(new - old) / seconds
        }
        let change = Change(
            lock: now,
            waitedMicroseconds: each(\.waitTotalMicroseconds),
            contended: each(\.contended),
            acquisitions: each(\.acquisitions),
            parks: each(\.parks),
            isLongestNew: now.waitMaxMicroseconds > (before?.waitMaxMicroseconds ?? 0)
        )
        let isStill = change.contended == 0 && change.acquisitions == 0 && now.waiting == 0
        return isStill ? nil : change
    }

    private static func isWorse(_ left: Change, than right: Change) -> Bool {
        if (left.lock.waiting > 0) != (right.lock.waiting > 0) { return left.lock.waiting > 0 }
        if left.lock.waitingMicroseconds != right.lock.waitingMicroseconds {
            return left.lock.waitingMicroseconds > right.lock.waitingMicroseconds
        }
        if left.waitedMicroseconds != right.waitedMicroseconds {
            return left.waitedMicroseconds > right.waitedMicroseconds
        }
        if left.acquisitions != right.acquisitions { return left.acquisitions > right.acquisitions }
        return left.lock.identity < right.lock.identity
    }

    /// One row for each lock that was used, worst first, with what was counted in each second.
    public func render(style: TextStyle) -> String {
        if let nothing = LocksText.nothing(in: report) { return nothing }
        guard !changes.isEmpty else { return "no lock was taken\n" }
        var table = Table(headings: ["LOCK", "WAITED/S", "CONTENDED/S", "ACQUIRED/S", "PARKS/S", "LONGEST"])
        for change in changes {
            let lock = change.lock
            let longest = Durations.microseconds(lock.waitMaxMicroseconds)
            table.add(
                [
                    .init(LocksText.title(of: lock), tone: lock.waiting > 0 ? .heading : nil),
                    .number(Durations.microseconds(UInt64(change.waitedMicroseconds.rounded()))),
                    .number(Self.count(change.contended)),
                    .number(Self.count(change.acquisitions)),
                    .number(Self.count(change.parks)),
                    .number(change.isLongestNew ? "\(longest)!" : longest),
                ],
                notes: LocksText.waitingNow(lock, style)
            )
        }
        return table.lines(style).joined(separator: "\n") + "\n"
    }

    /// With a decimal where whole numbers would say too little.
    private static func count(_ value: Double) -> String {
        value == value.rounded() || value >= 100 ? "\(UInt64(value.rounded()))" : Durations.oneDecimal(value)
    }
}

public import AgentAPI

/// The table that `agentctl locks` shows.
public enum LocksText {
    /// One row for each lock, worst first; on request with the lengths of its waits as bars.
    public static func render(_ report: LocksReport, histograms: Bool, style: TextStyle) -> String {
        guard !report.locks.isEmpty else { return "no locks\n" }
        var table = Table(headings: [
            "LOCK", "KIND", "WAITED", "LONGEST", "CONTENDED", "ACQUIRED", "PARKS", "WAITERS", "HELD LONGEST",
        ])
        for lock in worstFirst(report.locks) {
            let name = lock.instances == 1 ? lock.name : "\(lock.name) (\(lock.instances))"
            let site = lock.holderSite.map { " at \($0)" } ?? ""
            table.add(
                [
                    .init(name, tone: lock.contended > 0 ? nil : .faint),
                    .init(lock.kind),
                    .number(Durations.microseconds(lock.waitTotalMicroseconds)),
                    .number(Durations.microseconds(lock.waitMaxMicroseconds)),
                    .number("\(lock.contended)\(share(lock))"),
                    .number("\(lock.acquisitions)"),
                    .number("\(lock.parks)"),
                    .number("\(lock.waitersMax)"),
                    .init(Durations.microseconds(lock.holdMaxMicroseconds) + site),
                ],
                notes: histograms ? bars(lock, style) : []
            )
        }
        return table.lines(style).joined(separator: "\n") + "\n"
    }

    private static func worstFirst(_ locks: [LockStatus]) -> [LockStatus] {
        locks.sorted { left, right in
            if left.waitTotalMicroseconds != right.waitTotalMicroseconds {
                return left.waitTotalMicroseconds > right.waitTotalMicroseconds
            }
            return left.name < right.name
        }
    }

    private static func share(_ lock: LockStatus) -> String {
        guard lock.contended > 0, lock.acquisitions > 0 else { return "" }
        return " (\(Durations.oneDecimal(Double(lock.contended) * 100 / Double(lock.acquisitions)))%)"
    }

    private static func bars(_ lock: LockStatus, _ style: TextStyle) -> [String] {
        var below: UInt64 = 0
        var counts: [(label: String, count: UInt64)] = []
        for bucket in lock.waitHistogram {
            let label = "<= " + Durations.microseconds(bucket.upToMicroseconds)
            counts.append((label, bucket.count >= below ? bucket.count - below : 0))
            below = max(below, bucket.count)
        }
        if lock.waitCount > below { counts.append(("longer", lock.waitCount - below)) }
        while let last = counts.last, last.count == 0 { counts.removeLast() }
        let most = counts.map(\.count).max() ?? 0
        let widest = counts.map(\.label.count).max() ?? 0
        return counts.map { label, count in
            let padding = String(repeating: " ", count: widest - label.count)
            // A wait that happened is never invisible.
            let length = count == 0 ? 0 : max(1, Int(Double(count) / Double(most) * 40))
            let bar = style.paint(String(repeating: "#", count: length), .doubtful)
            return "    \(padding)\(label)  \(bar)\(length == 0 ? "" : " ")\(count)"
        }
    }
}

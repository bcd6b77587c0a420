public import AgentAPI

/// The table that `agentctl locks` shows.
public enum LocksText {
    /// One row for each lock, worst first, and below it what is known of its waits; on request with their lengths as
    /// bars.
    public static func render(_ report: LocksReport, histograms: Bool, style: TextStyle) -> String {
        if let nothing = nothing(in: report) { return nothing }
        var table = Table(headings: ["LOCK", "KIND", "WAITED", "LONGEST", "CONTENDED", "ACQUIRED", "HELD"])
        for lock in worstFirst(report.locks) {
            table.add(
                [
                    .init(title(of: lock), tone: tone(of: lock)),
                    .init(lock.kind),
                    .number(Durations.microseconds(lock.waitTotalMicroseconds)),
                    .number(Durations.microseconds(lock.waitMaxMicroseconds)),
                    .number("\(lock.contended)\(share(lock))"),
                    .number("\(lock.acquisitions)"),
                    .number(Durations.microseconds(lock.holdMaxMicroseconds)),
                ],
                notes: waitingNow(lock, style) + waits(lock, style) + (histograms ? bars(lock, style) : [])
            )
        }
        return table.lines(style).joined(separator: "\n") + "\n"
    }

    // MARK: Shared with the table of changes

    /// What is shown where there is no table.
    static func nothing(in report: LocksReport) -> String? {
        if !report.accounting { return "this agent was built without contention accounting: its locks only lock\n" }
        return report.locks.isEmpty ? "no locks\n" : nil
    }

    static func worstFirst(_ locks: [LockStatus]) -> [LockStatus] {
        locks.sorted { left, right in
            if (left.waiting > 0) != (right.waiting > 0) { return left.waiting > 0 }
            if left.waitingMicroseconds != right.waitingMicroseconds {
                return left.waitingMicroseconds > right.waitingMicroseconds
            }
            if left.waitTotalMicroseconds != right.waitTotalMicroseconds {
                return left.waitTotalMicroseconds > right.waitTotalMicroseconds
            }
            return left.identity < right.identity
        }
    }

    static func title(of lock: LockStatus) -> String {
        lock.instances == 1 ? lock.name : "\(lock.name) (\(lock.instances))"
    }

    static func tone(of lock: LockStatus) -> TextStyle.Tone? {
        if lock.waiting > 0 { return .heading }
        return lock.contended > 0 ? nil : .faint
    }

    /// `waiting now: 3 threads, 12.4s, at X; held by Y`
    static func waitingNow(_ lock: LockStatus, _ style: TextStyle) -> [String] {
        guard lock.waiting > 0 else { return [] }
        let threads = lock.waiting == 1 ? "1 thread" : "\(lock.waiting) threads"
        let place = lock.waitingSite.map { ", at \($0)" } ?? ""
        let holder = lock.holdingSite.map { "; held by \($0)" } ?? ""
        let text = "waiting now: \(threads), \(Durations.microseconds(lock.waitingMicroseconds))\(place)\(holder)"
        return Wrapping.indented(text, by: 4, style: style).map { style.paint($0, .heading) }
    }

    // MARK: Notes

    private static func share(_ lock: LockStatus) -> String {
        guard lock.contended > 0, lock.acquisitions > 0 else { return "" }
        return " (\(Durations.oneDecimal(Double(lock.contended) * 100 / Double(lock.acquisitions)))%)"
    }

    private static func waits(_ lock: LockStatus, _ style: TextStyle) -> [String] {
        guard lock.contended > 0 else { return [] }
        var lines: [String] = []
        func add(_ text: String) { lines += Wrapping.indented(text, by: 4, style: style) }
        if let line = HistogramLine.render(lock, style: style) {
            // The line itself is not wrapped: its blanks stand for what did not occur.
            let head = "    waits \(line)"
            let tail = "at most \(lock.waitersMax) at once, parked \(lock.parks) times, spun \(lock.spins)"
            let isShort = head.count + 2 + tail.count <= style.width
            lines += isShort ? ["\(head), \(tail)"] : [head, "    \(tail)"]
        }
        if let site = lock.waitMaxSite {
            let wake = "wake-ups \(Durations.microseconds(lock.wakeTotalMicroseconds)) in all"
            let holder = lock.waitMaxHolderSite.map { ", held by \($0)" } ?? ""
            add("longest wait \(Durations.microseconds(lock.waitMaxMicroseconds)) at \(site)\(holder); \(wake)")
        }
        if let site = lock.holderSite {
            var text = "longest hold \(Durations.microseconds(lock.holdMaxMicroseconds)) at \(site)"
            if lock.holdSamples > 0 {
                text += ", \(mean(lock)) on average (\(lock.holdSamples) samples)"
            }
            add(text)
        }
        return lines
    }

    private static func mean(_ lock: LockStatus) -> String {
        let mean = lock.holdMeanMicroseconds
        return mean < 1_000 ? Durations.oneDecimal(mean) + "us" : Durations.microseconds(UInt64(mean))
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

extension LockStatus {
    /// Locks of one name and kind are told as one.
    var identity: String { "\(name) \(kind)" }
}

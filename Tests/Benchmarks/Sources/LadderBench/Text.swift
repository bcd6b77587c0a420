import BenchKit
import Foundation

/// Results for a terminal.
enum Text {
    static func number(_ value: Double) -> String {
        switch abs(value) {
        case ..<0.0005: String(format: "%.5f", value)
        case ..<0.1: String(format: "%.4f", value)
        case ..<10: String(format: "%.2f", value)
        case ..<1_000: String(format: "%.1f", value)
        default: String(format: "%.0f", value)
        }
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    static func table(_ rows: [Row], titled title: String) -> String {
        ([title] + rows.map { "  " + line($0) }).joined(separator: "\n")
    }

    private static func line(_ row: Row) -> String {
        var text = pad(row.subject, 38)
        let value = row.value ?? row.ns ?? 0
        text += pad(row.figure == .ns ? "\(number(value)) ns" : "\(number(value)) \(row.figure.rawValue)", 30)
        if row.figure == .ns, let p99 = row.p99 { text += pad("p99 \(number(p99))", 16) } else { text += pad("", 16) }
        text += pad(row.figure == .ns ? row.fairness.map { "fair \(number($0))" } ?? "" : "", 12)
        if let anchor = row.anchor, let theirs = row.anchorValue, let ratio = row.ratio {
            text += pad("\(anchor) \(number(theirs))", 38) + pad("ratio \(number(ratio))", 14)
            if let interval = row.ratioInterval, interval.count == 2 {
                text += pad("[\(number(interval[0]))–\(number(interval[1]))]", 18)
            }
        }
        guard let goal = row.goal, let met = row.met else { return text }
        let sign = row.goalKind == "at_least" ? "≥" : "≤"
        return text + "\(row.goalId ?? "") \(sign) \(number(goal)) \(met ? "ok" : "MISSED")"
    }

    static func growth(_ growth: [Growth]) -> String {
        var lines = ["time of an operation over the number of threads, ns"]
        for rung in growth {
            let figures = zip(rung.threads, rung.ns).map { "\($0): \(number($1))" }.joined(separator: "  ")
            lines.append("  \(pad(rung.rung, 20)) \(figures)")
            lines.append("    the document's: \(rung.documents.formula), off by \(percent(rung.documents.error))")
            lines.append("    better:         \(rung.better.formula), off by \(percent(rung.better.error))")
        }
        return lines.joined(separator: "\n")
    }

    static func percent(_ share: Double) -> String { String(format: "%.0f %%", share * 100) }

    /// The table of the source document, for this machine.
    static func ladder(_ results: Results) -> String {
        let rungs = Rung.all(in: results.rows)
        var lines = [
            "the ladder",
            pad("  rung", 26) + pad("threads", 9) + pad("time", 12) + pad("p99", 12)
                + pad("throughput to the mutex's", 28) + "for",
        ]
        for rung in rungs {
            lines.append(
                pad("  \(rung.name)", 26) + pad("\(rung.threads)", 9) + pad("\(number(rung.ns)) ns", 12)
                    + pad(rung.p99.map { "\(number($0)) ns" } ?? "", 12) + pad("\(number(rung.throughput))×", 28)
                    + rung.use
            )
        }
        return rungs.isEmpty ? "" : lines.joined(separator: "\n")
    }

    static func verdict(_ rows: [Row]) -> String {
        let goals = rows.filter { $0.met != nil }
        let missed = goals.filter { $0.met == false }
        let lines = missed.map { row in
            "MISSED \(row.goalId ?? "") \(row.case), \(row.subject), \(row.threads) threads"
                + (row.anchor.map { " against \($0)" } ?? "")
                + ": \(number(row.ratio ?? row.value ?? 0)), goal \(number(row.goal ?? 0))"
        }
        return (lines + ["\(goals.count - missed.count) of \(goals.count) goals met"]).joined(separator: "\n")
    }
}

/// One step of the ladder as the document's table has it.
struct Rung {
    let name: String
    let threads: Int
    let ns: Double
    let p99: Double?
    /// Operations per second of all threads, over the mutex's.
    let throughput: Double
    let use: String

    private static let steps: [(name: String, measure: String, subject: String, use: String)] = [
        ("counter, padded", "counter", "ladder, padded", "figures"),
        (
            "snapshot, reader handle", "snapshot-read quiet", "ladder, reader handle",
            "configuration that is replaced whole"
        ),
        ("snapshot, implicit", "snapshot-read quiet", "ladder, implicit", "the same, without a handle to carry"),
        ("once", "once", "ladder", "what is made at first use"),
        ("concurrent map", "map 1khz", "ladder", "many keys, read mostly"),
        ("read lock", "rw-read quiet", "ladder, reader handle", "state that is changed in place, rarely"),
        ("mutex", "mutex tight", "ladder", "short changes of shared state"),
        ("single-flight, threads", "flight-alone", "ladder, threads", "expensive work asked for by many"),
        ("single-flight, async", "flight-alone", "ladder, async", "the same, in tasks"),
    ]

    /// Those that were measured, with two threads where they were.
    static func all(in rows: [Row]) -> [Rung] {
        func row(_ measure: String, _ subject: String) -> Row? {
            let found = rows.filter { $0.case == measure && $0.subject == subject && $0.ns != nil }
            return found.first { $0.threads == 2 } ?? found.first
        }
        guard let mutex = row("mutex tight", "ladder"), let mutexTime = mutex.ns else { return [] }
        return steps.compactMap { step in
            guard let row = row(step.measure, step.subject), let ns = row.ns else { return nil }
            let throughput = (Double(row.threads) / ns) / (Double(mutex.threads) / mutexTime)
            return Rung(
                name: step.name,
                threads: row.threads,
                ns: ns,
                p99: row.p99,
                throughput: throughput,
                use: step.use
            )
        }
    }
}

import Foundation

/// Results as Markdown.
enum Tables {
    static func named(_ name: String, _ results: Results) -> String? {
        switch name {
        case "machine": machine(results.machine)
        case "ladder": ladder(results)
        case "goals": goals(results.rows)
        case "growth": growth(results.growth)
        case "accounting": accounting(results.rows)
        case "instructions": instructions(results.rows)
        case "misses": misses(results.rows)
        case "histogram": "```\n\(Histogram.text(results.histograms))\n```"
        default: contests(name, results.rows)
        }
    }

    private static func machine(_ machine: Machine) -> String {
        "Measured \(machine.day) on \(machine.processors) processors, \(machine.processor), Linux \(machine.kernel), "
            + "\(machine.swift), revision \(machine.revision)."
    }

    private static func ladder(_ results: Results) -> String {
        let head = "| rung | threads | time | p99 | throughput to the mutex's | for |\n|---|---:|---:|---:|---:|---|"
        let lines = Rung.all(in: results.rows).map { rung in
            "| \(rung.name) | \(rung.threads) | \(time(rung.ns)) | \(rung.p99.map(time) ?? "") | \(Text.number(rung.throughput))× | \(rung.use) |"
        }
        return ([head] + lines).joined(separator: "\n")
    }

    /// Nanoseconds, or what is easier to read.
    static func time(_ nanoseconds: Double) -> String {
        switch nanoseconds {
        case ..<10_000: "\(Text.number(nanoseconds)) ns"
        case ..<10_000_000: "\(Text.number(nanoseconds / 1_000)) µs"
        default: "\(Text.number(nanoseconds / 1_000_000)) ms"
        }
    }

    private static func goals(_ rows: [Row]) -> String {
        let head =
            "| goal | what | threads | | against | | ratio | wanted | |\n|---|---|---:|---:|---|---:|---:|---:|---|"
        let lines = rows.filter { $0.met != nil }.sorted { ($0.goalId ?? "") < ($1.goalId ?? "") }.map { row in
            let sign = row.goalKind == "at_least" ? "≥" : "≤"
            let cells = [
                row.goalId ?? "", "\(row.case): \(row.subject)", "\(row.threads)", amount(row.value, row.figure),
                row.anchor ?? "", amount(row.anchorValue, row.figure), row.ratio.map(Text.number) ?? "",
                "\(sign) \(row.ratio == nil ? amount(row.goal, row.figure) : Text.number(row.goal ?? 0))",
                row.met == true ? "met" : "**missed**",
            ]
            return "| " + cells.joined(separator: " | ") + " |"
        }
        return ([head] + lines).joined(separator: "\n")
    }

    private static func amount(_ value: Double?, _ figure: Figure) -> String {
        guard let value else { return "" }
        return switch figure {
        case .ns, .p99, .writeWaitP99: time(value)
        default: Text.number(value)
        }
    }

    /// What each path costs with the accounting and without it, in instructions and in time.
    private static func accounting(_ rows: [Row]) -> String {
        let head =
            "| path | instructions | without accounting | | time | without accounting | ratio, pair by pair |\n"
            + "|---|---:|---:|---:|---:|---:|---:|"
        let counted = rows.filter { $0.figure == .instructions && $0.goalId == "P9" }
        let lines = counted.map { row in
            let measure = row.case.dropLast(" instructions".count)
            let timed = rows.first {
                $0.case == "\(measure) accounting" && $0.subject == row.subject && $0.ratio != nil
            }
            let interval = (timed?.ratioInterval ?? []).map { Text.number($0) }.joined(separator: "–")
            let cells = [
                "\(measure): \(row.subject.dropFirst("counting ".count))", Text.number(row.value ?? 0),
                Text.number(row.anchorValue ?? 0), Text.number(row.ratio ?? 0), timed?.ns.map(time) ?? "",
                timed?.anchorNs.map(time) ?? "", "\(timed?.ratio.map(Text.number) ?? "") [\(interval)]",
            ]
            return "| " + cells.joined(separator: " | ") + " |"
        }
        return ([head] + lines).joined(separator: "\n")
    }

    private static func instructions(_ rows: [Row]) -> String? {
        rows.first { $0.figure == .instructions && $0.goalId == nil }.map { row in
            "Instructions of a read in a loop, its payload folded: \(Text.number(row.value ?? 0)) for the "
                + "\(row.subject), "
                + "\(Text.number(row.anchorValue ?? 0)) for the \(row.anchor ?? "")."
        }
    }

    private static func misses(_ rows: [Row]) -> String {
        guard let row = rows.first(where: { $0.figure == .cacheMisses }) else {
            return "The processor's counters are out of reach on this machine, so cache misses were not counted."
        }
        return "Cache misses in a hundred operations: \(Text.number(row.value ?? 0)) side by side, "
            + "\(Text.number(row.anchorValue ?? 0)) on lines of their own."
    }

    /// All subjects of one measure: a line for each, a column for each number of threads and condition.
    private static func contests(_ measure: String, _ rows: [Row]) -> String? {
        let own = rows.filter {
            ($0.case == measure || $0.case.hasPrefix(measure + " ")) && $0.ns != nil
                && !$0.case.hasSuffix(" accounting")
        }
        guard !own.isEmpty else { return nil }
        var columns: [(case: String, threads: Int)] = []
        var subjects: [String] = []
        for row in own {
            if !columns.contains(where: { $0 == (row.case, row.threads) }) { columns.append((row.case, row.threads)) }
            if !subjects.contains(row.subject) { subjects.append(row.subject) }
        }
        let titles = columns.map { column in
            let condition = column.case.dropFirst(measure.count).trimmingCharacters(in: .whitespaces)
            return
                "\(condition.isEmpty ? "" : condition + ", ")\(column.threads) \(column.threads == 1 ? "thread" : "threads")"
        }
        var lines = ["| | " + titles.joined(separator: " | ") + " |", "|---|" + columns.map { _ in "---:|" }.joined()]
        func ns(_ subject: String, _ column: (case: String, threads: Int)) -> Double? {
            own.first { $0.subject == subject && $0.case == column.case && $0.threads == column.threads }?.ns
        }
        // Fastest first, by the first column.
        let order = subjects.sorted { (ns($0, columns[0]) ?? .infinity) < (ns($1, columns[0]) ?? .infinity) }
        for subject in order {
            lines.append(
                "| \(subject) | " + columns.map { ns(subject, $0).map(time) ?? "" }.joined(separator: " | ") + " |"
            )
        }
        return lines.joined(separator: "\n")
    }

    private static func growth(_ growth: [Growth]) -> String {
        var lines = ["| rung | the document's formula | off by | a better one | off by |", "|---|---|---:|---|---:|"]
        for rung in growth {
            let cells = [
                rung.rung, rung.documents.formula, Text.percent(rung.documents.error), rung.better.formula,
                Text.percent(rung.better.error),
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }
}

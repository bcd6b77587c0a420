public import AgentAPI

/// In what two generations differ, a line for each key: `+` it came, `-` it went, `~` it is another.
public enum DiffText {
    public static func render(_ report: DiffReport, style: TextStyle) -> String {
        guard !report.changes.isEmpty || report.total == nil else {
            return "generations \(report.from) and \(report.to) hold the same\n"
        }
        return changes(report.changes, total: report.total, style: style) + "\n"
    }

    /// The lines alone.
    static func changes(_ changes: [KeyChange], total: Int?, style: TextStyle) -> String {
        var lines = changes.map { change -> String in
            let key = Printable.clean(change.key)
            return switch (change.old, change.new) {
            case (let old?, let new?): style.paint("~ \(key): \(clean(old)) -> \(clean(new))", .doubtful)
            case (let old?, nil): style.paint("- \(key): \(clean(old))", .bad)
            case (nil, let new?): style.paint("+ \(key): \(clean(new))", .good)
            case (nil, nil): "? \(key)"
            }
        }
        if total != changes.count {
            lines.append("… the first \(changes.count) of \(total.map(String.init) ?? "many") changes")
        }
        return lines.joined(separator: "\n")
    }

    private static func clean(_ json: String) -> String { Printable.clean(json) }
}

public import AgentAPI

/// The page that `agentctl history` shows.
public enum HistoryText {
    public static func render(_ report: HistoryReport, now: WireTime, style: TextStyle) -> String {
        guard !report.generations.isEmpty else { return "no generation is kept yet\n" }
        var table = Table(headings: ["GENERATION", "PUBLISHED", "KEYS", "CAUSE", "BY", "REASON"])
        for info in report.generations {
            let isCurrent = report.generation == info.generation || info.starts.contains(report.generation)
            let marks = (isCurrent ? " *" : "") + (info.pinned ? " pinned" : "")
            table.add([
                .init(numbers(info) + marks, tone: isCurrent ? .good : nil),
                .init(Durations.ago(info.publishedAt, now: now)),
                .init(String(info.keys)),
                .init(cause(info)),
                .init(info.command.map { $0.user ?? "uid \($0.uid)" } ?? "-"),
                .init(info.command?.reason ?? "-"),
            ])
        }
        var lines = table.lines(style)
        if report.durableGeneration < report.generation {
            lines.append("generation \(report.generation) is not stored yet")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The first one and, where starts have made more of them, the last one.
    private static func numbers(_ info: GenerationInfo) -> String {
        switch info.starts.count {
        case 0: "\(info.generation)"
        case 1: "\(info.generation), \(info.last)"
        default: "\(info.generation) ... \(info.last)"
        }
    }

    /// What it was, with the revision where a source has caused it.
    private static func cause(_ info: GenerationInfo) -> String {
        let words = info.cause.split(separator: " ")
        guard words.first == "source", let name = words.last,
            let layer = info.layers.first(where: { $0.source == name })
        else { return info.cause }
        return "\(info.cause) \(layer.revision)"
    }
}

public import AgentAPI

/// The page that `agentctl history` shows.
public enum HistoryText {
    public static func render(_ report: HistoryReport, now: WireTime, style: TextStyle) -> String {
        guard !report.generations.isEmpty else { return "no generation is kept yet\n" }
        var table = Table(headings: ["GENERATION", "PUBLISHED", "KEYS", "CAUSE", "BY", "REASON"])
        for info in report.generations {
            let isCurrent = (info.generation...max(info.generation, info.last)).contains(report.generation)
            let marks = (isCurrent ? " *" : "") + (info.pinned ? " pinned" : "")
            let number = info.last > info.generation ? "\(info.generation)-\(info.last)" : "\(info.generation)"
            table.add([
                .init(number + marks, tone: isCurrent ? .good : nil),
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

    /// What it was, with the revision where a source has caused it.
    private static func cause(_ info: GenerationInfo) -> String {
        let words = info.cause.split(separator: " ")
        guard words.first == "source", let name = words.last,
            let layer = info.layers.first(where: { $0.source == name })
        else { return info.cause }
        return "\(info.cause) \(layer.revision)"
    }
}

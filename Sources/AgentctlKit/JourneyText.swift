public import AgentAPI

/// What `agentctl sources --explain NAME` shows: the way of a source's last change through the agent.
public enum JourneyText {
    /// - Parameter sources: all there are, to name those that were meant where there is no `name`.
    public static func render(_ name: String, _ sources: [SourceDetail], style: TextStyle) throws(Problem) -> String {
        guard let source = sources.first(where: { $0.name == name }) else {
            let names = sources.map(\.name).joined(separator: ", ")
            throw Problem(
                "there is no source '\(Printable.clean(name))'",
                remedy: "the sources are \(names)",
                exit: .failure
            )
        }
        let title = style.paint(Printable.clean(source.name), .heading)
        guard let trace = source.status.trace else {
            return "\(title): nothing has come from it since the agent has started\n"
        }
        var steps: [(name: String, what: String, time: UInt64?)] = [
            ("received", "from the request to the last byte", trace.requestedToReceivedMicroseconds),
            ("verified", "its bytes are those that were meant", trace.receivedToVerifiedMicroseconds),
            ("decoded", "its content is understood", trace.verifiedToDecodedMicroseconds),
            ("published", "readers see it", trace.decodedToPublishedMicroseconds),
            ("taken up", "by the last of the workers", trace.publishedToWorkersMicroseconds),
        ]
        if let time = trace.receivedToCheckedMicroseconds {
            steps.insert(("checked", "its command has answered", time), at: 1)
        }
        let times = steps.map { $0.time.map { "+\(Durations.microseconds($0))" } ?? "-" }
        let width = times.map(\.count).max() ?? 0
        var lines = ["\(title): the way of its last change"]
        for (step, time) in zip(steps, times) {
            let name = step.name + String(repeating: " ", count: 11 - step.name.count)
            lines.append("  \(name)\(String(repeating: " ", count: width - time.count))\(time)  \(step.what)")
        }
        let total = steps.compactMap(\.time).reduce(0, +)
        let last = String(repeating: " ", count: max(0, width - Durations.microseconds(total).count))
        lines.append("  in all     \(last)\(Durations.microseconds(total))")
        lines.append("  journalctl -u agent AGENT_TRACE=\(trace.id)")
        return lines.joined(separator: "\n") + "\n"
    }
}

public import AgentAPI

/// The page that `agentctl quarantine` shows, and what `agentctl accept` says.
public enum QuarantineText {
    public static func render(_ report: QuarantineReport, now: WireTime, style: TextStyle) -> String {
        guard !report.documents.isEmpty else { return "no document was refused by rules\n" }
        return report.documents.map { lines($0, now: now, style: style).joined(separator: "\n") + "\n" }
            .joined(separator: "\n")
    }

    public static func render(_ report: AcceptReport) -> String {
        let document = report.document
        var lines = ["accepted: \(document.digest.prefix(12)) of source \(document.source)"]
        if !report.durable { lines.append("not stored yet: a restart now would forget it; see agentctl status") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func lines(_ document: QuarantinedDocument, now: WireTime, style: TextStyle) -> [String] {
        let times = document.times == 1 ? "once" : "\(document.times) times"
        let seen =
            document.times == 0 ? "before this start" : "\(times), last \(Durations.ago(document.last, now: now))"
        var lines = [
            "\(style.paint(String(document.digest.prefix(12)), .heading))  source \(document.source), refused \(seen)"
        ]
        lines += document.reasons.map { "  " + Printable.clean($0) }
        if document.count > document.reasons.count {
            lines.append("  and \(document.count - document.reasons.count) more")
        }
        if let command = document.accepted {
            let reason = command.reason.map { ": \(Printable.clean($0))" } ?? ""
            let who = Printable.clean(command.user ?? "uid \(command.uid)")
            lines.append("  accepted all the same by \(who) at \(command.at.forPeople)\(reason)")
        } else {
            lines.append("  to take it as it is: agentctl accept \(document.digest.prefix(12)) --reason TEXT")
        }
        return lines
    }
}

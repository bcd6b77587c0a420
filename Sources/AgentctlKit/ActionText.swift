public import AgentAPI

/// What became of a command.
public enum ActionText {
    public static func render(_ report: ActionReport) -> String {
        var lines = ["\(report.action) done: generation \(report.generation)"]
        lines += OperatorText.lines(report.operatorStatus)
        if !report.durable {
            lines.append("not stored yet: a restart now would forget it; see agentctl status")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

/// What is in force of what was commanded.
enum OperatorText {
    static func lines(_ status: OperatorStatus) -> [String] {
        var lines: [String] = []
        if let pin = status.pin {
            lines.append("generation \(pin.generation) is pinned \(who(pin.command)); agentctl unpin lets go of it")
        }
        if let freeze = status.freeze {
            lines.append("the sources are frozen \(who(freeze)); agentctl thaw has them asked again")
        }
        return lines
    }

    private static func who(_ command: CommandInfo) -> String {
        let reason = command.reason.map { ": \(Printable.clean($0))" } ?? ""
        return "by \(Printable.clean(command.user ?? "uid \(command.uid)")) at \(command.at.forPeople)\(reason)"
    }
}

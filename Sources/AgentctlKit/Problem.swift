public import AgentAPI

/// Something that kept agentctl from doing what it was asked to: what, where and why, and what to do about it.
public struct Problem: Error, Sendable, Hashable {
    /// What happened, where and why.
    public let message: String
    /// What to do about it.
    public let remedy: String?
    /// Each thing that is wrong, where there are several: a line of its own.
    public let details: [String]
    /// What to exit with.
    public let exit: ExitStatus
    /// How an agent that lives has not answered; `nil` for everything else.
    public enum Silence: Sendable, Hashable {
        /// Its socket is not there, or is nobody's.
        case unreachable
        /// Whoever answers at the socket may be stuck: another one may still be answered at.
        case stuck
        /// It has hung up, as one does that ends.
        case hungUp
    }

    /// How it has kept silent.
    public let silence: Silence?

    /// A problem in words that begin in lower case and end without a full stop.
    public init(
        _ message: String,
        remedy: String? = nil,
        details: [String] = [],
        exit: ExitStatus,
        silence: Silence? = nil
    ) {
        self.silence = silence
        self.details = details
        self.message = message
        self.remedy = remedy
        self.exit = exit
    }

    /// What the agent says to a request that it does not answer as asked.
    public init(_ report: ErrorReport, exit: ExitStatus) {
        var remedies: [String] = []
        if let nearest = report.error.nearest, !nearest.isEmpty {
            remedies.append("did you mean \(nearest.joined(separator: " or "))?")
        }
        if let hint = report.error.hint { remedies.append(hint) }
        self.init(
            report.error.message,
            remedy: remedies.isEmpty ? nil : remedies.joined(separator: " "),
            details: report.error.details ?? [],
            exit: exit
        )
    }

    /// The line for standard error; and one more for each detail.
    public var text: String {
        let parts = [message, remedy].compactMap(\.self).map { Printable.clean($0) }
        let lines = ["agentctl: " + parts.joined(separator: "; ")] + details.map { "    " + Printable.clean($0) }
        return lines.joined(separator: "\n")
    }
}

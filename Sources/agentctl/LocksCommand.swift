internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct LocksCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "locks",
        abstract: "Show which of the agent's locks are waited for, worst first.",
        discussion: """
            A lock that threads wait for now comes first, in bold, with where they wait and where it is held. Below \
            each lock that was waited for: how long the waits took, from the shortest to the longest with one mark for \
            each doubling, the higher the more; where the longest wait was; where it was held longest.

            With --watch the totals are shown first and then, each interval, what has changed: time waited and counts \
            for each second. A longest wait that is new has a mark of exclamation. On a terminal one page is drawn \
            again and again until Ctrl-C; elsewhere each table has its time above it and an empty line before it. With \
            --output json each line is an answer of the agent. When the agent restarts, the watch says so and goes on.

            When the agent's workers do not answer within 2s, the figures come from its locks.sock, which needs none \
            of them, and a line says so.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Show how long the waits took, as bars.")
    var histogram = false

    @Option(
        defaultAsFlag: Interval.second,
        parsing: .next,
        help: ArgumentHelp("Show it again and again, with what changes: each second, or each TIME.", valueName: "time")
    )
    var watch: Interval?

    @Option(help: ArgumentHelp("With --watch: end after this many tables.", valueName: "n"))
    var count: Int?

    func validate() throws {
        if histogram, watch != nil { throw ValidationError("--histogram and --watch do not go together.") }
        if count != nil, watch == nil { throw ValidationError("--count goes with --watch.") }
        if let count, count < 1 { throw ValidationError("--count has to be at least 1.") }
        guard let watch else { return }
        // The parser drops an empty value, and takes the option for one without.
        if CommandLine.arguments.contains("--watch=") {
            throw ValidationError("--watch= takes a time such as 500ms, 2s or 1m; without one, write --watch.")
        }
        guard let milliseconds = watch.milliseconds else {
            throw ValidationError("--watch takes a time such as 500ms, 2s or 1m, not '\(watch)'.")
        }
        if milliseconds < 100 { throw ValidationError("--watch has to be at least 100ms.") }
    }

    /// A time, or what was written instead of one: an option that may stand without a value takes a value that cannot
    /// be read for none.
    struct Interval: ExpressibleByArgument, CustomStringConvertible {
        let description: String
        /// `nil` when it is no time.
        var milliseconds: Int? { Durations.parseMilliseconds(description) }

        static let second = Interval(argument: "1s")

        init(argument: String) { description = argument }
    }

    func perform() throws -> ExitStatus {
        var question = LocksQuestion(AgentConnection(options))
        if let milliseconds = watch?.milliseconds {
            var loop = LocksWatch(
                question,
                output: options.output,
                intervalMilliseconds: milliseconds,
                count: count
            )
            try loop.run()
            return .success
        }
        let answer = try question.ask()
        // Beside the output, which is the same as ever.
        if let note = question.note { Terminal.note("agentctl: \(note)") }
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text:
            try Terminal.print(LocksText.render(answer.report, histograms: histogram, style: Terminal.style))
        }
        return .success
    }
}

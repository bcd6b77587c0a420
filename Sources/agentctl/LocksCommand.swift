internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct LocksCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "locks",
        abstract: "Show which of the agent's locks are waited for, worst first."
    )

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Show how long the waits took, as bars.")
    var histogram = false

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(LocksReport.self, .status, path: Routes.locks)
        switch options.output {
        case .json: try Terminal.print(answer.body + [UInt8(ascii: "\n")])
        case .text:
            try Terminal.print(LocksText.render(answer.report, histograms: histogram, style: Terminal.style))
        }
        return .success
    }
}

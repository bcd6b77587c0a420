internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct QuarantineCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine",
        abstract: "List the documents that rules have refused, and why.",
        discussion: """
            The one refused last comes first. Values are not shown. What is in use stays in use until its source gives a \
            document that fulfils the rules, or agentctl accept takes one that does not.
            """
    )

    @OptionGroup var options: GlobalOptions

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(QuarantineReport.self, .status, path: Routes.quarantine)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(QuarantineText.render(answer.report, now: .now, style: Terminal.style))
        }
        return .success
    }
}

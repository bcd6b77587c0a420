internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct SourcesCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "sources",
        abstract: "Show all that is known of each source."
    )

    @OptionGroup var options: GlobalOptions

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(SourcesReport.self, .status, path: Routes.sources)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(SourcesText.render(answer.report, now: .now, style: Terminal.style))
        }
        return .success
    }
}

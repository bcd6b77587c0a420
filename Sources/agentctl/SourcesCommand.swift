internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct SourcesCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "sources",
        abstract: "Show all that is known of each source."
    )

    @OptionGroup var options: GlobalOptions

    @Option(help: ArgumentHelp("Show the way of this source's last change, stage by stage.", valueName: "name"))
    var explain: String?

    func validate() throws {
        if explain != nil, options.output == .json {
            throw ValidationError("--explain does not go with --output json: the times stand in 'trace' there.")
        }
    }

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(SourcesReport.self, .status, path: Routes.sources)
        if let explain {
            let sources = answer.report.sources
            try Terminal.print(try JourneyText.render(explain, sources, style: Terminal.style))
            return .success
        }
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(SourcesText.render(answer.report, now: .now, style: Terminal.style))
        }
        return .success
    }
}

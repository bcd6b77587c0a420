internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct RefreshCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "refresh",
        abstract: "Ask the sources now, and wait for the outcome.",
        discussion: "Exits with 1 when any of them failed."
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "Only this source.")
    var source: String?

    func perform() throws -> ExitStatus {
        let query = source.map { "?source=\(LocalClient.percentEncoded($0))" } ?? ""
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let answer = try connection.report(RefreshReport.self, .control, .post, path: Routes.refresh + query)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(RefreshText.render(answer.report, style: Terminal.style))
        }
        return RefreshText.exitStatus(answer.report)
    }
}

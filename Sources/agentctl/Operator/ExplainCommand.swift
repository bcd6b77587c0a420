internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct ExplainCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why a key has its value.",
        discussion: """
            Which source gives it, in which revision and layer; since when, and what it was before, as far as generations \
            are kept; and what it would be without that layer.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The dotted key of a value or of an object.")
    var key: String

    func perform() throws -> ExitStatus {
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let path = "\(Routes.explain)/\(LocalClient.percentEncoded(key))"
        let answer = try connection.report(ExplainReport.self, .config, path: path)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(ExplainText.render(answer.report, now: .now))
        }
        return .success
    }
}

internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct DiffCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show in what two generations differ, key by key.",
        discussion: """
            With one generation, in what the newest differs from it; with none, from the one before. Exits with 0 whether \
            they differ or not.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The generation to begin from.")
    var from: UInt64?

    @Argument(help: "The generation to end with.")
    var to: UInt64?

    func perform() throws -> ExitStatus {
        let query = [from.map { "from=\($0)" }, to.map { "to=\($0)" }].compactMap(\.self).joined(separator: "&")
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let path = Routes.diff + (query.isEmpty ? "" : "?\(query)")
        let answer = try connection.report(DiffReport.self, .config, path: path)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(DiffText.render(answer.report, style: Terminal.style))
        }
        return .success
    }
}

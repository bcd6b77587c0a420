internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct HistoryCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List the generations that can be gone back to.",
        discussion: "Newest first; the one in use has a star. What has made each of them, and who, and why."
    )

    @OptionGroup var options: GlobalOptions

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(HistoryReport.self, .status, path: Routes.history)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(HistoryText.render(answer.report, now: .now, style: Terminal.style))
        }
        return .success
    }
}

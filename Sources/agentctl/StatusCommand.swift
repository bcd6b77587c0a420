internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct StatusCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the agent and its sources are doing.",
        discussion: "Exits with 0: healthy, 1: degraded, 3: not running, 4: unknown or no permission."
    )

    @OptionGroup var options: GlobalOptions

    func perform() throws -> ExitStatus {
        let answer = try AgentConnection(options).report(StatusReport.self, .status, path: Routes.status)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(StatusText.render(answer.report, now: .now, style: Terminal.style))
        }
        return ExitStatus(answer.report.health.level)
    }
}

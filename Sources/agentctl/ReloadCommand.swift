internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct ReloadCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the agent read its own configuration anew.",
        discussion: """
            With --wait it exits with 0 once the new configuration was taken over, and with 1 and the reasons when it \
            is refused; the old one then goes on. New sources may not have answered yet: those are named.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Wait for the outcome, and tell it.")
    var wait = false

    func perform() throws -> ExitStatus {
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        guard wait else {
            _ = try connection.request(.control, .post, path: Routes.reload + "?wait=false")
            try Terminal.print("asked; what came of it is in journalctl -u agent, or use --wait\n")
            return .success
        }
        let answer = try connection.report(ReloadReport.self, .control, .post, path: Routes.reload)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(ReloadText.render(answer.report))
        }
        return .success
    }
}

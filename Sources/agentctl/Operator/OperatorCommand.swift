internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

/// What the commands have in common that keep or change what is in use.
protocol OperatorCommand: AgentCommand {
    var options: GlobalOptions { get }
    var why: ReasonOption { get }
    /// Where it is asked for, with its query but for the reason.
    var path: String { get }
}

struct ReasonOption: ParsableArguments {
    @Option(help: ArgumentHelp("Why, for whoever looks at it at three in the morning.", valueName: "text"))
    var reason: String?
}

extension OperatorCommand {
    func perform() throws -> ExitStatus {
        var path = path
        if let reason = why.reason {
            path += (path.contains("?") ? "&" : "?") + "reason=\(LocalClient.percentEncoded(reason))"
        }
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let answer = try connection.report(ActionReport.self, .control, .post, path: path)
        switch options.output {
        case .json: try Terminal.print(json: answer.body)
        case .text: try Terminal.print(ActionText.render(answer.report))
        }
        return .success
    }
}

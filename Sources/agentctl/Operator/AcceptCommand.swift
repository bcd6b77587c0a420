internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct AcceptCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept",
        abstract: "Take a document that rules refuse.",
        discussion: """
            It is named by its digest, and taken from its source, which is asked at once; signature and version are asked \
            for all the same. Holds for this one document, across restarts. Exits with 1 when the source failed.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    @Option(help: ArgumentHelp("Of which source, where several have refused it.", valueName: "name"))
    var source: String?

    @Argument(help: "The first digits of its digest, as agentctl quarantine shows them.")
    var digest: String

    func perform() throws -> ExitStatus {
        var path = "\(Routes.accept)?digest=\(LocalClient.percentEncoded(digest))"
        if let source { path += "&source=\(LocalClient.percentEncoded(source))" }
        if let reason = why.reason { path += "&reason=\(LocalClient.percentEncoded(reason))" }
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let accepted = try connection.report(AcceptReport.self, .control, .post, path: path)
        switch options.output {
        case .json: try Terminal.print(json: accepted.body)
        case .text: try Terminal.print(QuarantineText.render(accepted.report))
        }
        // From whom it is taken.
        let name = LocalClient.percentEncoded(accepted.report.document.source)
        let asked = try connection.report(RefreshReport.self, .control, .post, path: "\(Routes.refresh)?source=\(name)")
        if options.output == .text { try Terminal.print(RefreshText.render(asked.report, style: Terminal.style)) }
        return RefreshText.exitStatus(asked.report)
    }
}

internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct ShowCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print what a generation held, as JSON."
    )

    @OptionGroup var options: GlobalOptions

    @Argument(help: "The generation: agentctl history lists them.")
    var generation: UInt64

    @Argument(help: "The dotted key of a value or of an object; without it, all of the configuration.")
    var key: String?

    func validate() throws {
        if key?.isEmpty == true { throw ValidationError("The key is empty; leave it out for all there is.") }
    }

    func perform() throws -> ExitStatus {
        let below = key.map { "/\(LocalClient.percentEncoded($0))" } ?? ""
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: 60_000)
        let response = try connection.request(.config, path: "\(Routes.generations)/\(generation)\(below)")
        try Terminal.print(json: response.body)
        return .success
    }
}

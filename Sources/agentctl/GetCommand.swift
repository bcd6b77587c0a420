internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl

struct GetCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Print a value as JSON.",
        discussion: "A name that holds a dot itself is quoted: 'hosts.\"a.example\".port'."
    )

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Print a string without its quotes.")
    var raw = false

    @Argument(help: "The dotted key of a value or of an object; without it, the whole configuration.")
    var key: String?

    func validate() throws {
        if raw, options.output == .json { throw ValidationError("--raw does not go with --output json.") }
    }

    func perform() throws -> ExitStatus {
        let key = key ?? ""
        let path = key.isEmpty ? Routes.config : "\(Routes.config)/\(LocalClient.percentEncoded(key))"
        let response = try AgentConnection(options).request(.config, path: path)
        let value = ConfigValue(
            key: key,
            json: response.body,
            generation: response.header(ConfigHeaders.generation).flatMap { UInt64($0) },
            source: response.header(ConfigHeaders.source),
            revision: response.header(ConfigHeaders.revision)
        )
        let bytes =
            switch options.output {
            case .json: try value.envelope()
            case .text: raw ? value.unquoted() : value.json
            }
        try Terminal.print(bytes + [UInt8(ascii: "\n")])
        return .success
    }
}

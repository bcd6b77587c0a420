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

    @Option(
        help: ArgumentHelp(
            "Read the document of this source, which is loaded on demand, and not the configuration.",
            valueName: "name"
        )
    )
    var source: String?

    @Option(
        help: ArgumentHelp("Wait at most so long for the document to be loaded (default: 10).", valueName: "seconds")
    )
    var wait: Int?

    @Option(
        help: ArgumentHelp("Ask as a member of this group, which alone reads the document.", valueName: "name")
    )
    var group: String?

    @Argument(help: "The dotted key of a value or of an object; without it, all of the configuration or document.")
    var key: String?

    func validate() throws {
        if raw, options.output == .json { throw ValidationError("--raw does not go with --output json.") }
        if key?.isEmpty == true { throw ValidationError("The key is empty; leave it out for all there is.") }
        if group != nil, source == nil { throw ValidationError("--group goes with --source only.") }
        if wait != nil, source == nil { throw ValidationError("--wait goes with --source only.") }
        let range = Routes.documentWait.range
        if let wait, !range.contains(wait) {
            throw ValidationError("--wait takes \(range.lowerBound) to \(range.upperBound) seconds.")
        }
    }

    private var path: String {
        let root = source.map { "\(Routes.documents)/\(LocalClient.percentEncoded($0))" } ?? Routes.config
        let below = key.map { "/\(LocalClient.percentEncoded($0))" } ?? ""
        return root + below + (wait.map { "?wait=\($0)" } ?? "")
    }

    func perform() throws -> ExitStatus {
        let key = key ?? ""
        // A little longer than the agent waits, so that it says why.
        let limit = source == nil ? 10_000 : ((wait ?? Routes.documentWait.usual) + 5) * 1_000
        let connection = AgentConnection(options, defaultTimeoutMilliseconds: limit)
        let response = try connection.request(group.map { .configOf($0) } ?? .config, path: path)
        let value = ConfigValue(
            key: key,
            json: response.body,
            generation: response.header(ConfigHeaders.generation).flatMap { UInt64($0) },
            source: response.header(ConfigHeaders.source),
            revision: response.header(ConfigHeaders.revision),
            state: response.header(ConfigHeaders.state)
        )
        let bytes =
            switch options.output {
            case .json: try value.envelope()
            case .text: raw ? value.unquoted() : value.json
            }
        try Terminal.print(bytes + [UInt8(ascii: "\n")])
        // Beside the output, which is the value and nothing else.
        if options.output == .text, let source, value.state == "last_good" {
            Terminal.note(
                "agentctl: this is the stored copy: source \(source) fails, or has not confirmed it yet; "
                    + "see agentctl sources --explain \(source)"
            )
        }
        return .success
    }
}

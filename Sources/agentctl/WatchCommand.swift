internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Curl
internal import Glibc

struct WatchCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Print a value, and print it again each time it changes.",
        discussion: """
            With a key, each line is the value there (null where there is none). Without one, each line says which \
            keys were set or removed, beginning with all there are. With --output json each line is an event as the \
            agent sends it. When the agent restarts, the watch goes on where it was.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Option(help: ArgumentHelp("Watch all keys at or below this one.", valueName: "key"))
    var prefix: String?

    @Option(help: ArgumentHelp("End after this many events.", valueName: "n"))
    var count: Int?

    @Argument(help: "The dotted key of a value or of an object.")
    var key: String?

    func validate() throws {
        if key != nil, prefix != nil { throw ValidationError("KEY and --prefix do not go together.") }
        if key?.isEmpty == true { throw ValidationError("The key is empty; leave it out for all there is.") }
        if let count, count < 1 { throw ValidationError("--count has to be at least 1.") }
    }

    /// How long an agent may be away before a watch ends.
    private static let patienceSeconds = 30

    func perform() throws -> ExitStatus {
        let connection = AgentConnection(options)
        try noteIfNothing(connection)
        var stream = EventStream()
        var left = count ?? .max
        var failure: (any Error)?
        var lastSeen: time_t?
        while true {
            do throws(Problem) {
                // What was cut off in the middle comes again.
                stream = EventStream(after: stream.lastID)
                try connection.stream(.config, path: path, lastID: stream.lastID) { bytes in
                    lastSeen = time(nil)
                    for event in stream.take(bytes) where left > 0 {
                        do { try show(event) } catch {
                            failure = error
                            return false
                        }
                        left -= 1
                    }
                    return left > 0
                }
            } catch {
                // An agent that was there may be on its way back.
                let isAway = error.exit == .notRunning || error.exit == .unknown
                guard isAway, let lastSeen, time(nil) - lastSeen < Self.patienceSeconds else { throw error }
            }
            if let failure { throw failure }
            if left == 0 { return .success }
            usleep(500_000)
        }
    }

    /// Without a configuration nothing is shown until the first is there.
    private func noteIfNothing(_ connection: AgentConnection) throws(Problem) {
        do throws(Problem) {
            let status = try connection.report(StatusReport.self, .status, path: Routes.status).report
            guard status.generation == 0 else { return }
            Terminal.note("agentctl: there is no configuration yet; the watch begins with the first")
        } catch {
            // Who does not answer here does not answer there; whatever else is wrong here is told there, or is no harm.
            if error.silence == .stuck || error.exit == .notRunning { throw error }
        }
    }

    private var path: String {
        if let prefix { return "\(Routes.watch)?prefix=\(LocalClient.percentEncoded(prefix))" }
        if let key, !key.isEmpty { return "\(Routes.watch)/\(LocalClient.percentEncoded(key))" }
        return Routes.watch
    }

    private func show(_ event: ServerEvent) throws {
        switch options.output {
        case .json: try Terminal.print(event.data + "\n")
        case .text:
            let isValue = key?.isEmpty == false
            try Terminal.print(isValue ? try WatchText.value(event) : try WatchText.changes(event))
        }
    }
}

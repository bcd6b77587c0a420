internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct WaitCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a generation is in use, or all is confirmed.",
        discussion: """
            With --generation until that one or a newer one is in use; with --fresh until each source has confirmed what \
            is in use, from now on. Exits with 1 when that has not come within --timeout (default: 30s). It does not ask \
            the sources: agentctl refresh does.
            """
    )

    @OptionGroup var options: GlobalOptions

    @Option(help: ArgumentHelp("The generation to wait for.", valueName: "number"))
    var generation: UInt64?

    @Flag(help: "Wait for each source's word that what is in use is the newest.")
    var fresh = false

    func validate() throws {
        guard (generation == nil) == fresh else { throw ValidationError("give --generation NUMBER or --fresh") }
    }

    func perform() throws -> ExitStatus {
        let wanted = generation.map { "generation=\($0)" } ?? "fresh=true"
        let milliseconds = options.timeout?.milliseconds ?? Routes.waitTimeout.usual * 1_000
        let range = Routes.waitTimeout.range
        let seconds = min(max((milliseconds + 999) / 1_000, range.lowerBound), range.upperBound)
        // A little longer than the agent waits, so that it says why.
        let connection = AgentConnection(options).limited(to: seconds * 1_000 + 5_000)
        let path = "\(Routes.wait)?\(wanted)&timeout=\(seconds)"
        let answer = try connection.report(HealthReport.self, .status, path: path)
        if options.output == .json { try Terminal.print(json: answer.body) }
        return .success
    }
}

internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser
internal import Glibc

struct WaitCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until a generation is in use, or all is confirmed.",
        discussion: """
            With --generation until that one or a newer one is in use; with --fresh until each source has confirmed what \
            is in use, from now on. Exits with 1 when that has not come within --timeout. An agent that is restarted \
            meanwhile is waited for. It does not ask the sources: agentctl refresh does.
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
        let answer = try ask(for: wanted, within: seconds)
        if options.output == .json { try Terminal.print(json: answer) }
        return .success
    }

    private func ask(for wanted: String, within seconds: Int) throws(Problem) -> [UInt8] {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var wasThere = false
        var left = seconds
        while true {
            do throws(Problem) {
                // A little longer than the agent waits, so that it says why.
                let connection = AgentConnection(options).limited(to: left * 1_000 + 5_000)
                let path = "\(Routes.wait)?\(wanted)&timeout=\(left)"
                return try connection.report(HealthReport.self, .status, path: path).body
            } catch {
                // One that hangs up ends, and may be on its way back.
                wasThere = wasThere || error.silence == .hungUp
                let isAway = error.exit == .notRunning || error.exit == .unknown
                guard wasThere, isAway, .now < deadline else { throw error }
            }
            usleep(200_000)
            left = max(Routes.waitTimeout.range.lowerBound, Int((deadline - .now).components.seconds) + 1)
        }
    }
}

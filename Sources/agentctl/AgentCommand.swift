internal import AgentctlKit
internal import ArgumentParser

/// What the commands have in common: they do their work, or say on standard error what is in the way.
protocol AgentCommand: ParsableCommand {
    /// - Returns: what to exit with once all is written.
    func perform() throws -> ExitStatus
}

extension AgentCommand {
    func run() throws {
        let status: ExitStatus
        do {
            status = try perform()
        } catch let problem as Problem {
            throw Terminal.exitCode(for: problem)
        }
        if status != .success { throw ExitCode(status.rawValue) }
    }
}

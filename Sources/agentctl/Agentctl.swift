internal import AgentAPI
internal import ArgumentParser

/// The operator's command line.
@main
struct Agentctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agentctl",
        abstract: "Asks and directs the configuration agent of this host.",
        discussion: """
            Exits with 0 when all is well, 1 when the agent is degraded or a command failed, 3 when the agent is not \
            running, 4 when nothing can be said, and 64 when called wrongly. It never starts the agent.
            """,
        version: "agentctl \(Version.text)",
        subcommands: [
            StatusCommand.self, GetCommand.self, WatchCommand.self, RefreshCommand.self, ReloadCommand.self,
            LocksCommand.self, SourcesCommand.self, DoctorCommand.self, SupportBundleCommand.self,
            HistoryCommand.self, ShowCommand.self, DiffCommand.self, ExplainCommand.self, WaitCommand.self,
            RollbackCommand.self, PinCommand.self, UnpinCommand.self, FreezeCommand.self, ThawCommand.self,
            QuarantineCommand.self, AcceptCommand.self, CheckCommand.self,
            KeygenCommand.self, SignCommand.self, VerifyCommand.self, TrustCommand.self,
        ]
    )

    // So that they may also stand before the name of the command, which gets them all the same.
    @OptionGroup var options: GlobalOptions
}

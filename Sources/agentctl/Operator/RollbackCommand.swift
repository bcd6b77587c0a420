internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct RollbackCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Go back to a generation that is kept, and stay there.",
        discussion: """
            What it held is published as a new generation and pinned, so that the sources do not replace it at once; \
            agentctl unpin lets them again. A document whose key is revoked is not gone back to.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    @Argument(help: "The generation: agentctl history lists them.")
    var generation: UInt64

    var path: String { Routes.rollback + "?generation=\(generation)" }
}

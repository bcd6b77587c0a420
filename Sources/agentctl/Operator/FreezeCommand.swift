internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct FreezeCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "freeze",
        abstract: "Ask no source, until thaw.",
        discussion: """
            What is in use stays in use, and the network is left alone. Survives restarts and reloads.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    var path: String { Routes.freeze }
}

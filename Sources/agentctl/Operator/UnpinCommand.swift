internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct UnpinCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin",
        abstract: "Let the sources say again what is in use.",
        discussion: """
            What has come meanwhile is in use at once.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    var path: String { Routes.unpin }
}

internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct PinCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Keep what is in use, whatever the sources say.",
        discussion: """
            The sources are asked and checked all the same, and what they give is kept ready; agentctl unpin brings it \
            into use. Survives restarts and reloads.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    var path: String { Routes.pin }
}

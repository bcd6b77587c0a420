internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

struct ThawCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "thaw",
        abstract: "Have the sources asked again after freeze.",
        discussion: """
            Each is asked at once.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var why: ReasonOption

    var path: String { Routes.thaw }
}

internal import ArgumentParser
internal import CSandbox
internal import Glibc

/// Runs the commands that check documents, apart from the agent: one process for each check, as systemd starts it for each
/// connection to `check.sock`, or as this program does where there is no systemd (`--listen`).
@main
struct AgentCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent-check",
        abstract: "Has one document checked by one command in a sandbox, as the connection on standard input asks.",
        discussion: "Started by systemd or by agentd, and of no use otherwise."
    )

    @Option(
        name: .long,
        help: ArgumentHelp("Listen at a socket, and start one of its kind for each connection.", valueName: "path")
    )
    var listen: String?

    @Flag(name: .long, help: "Make the sandbox, instead of relying on a unit's.")
    var isolate = false

    @Option(
        name: .long,
        help: ArgumentHelp("A directory that commands must not see; may be repeated.", valueName: "dir")
    )
    var hide: [String] = []

    mutating func run() throws {
        // A command of the same user's may try.
        cs_keep_private()
        if let listen {
            cs_end_with_parent()
            try Listener(path: listen, arguments: ["--isolate"] + hide.flatMap { ["--hide", $0] }).run()
        } else {
            // systemd's end is its unit's business.
            if isolate { cs_end_with_parent() }
            Conversation(hidden: isolate ? hide : nil).hold()
        }
    }
}

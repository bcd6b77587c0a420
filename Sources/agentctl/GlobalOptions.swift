internal import AgentAPI
internal import AgentctlKit
internal import ArgumentParser

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .long], help: "The form of the answer: text or json.")
    var output = OutputForm.text

    @Option(
        help: ArgumentHelp(
            "The directory of the agent's sockets (default: $AGENT_RUNTIME_DIR, else /run/agent).",
            valueName: "dir"
        )
    )
    var runtimeDir: String?

    @Option(
        help: ArgumentHelp(
            "How long to wait for the answer: 45, 45s, 500ms, 1m (default: 10s; for refresh: 60s; for wait: 30s).",
            valueName: "time"
        )
    )
    var timeout: TimeLimit?

    var paths: AgentPaths {
        let fallback = Terminal.environment("AGENT_RUNTIME_DIR") ?? AgentPaths.defaultRuntimeDirectory
        return AgentPaths(runtimeDirectory: runtimeDir ?? fallback)
    }
}

enum OutputForm: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
}

struct TimeLimit: ExpressibleByArgument {
    let milliseconds: Int

    init?(argument: String) {
        guard let milliseconds = Durations.parseMilliseconds(argument) else { return nil }
        self.milliseconds = milliseconds
    }
}

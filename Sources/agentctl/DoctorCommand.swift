internal import AgentAPI
internal import AgentDoctor
internal import AgentctlKit
internal import ArgumentParser

/// What both commands that look from outside take beside the rest.
struct ConfigurationOption: ParsableArguments {
    @Option(
        help: ArgumentHelp("The agent's configuration: a file, or a directory of *.yaml files.", valueName: "file|dir")
    )
    var config = "/etc/agent"

    func doctor(_ options: GlobalOptions) -> Doctor.Options {
        Doctor.Options(
            configuration: config,
            runtimeDirectory: options.runtimeDir ?? Terminal.environment("AGENT_RUNTIME_DIR"),
            timeoutMilliseconds: options.timeout?.milliseconds ?? 10_000
        )
    }
}

struct DoctorCommand: AgentCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check everything the agent needs, and say what to do.",
        discussion: """
            Looks at the configuration, directories, certificates, sockets, sources, the clock, the journal and the \
            units, whether the agent runs or not. Each source is asked once. Run it as root to have everything looked \
            at. Exits with 0 when no check failed (there may be warnings), else with 1.
            """
    )

    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: ConfigurationOption

    func perform() throws -> ExitStatus {
        let report = Doctor.examine(place.doctor(options))
        switch options.output {
        case .json: try Terminal.print(json: WireJSON.encode(report))
        case .text: try Terminal.print(DoctorText.render(report, style: Terminal.style))
        }
        return DoctorText.exitStatus(report)
    }
}

internal import AgentAPI
internal import AgentConfiguration
internal import AgentPlanning
internal import AgentTelemetry
internal import ArgumentParser
internal import Glibc

/// The command line of agentd.
@main
struct Agentd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agentd",
        abstract: "Keeps local services' configuration in step with remote sources.",
        discussion: """
            Without --once or --check-config it runs until SIGTERM or SIGINT. SIGHUP makes it read its configuration \
            anew; one that is refused changes nothing.

            Exit status: 0 done; 1 failed; 2 something changed (--once); 64 wrong command line; 78 the \
            configuration is refused.
            """,
        version: "agentd \(Version.text)"
    )

    @Option(
        name: .long,
        help: ArgumentHelp("The agent's configuration: a file, or a directory of *.yaml files.", valueName: "file|dir")
    )
    var config = "/etc/agent"

    @Flag(name: .long, help: "Check the configuration and exit.")
    var checkConfig = false

    @Flag(
        name: .long,
        help:
            "With --check-config: ask every source, and tell what would become of what it says, without publishing it."
    )
    var `try` = false

    @Flag(name: .long, help: "Ask every source once, keep what came, and exit: 0 unchanged, 2 changed, 1 failed.")
    var once = false

    @Option(
        name: .long,
        help: ArgumentHelp("error, warning, notice, info or debug.", valueName: "level"),
        transform: { name in
            guard let level = LogLevel(name: name) else {
                let known = LogLevel.allCases.map(\.name).joined(separator: ", ")
                throw ValidationError("'\(name)' is not a level; the levels are \(known)")
            }
            return level
        }
    )
    var logLevel: LogLevel = .info

    func validate() throws {
        if self.try, !checkConfig { throw ValidationError("--try belongs to --check-config") }
    }

    mutating func run() throws {
        Process.prepare()
        let configuration: AgentConfiguration
        do throws(ConfigurationErrors) {
            // Whoever only checks need not be the service that the credentials are handed to.
            configuration = try AgentConfiguration.load(
                path: config,
                credentials: checkConfig ? .forChecking : .ofService
            )
        } catch {
            ConfigurationRefusal.tell(error)
            throw ExitCode(EX_CONFIG)
        }
        if checkConfig {
            print("\(config) is valid: \(configuration.sources.count) sources, \(configuration.workers) workers")
            for problem in configuration.unknownReaders { Process.complain("warning: \(problem)") }
            for problem in configuration.doubtfulChecks { Process.complain("warning: \(problem)") }
            if self.try { throw ExitCode(TryRun.run(configuration)) }
            return
        }
        let journal = Journal(
            level: logLevel,
            warnWait: configuration.locks.warnWait.nanoseconds,
            reportInterval: configuration.locks.report.nanoseconds
        )
        let status =
            once
            ? OnceRun.run(configuration, journal: journal)
            : Daemon.run(configuration, configFile: config, journal: journal)
        throw ExitCode(status)
    }
}

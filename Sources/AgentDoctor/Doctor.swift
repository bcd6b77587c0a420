public import AgentAPI
internal import Glibc

/// Looks at everything that an agent needs and says what is wrong with it, whether or not an agent runs. Starts none.
public enum Doctor {
    /// What to look at.
    public struct Options: Sendable {
        /// The agent's configuration: a file or a directory.
        public var configuration: String
        /// Where the sockets are; `nil` for where the configuration says.
        public var runtimeDirectory: String?
        /// The longest that sources together, or the agent, are waited for.
        public var timeoutMilliseconds: Int

        public init(configuration: String, runtimeDirectory: String? = nil, timeoutMilliseconds: Int = 10_000) {
            self.configuration = configuration
            self.runtimeDirectory = runtimeDirectory
            self.timeoutMilliseconds = timeoutMilliseconds
        }
    }

    /// Makes every check. Blocks for at most a few times the limit.
    public static func examine(_ options: Options) -> DoctorReport {
        let scene = Scene.gather(options)
        let answers = SourceChecks.ask(scene)
        return DoctorReport(
            checks: ConfigurationChecks.run(scene) + AgentChecks.run(scene) + DirectoryChecks.run(scene)
                + TLSChecks.run(scene) + SocketChecks.run(scene) + SourceChecks.run(scene, answers)
                + ClockChecks.run(answers) + JournalChecks.run(scene) + UnitChecks.run(scene) + VersionChecks.run(scene)
        )
    }

    /// Whether we may see everything.
    static var isRoot: Bool { geteuid() == 0 }

    /// What to do where something is not for us to see.
    static let asRoot = "run agentctl doctor as root to have this looked at"
}

internal import Glibc

/// What the agent itself is told: where documents come from and how it works. See `etc/agent/agent.yaml`.
public struct AgentConfiguration: Sendable, Equatable {
    /// When the agent speaks of its locks.
    public struct Locks: Sendable, Equatable {
        /// How often contention is reported.
        public var report = TimeSpan.seconds(60)
        /// How long a wait has to be to be reported at once.
        public var warnWait = TimeSpan.milliseconds(10)

        public init() {}
    }

    /// For sockets and whatever else need not outlive the machine's next start.
    public var runtimeDirectory = "/run/agent"
    /// For the stored copies of documents.
    public var stateDirectory = "/var/lib/agent"
    public var workers = AgentConfiguration.onlineCores
    /// In layer order: later ones win.
    public var sources: [SourceConfiguration] = []
    public var locks = Locks()

    public init() {}

    static let workerRange = 1...256

    private static var onlineCores: Int {
        min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), workerRange.lowerBound), workerRange.upperBound)
    }
}

extension AgentConfiguration {
    /// Reads the file at `path`; or, where that is a directory, all `.yaml` and `.yml` files in it in the order of
    /// their names, each adding to and overriding the ones before.
    public static func load(path: String) throws(ConfigurationErrors) -> AgentConfiguration {
        try read(ConfigurationFiles.read(path), name: path)
    }

    /// Reads one file's text.
    ///
    /// - Parameter file: its name, for messages.
    public static func parse(yaml: [UInt8], file: String) throws(ConfigurationErrors) -> AgentConfiguration {
        try read([ConfigurationFiles.File(name: file, bytes: yaml)], name: file)
    }

    private static func read(
        _ files: [ConfigurationFiles.File],
        name: String
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        var reader = SettingsReader()
        var root = Setting.empty(file: files.first?.name ?? name)
        for file in files {
            if let setting = reader.parse(file) { root = root.merged(with: setting) }
        }
        // With a file that cannot be read, what is missing may well be in it.
        try reader.throwErrors(inOrderOf: files.map(\.name))
        let configuration = reader.agent(root)
        try reader.throwErrors(inOrderOf: files.map(\.name))
        return configuration
    }
}

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

    /// What local clients may take of the agent.
    public struct Limits: Sendable, Equatable {
        /// Connections to one socket at once; `nil` for a share of the process's descriptors.
        public var connections: Int?
        /// Of these, connections by one process; `nil` for half of them.
        public var connectionsPerPeer: Int?
        /// The bytes of a request before its body, and those of its body.
        public var headerBytes = 16 << 10
        public var bodyBytes = 64 << 10
        /// How long a connection may be open without a request.
        public var idle = TimeSpan.seconds(60)
        /// How long a request may take to come in.
        public var requestTime = TimeSpan.seconds(10)
        /// How long a client may take to read an answer or an event.
        public var answerTime = TimeSpan.seconds(30)
        /// Between two signs of life to a watcher.
        public var heartbeat = TimeSpan.seconds(15)

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
    public var limits = Limits()

    public init() {}

    static let workerRange = 1...256

    private static var onlineCores: Int {
        min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), workerRange.lowerBound), workerRange.upperBound)
    }
}

extension AgentConfiguration {
    /// Reads the file at `path`; or, where that is a directory, all `.yaml` and `.yml` files in it in the order of
    /// their names, each adding to and overriding the ones before.
    ///
    /// - Parameter credentials: where to find the secrets that the files only name.
    public static func load(
        path: String,
        credentials: Credentials = .ofService
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        try read(ConfigurationFiles.read(path), name: path, credentials)
    }

    /// Reads one file's text.
    ///
    /// - Parameter file: its name, for messages.
    public static func parse(
        yaml: [UInt8],
        file: String,
        credentials: Credentials = .ofService
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        try read([ConfigurationFiles.File(name: file, bytes: yaml)], name: file, credentials)
    }

    private static func read(
        _ files: [ConfigurationFiles.File],
        name: String,
        _ credentials: Credentials
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        var reader = SettingsReader(credentials: credentials)
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

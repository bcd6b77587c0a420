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

    /// How far back generations are kept.
    public struct History: Sendable, Equatable {
        public var generations = 20
        public var age = TimeSpan.days(30)

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
    /// In layer order: later ones win. Those on demand are no layers.
    public var sources: [SourceConfiguration] = []

    /// The sources whose documents make up the configuration.
    public var layers: [SourceConfiguration] { sources.filter { $0.idle == nil } }
    public var history = History()
    public var locks = Locks()
    public var limits = Limits()
    /// The files that secrets and certificates come from, in order.
    public internal(set) var secretFiles: [String] = []
    /// What it was read from.
    private var written = Written(name: "", files: [])

    private struct Written: Sendable, Equatable {
        let name: String
        let files: [ConfigurationFiles.File]
        /// What was read from files with secrets and certificates, by path.
        var secrets: [String: [UInt8]] = [:]

        /// Configurations are compared by what they say, not by how they say it.
        static func == (_: Written, _: Written) -> Bool { true }
    }

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

    /// The same configuration, as it was written when it was read, with what it names on disk as that is now: secrets,
    /// certificates, keys, schemas. What cannot be read now, or is not right, stays as it was and keeps nothing else from
    /// taking effect.
    ///
    /// - Returns: also what is on disk and not in force.
    public func rereadingSecrets(
        credentials: Credentials = .ofService
    ) throws(ConfigurationErrors) -> (AgentConfiguration, refused: [RefusedSetting]) {
        guard !written.files.isEmpty else { return (self, []) }
        var reader = SettingsReader(credentials: credentials, earlierSecrets: written.secrets)
        var configuration = try AgentConfiguration.read(written.files, name: written.name, by: &reader, after: self)
        // By default as many as there are processors: that may have changed, and is no news of a secret.
        configuration.workers = workers
        return (configuration, reader.refusedSettings)
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
        return try read(files, name: name, by: &reader)
    }

    private static func read(
        _ files: [ConfigurationFiles.File],
        name: String,
        by reader: inout SettingsReader,
        after earlier: AgentConfiguration? = nil
    ) throws(ConfigurationErrors) -> AgentConfiguration {
        var root = Setting.empty(file: files.first?.name ?? name)
        for file in files {
            if let setting = reader.parse(file) { root = root.merged(with: setting) }
        }
        // With a file that cannot be read, what is missing may well be in it.
        try reader.throwErrors(inOrderOf: files.map(\.name))
        var configuration = reader.agent(root)
        if let earlier { reader.keepWhatIsWrong(of: earlier, in: &configuration) }
        try reader.throwErrors(inOrderOf: files.map(\.name))
        configuration.secretFiles = reader.secretFiles.sorted()
        configuration.written = Written(name: name, files: files, secrets: reader.secretsToKeep)
        return configuration
    }
}

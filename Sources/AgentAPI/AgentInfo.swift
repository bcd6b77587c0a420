/// The running process.
public struct AgentInfo: Codable, Sendable, Hashable {
    /// The version of agentd.
    public var version: String
    /// Its process id.
    public var pid: Int32
    /// When it started.
    public var startedAt: WireTime
    /// The seconds since then.
    public var uptimeSeconds: Double
    /// The name of the host.
    public var host: String?
    /// The file or directory its own configuration was read from.
    public var configFile: String

    enum CodingKeys: String, CodingKey {
        case version
        case pid
        case startedAt = "started_at"
        case uptimeSeconds = "uptime_seconds"
        case host
        case configFile = "config_file"
    }

    public init(
        version: String,
        pid: Int32,
        startedAt: WireTime,
        uptimeSeconds: Double,
        host: String? = nil,
        configFile: String
    ) {
        self.version = version
        self.pid = pid
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        self.host = host
        self.configFile = configFile
    }
}

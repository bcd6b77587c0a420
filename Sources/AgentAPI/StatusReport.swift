/// The answer to `GET /v1/status`: everything an operator asks first.
public struct StatusReport: Codable, Sendable, Hashable {
    /// The version of this answer's form.
    public var apiVersion: String
    /// The running process.
    public var agent: AgentInfo
    /// How the agent is doing, and why.
    public var health: HealthState
    /// The newest generation; 0 when there is none yet.
    public var generation: UInt64
    /// The newest generation that would survive a power cut; 0 when none.
    public var durableGeneration: UInt64
    /// The snapshot that readers see; null when there is none yet.
    public var snapshot: SnapshotInfo?
    /// The oldest of the sources' last successes: all values were confirmed then or later.
    public var confirmedAt: WireTime?
    /// The threads that answer requests.
    public var workers: WorkerPool
    /// Each source by its name.
    public var sources: [String: SourceStatus]
    /// How requests to sources were shared.
    public var flights: FlightCounts
    /// The clients of each socket: `status`, `config` and `control`.
    public var clients: [String: ClientCounts]
    /// What became of the agent's own records.
    public var journal: JournalCounts
    /// What is in force of what an operator has commanded; absent when nothing is.
    public var operatorStatus: OperatorStatus?

    enum CodingKeys: String, CodingKey {
        case apiVersion = "api_version"
        case agent
        case health
        case generation
        case durableGeneration = "durable_generation"
        case snapshot
        case confirmedAt = "confirmed_at"
        case workers
        case sources
        case flights
        case clients
        case journal
        case operatorStatus = "operator"
    }

    public init(
        apiVersion: String,
        agent: AgentInfo,
        health: HealthState,
        generation: UInt64,
        durableGeneration: UInt64,
        snapshot: SnapshotInfo? = nil,
        confirmedAt: WireTime? = nil,
        workers: WorkerPool,
        sources: [String: SourceStatus],
        flights: FlightCounts,
        clients: [String: ClientCounts],
        journal: JournalCounts,
        operatorStatus: OperatorStatus? = nil
    ) {
        self.operatorStatus = operatorStatus
        self.apiVersion = apiVersion
        self.agent = agent
        self.health = health
        self.generation = generation
        self.durableGeneration = durableGeneration
        self.snapshot = snapshot
        self.confirmedAt = confirmedAt
        self.workers = workers
        self.sources = sources
        self.flights = flights
        self.clients = clients
        self.journal = journal
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(apiVersion, forKey: .apiVersion)
        try container.encode(agent, forKey: .agent)
        try container.encode(health, forKey: .health)
        try container.encode(generation, forKey: .generation)
        try container.encode(durableGeneration, forKey: .durableGeneration)
        // Null rather than absent: that there is none is part of the answer.
        try container.encode(snapshot, forKey: .snapshot)
        try container.encodeIfPresent(confirmedAt, forKey: .confirmedAt)
        try container.encode(workers, forKey: .workers)
        try container.encode(sources, forKey: .sources)
        try container.encode(flights, forKey: .flights)
        try container.encode(clients, forKey: .clients)
        try container.encode(journal, forKey: .journal)
        try container.encodeIfPresent(operatorStatus, forKey: .operatorStatus)
    }
}

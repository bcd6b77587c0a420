/// Who has commanded something, by the kernel's word, when, and why.
public struct CommandInfo: Codable, Sendable, Hashable {
    /// The user's id.
    public var uid: UInt32
    /// The user's name; absent where it is not known.
    public var user: String?
    /// The process that has commanded it.
    public var pid: Int32
    /// When.
    public var at: WireTime
    /// Why, in their own words; absent where they gave none.
    public var reason: String?

    enum CodingKeys: String, CodingKey {
        case uid
        case user
        case pid
        case at
        case reason
    }

    public init(uid: UInt32, user: String? = nil, pid: Int32, at: WireTime, reason: String? = nil) {
        self.uid = uid
        self.user = user
        self.pid = pid
        self.at = at
        self.reason = reason
    }
}

/// A generation that stays in use, whatever the sources say.
public struct PinInfo: Codable, Sendable, Hashable {
    /// Whose content it is.
    public var generation: UInt64
    /// Who has pinned it, when, and why.
    public var command: CommandInfo

    enum CodingKeys: String, CodingKey {
        case generation
        case command
    }

    public init(generation: UInt64, command: CommandInfo) {
        self.generation = generation
        self.command = command
    }
}

/// What is in force of what an operator has commanded.
public struct OperatorStatus: Codable, Sendable, Hashable {
    /// Absent while the sources decide what is in use.
    public var pin: PinInfo?
    /// Who has the sources not asked; absent while they are.
    public var freeze: CommandInfo?

    enum CodingKeys: String, CodingKey {
        case pin
        case freeze
    }

    public init(pin: PinInfo? = nil, freeze: CommandInfo? = nil) {
        self.pin = pin
        self.freeze = freeze
    }
}

/// The answer to a command that keeps or changes what is in use: rollback, pin, unpin, freeze, thaw.
public struct ActionReport: Codable, Sendable, Hashable {
    /// What was done.
    public var action: String
    /// The newest generation, after it.
    public var generation: UInt64
    /// Whether it would survive a restart.
    public var durable: Bool
    /// What is in force now.
    public var operatorStatus: OperatorStatus

    enum CodingKeys: String, CodingKey {
        case action
        case generation
        case durable
        case operatorStatus = "operator"
    }

    public init(action: String, generation: UInt64, durable: Bool, operatorStatus: OperatorStatus) {
        self.action = action
        self.generation = generation
        self.durable = durable
        self.operatorStatus = operatorStatus
    }
}

/// The syslog levels that the agent uses.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
    case error = 3
    case warning = 4
    case notice = 5
    case info = 6
    case debug = 7

    /// As written on the command line.
    public init?(name: String) {
        guard let level = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }

    public var name: String {
        switch self {
        case .error: "error"
        case .warning: "warning"
        case .notice: "notice"
        case .info: "info"
        case .debug: "debug"
        }
    }

    /// Graver is less, as in syslog.
    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

/// One structured record.
public struct JournalRecord: Sendable {
    public var level: LogLevel
    public var id: MessageID?
    /// One line for people.
    public var message: String
    /// `AGENT_…` and journald's own fields; a name may occur several times.
    public var fields: [(name: String, value: String)]

    public init(_ level: LogLevel, _ id: MessageID?, _ message: String, _ fields: [(name: String, value: String)] = [])
    {
        self.level = level
        self.id = id
        self.message = message
        self.fields = fields
    }
}

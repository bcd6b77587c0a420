internal import Glibc

/// One thing that is wrong with the agent's configuration.
public struct ConfigurationError: Error, Sendable, Hashable {
    public var file: String
    /// Counted from 1, as is the column; `nil` for a file that cannot be read.
    public var line: Int?
    public var column: Int?
    /// The full path of the key, dotted; empty where the file as a whole is meant.
    public var key: String
    public var what: String
    /// What to do about it.
    public var advice: String?

    public init(file: String, line: Int?, column: Int?, key: String, what: String, advice: String?) {
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.what = what
        self.advice = advice
    }
}

extension ConfigurationError {
    static let unreadable = "cannot be read: "

    /// Whether it is one only for whoever looks, who may not read what the agent's user may.
    public var isForLackOfRights: Bool {
        // SAFETY: glibc keeps this text until the thread's next call.
        what.hasSuffix(Self.unreadable + String(cString: strerror(EACCES)))
    }
}

extension ConfigurationError: CustomStringConvertible {
    /// `file:line:column: key: what; advice`.
    public var description: String {
        var text = file
        if let line, let column { text += ":\(line):\(column)" }
        if !key.isEmpty { text += ": \(key)" }
        text += ": \(what)"
        if let advice { text += "; \(advice)" }
        return text
    }
}

/// All that is wrong with the agent's configuration, in the order of the files and their lines.
public struct ConfigurationErrors: Error, Sendable, Hashable, CustomStringConvertible {
    public var list: [ConfigurationError]

    public init(_ list: [ConfigurationError]) {
        self.list = list
    }

    /// One line for each.
    public var description: String { list.map(\.description).joined(separator: "\n") }
}

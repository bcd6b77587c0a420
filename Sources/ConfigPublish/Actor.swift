internal import Glibc

/// Who has commanded something, by the kernel's word.
public struct Actor: Hashable, Sendable {
    public var uid: UInt32
    public var pid: Int32
    /// The name of the user; `nil` where it is not known.
    public var user: String?

    public init(uid: UInt32, pid: Int32, user: String? = nil) {
        self.uid = uid
        self.pid = pid
        self.user = user
    }

    /// What the agent does of its own accord, under the name of its program.
    public static var thisProcess: Actor { Actor(uid: getuid(), pid: getpid(), user: "agentd") }

    /// `root`, or `uid 1000` for one without a name.
    public var name: String { user ?? "uid \(uid)" }
}

/// What somebody has commanded: who, when and why.
public struct Command: Hashable, Sendable {
    public var by: Actor
    /// Nanoseconds since 1970.
    public var at: Int64
    /// In the words of whoever commanded it.
    public var reason: String?

    public init(by actor: Actor, at time: Int64, reason: String? = nil) {
        self.by = actor
        self.at = time
        self.reason = reason
    }

    /// Bytes: more of a reason is not kept.
    public static let longestReason = 500
}

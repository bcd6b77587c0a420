/// Where agentd's sockets and its lock file are: all of them directly in the runtime directory.
public struct AgentPaths: Sendable, Hashable {
    /// The runtime directory when nobody names another.
    public static let defaultRuntimeDirectory = "/run/agent"
    /// Status, locks, sources, health and metrics; no values.
    public static let statusSocketName = "status.sock"
    /// Reading values.
    public static let configSocketName = "config.sock"
    /// Commands.
    public static let controlSocketName = "control.sock"
    /// Locks alone, also while whoever answers at the others waits for one.
    public static let locksSocketName = "locks.sock"
    /// Where commands are run that check documents.
    public static let checkSocketName = "check.sock"
    /// Locked for as long as agentd lives: see ``InstanceLock``.
    public static let lockFileName = "agentd.lock"

    /// The directory, without a slash at its end.
    public let runtimeDirectory: String

    /// The paths below `runtimeDirectory`.
    public init(runtimeDirectory: String) {
        var directory = runtimeDirectory
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.runtimeDirectory = directory
    }

    /// The socket for status, locks, sources, health and metrics.
    public var statusSocket: String { path(Self.statusSocketName) }
    /// The socket for reading values.
    public var configSocket: String { path(Self.configSocketName) }
    /// The socket for commands.
    public var controlSocket: String { path(Self.controlSocketName) }
    /// The socket for locks alone, also while whoever answers at the others waits for one.
    public var locksSocket: String { path(Self.locksSocketName) }
    /// The socket at which commands are run that check documents: for agentd alone.
    public var checkSocket: String { path(Self.checkSocketName) }
    /// The file that agentd keeps locked.
    public var lockFile: String { path(Self.lockFileName) }

    private func path(_ name: String) -> String {
        runtimeDirectory == "/" ? "/\(name)" : "\(runtimeDirectory)/\(name)"
    }

    /// A file whose time of change is when all values were last confirmed; not there as long as they have not been.
    public var confirmedFile: String { runtimeDirectory + "/confirmed" }

    /// The socket for the documents that only members of a group read.
    public func configSocket(of group: String) -> String { "\(runtimeDirectory)/config.\(group).sock" }
}

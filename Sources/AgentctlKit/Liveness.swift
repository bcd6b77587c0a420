public import AgentAPI

extension Problem {
    /// Why nothing may be asked of an agent whose lock was found as `probe`; `nil` when it lives.
    ///
    /// Only a living agent is asked: where systemd holds the sockets, connecting to them would start a stopped one.
    public init?(_ probe: InstanceLock.Probe, paths: AgentPaths) {
        switch probe {
        case .held:
            return nil
        case .free, .missing:
            let other = paths.runtimeDirectory == AgentPaths.defaultRuntimeDirectory ? "" : " (or see --runtime-dir)"
            self.init(
                "agent is not running (nobody holds \(paths.lockFile))",
                remedy: "start it with: systemctl start agent\(other)",
                exit: .notRunning
            )
        case .noPermission:
            self.init(
                "cannot tell whether the agent is running: no permission to read \(paths.lockFile)",
                remedy: "run agentctl as root or as a member of the group agent",
                exit: .unknown
            )
        case .failed(let operation, let code):
            let reason = "\(operation) of \(paths.lockFile): \(SystemError.text(code))"
            self.init("cannot tell whether the agent is running: \(reason)", exit: .unknown)
        }
    }
}

internal import AgentAPI
internal import AgentConfiguration
internal import Glibc

/// One agent to a runtime directory, and one to a state directory.
enum InstanceLocks {
    struct Refusal: Error {
        let message: String
    }

    /// Takes both locks, making the directories where they are missing.
    static func take(_ configuration: AgentConfiguration, paths: AgentPaths) -> Result<[InstanceLock], Refusal> {
        do throws(Refusal) {
            let runtime = try take(
                paths.lockFile,
                in: configuration.runtimeDirectory,
                mode: 0o755,
                called: "runtime_dir"
            )
            let state = try takeState(configuration)
            return .success([runtime, state].compactMap { $0 })
        } catch {
            return .failure(error)
        }
    }

    /// The lock of the state directory. Where that directory cannot be written the agent runs without it: it keeps
    /// nothing there either, and says so in its health.
    ///
    /// - Returns: `nil` when the directory cannot be used.
    static func takeState(_ configuration: AgentConfiguration) throws(Refusal) -> InstanceLock? {
        let directory = configuration.stateDirectory
        _ = mkdir(directory, 0o700)
        switch InstanceLock.acquire(path: directory + "/agentd.lock") {
        case .acquired(let lock): return lock
        case .heldByAnother(let pid): throw another(pid, directory, called: "state_dir")
        case .failed: return nil
        }
    }

    private static func take(
        _ path: String,
        in directory: String,
        mode: mode_t,
        called key: String
    ) throws(Refusal) -> InstanceLock {
        if mkdir(directory, mode) != 0, errno != EEXIST {
            throw Refusal(message: "cannot make \(key) \(directory): \(String(cString: strerror(errno)))")
        }
        switch InstanceLock.acquire(path: path) {
        case .acquired(let lock): return lock
        case .heldByAnother(let pid): throw another(pid, directory, called: key)
        case .failed(let operation, let code):
            throw Refusal(
                message: "cannot lock \(path) (\(operation)): \(String(cString: strerror(code))); "
                    + "check who owns '\(key)' \(directory)"
            )
        }
    }

    private static func another(_ pid: Int32?, _ directory: String, called key: String) -> Refusal {
        let who = pid.map { " (process \($0))" } ?? ""
        return Refusal(
            message: "another agent\(who) uses '\(key)' \(directory); stop it first, or give this one a directory "
                + "of its own"
        )
    }
}

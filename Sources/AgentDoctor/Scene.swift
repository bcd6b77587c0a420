internal import AgentAPI
internal import AgentConfiguration
internal import ConfigFetch
internal import ConfigSnapshot
internal import Curl

/// What all checks start from: gathered once, so that they speak of one moment.
struct Scene {
    var options: Doctor.Options
    var paths: AgentPaths
    /// `nil` when it could not be loaded.
    var configuration: AgentConfiguration?
    var configurationErrors: [ConfigurationError] = []
    /// The secrets that the configuration names without holding them.
    var references: [SecretReference] = []
    var probe: InstanceLock.Probe
    /// The running agent's answers; `nil` when none runs or it does not answer.
    var status: StatusReport?
    var health: Result<Int, LocalClient.Failure>?
    /// The user that the agent runs as, or would run as.
    var service: Identity?

    /// Whether an agent lives; where that cannot be told, it is taken for one that does not.
    var isRunning: Bool { if case .held = probe { true } else { false } }

    /// Whether this is the agent that the units are for, and not one with a directory of its own.
    var isOfService: Bool { paths.runtimeDirectory == AgentPaths.defaultRuntimeDirectory }

    /// The process id of the living agent.
    var pid: Int32? {
        guard case .held(let pid) = probe, let pid else { return nil }
        // A number that was read from a file may be another process's by now, or another namespace's.
        return SmallFile.text("/proc/\(pid)/comm")?.hasPrefix("agentd") == true ? pid : nil
    }

    static func gather(_ options: Doctor.Options) -> Scene {
        var configuration: AgentConfiguration?
        var errors: [ConfigurationError] = []
        do throws(ConfigurationErrors) {
            configuration = try AgentConfiguration.load(path: options.configuration, credentials: .forChecking)
        } catch {
            errors = error.list
        }
        let directory = options.runtimeDirectory ?? configuration?.runtimeDirectory
        let paths = AgentPaths(runtimeDirectory: directory ?? AgentPaths.defaultRuntimeDirectory)
        var scene = Scene(
            options: options,
            paths: paths,
            configuration: configuration,
            configurationErrors: errors,
            probe: InstanceLock.probe(path: paths.lockFile)
        )
        scene.references = ConfigurationFileList.files(at: options.configuration).flatMap {
            SecretReference.find(in: $0)
        }
        // An agent with directories of its own may run as anybody.
        let usual = scene.isOfService ? Accounts.user(named: "agent") : nil
        scene.service = scene.pid.flatMap { Identity.ofProcess($0) } ?? usual
        // Only a living agent is asked: where systemd holds the sockets, connecting would start a stopped one.
        if scene.isRunning { scene.ask() }
        return scene
    }

    private mutating func ask() {
        let client = LocalClient(
            socketPath: paths.statusSocket,
            timeoutMilliseconds: options.timeoutMilliseconds,
            maxBytes: 8 << 20
        )
        do throws(LocalClient.Failure) {
            health = .success(try client.request(path: Routes.healthz).status)
            let answer = try client.request(path: Routes.status)
            if answer.status == 200 { status = try? WireJSON.decode(StatusReport.self, from: answer.body) }
        } catch {
            health = .failure(error)
        }
    }
}

internal import AgentAPI
internal import AgentConfiguration
internal import AgentControl
internal import AgentPlanning
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder

internal import struct Synchronization.Atomic

/// Reads the agent's own configuration anew, one reload at a time, each on a thread of its own: neither the main
/// thread nor a worker ever waits for a disk.
final class Reloader: Sendable {
    typealias Outcome = Result<ReloadReport, ControlServer.ReloadRefusal>
    private typealias Flights = SingleFlight<String, Outcome>

    /// For the pipeline to finish the document it is at.
    private static let patience: UInt64 = 30_000_000_000
    /// For the files.
    private static let loadPatience: UInt64 = 20_000_000_000
    private static let mostHangingLoads = 4

    private let path: String
    private let agent: Agent
    private let journal: Journal
    private let service: ServiceManager
    private let current: Mutex<AgentConfiguration>
    /// Systemd is told of a reload only once it knows that the service is up.
    private let isReady = Atomic<Bool>(false)
    private let hangingLoads = Atomic<Int>(0)
    /// Whoever asks while the files are being read gets the next reload: these may be older than the wish.
    private let flights: Flights
    /// Whether one of the two kinds is being worked on: they take turns.
    private let isPerforming = Atomic<Bool>(false)
    private let work = WorkBox()

    private final class WorkBox: Sendable {
        let perform = Mutex<(@Sendable (Flights.Flight) -> Void)?>("reload.work", nil)
    }

    init(
        path: String,
        configuration: AgentConfiguration,
        agent: Agent,
        journal: Journal,
        service: ServiceManager
    ) {
        self.path = path
        self.agent = agent
        self.journal = journal
        self.service = service
        current = Mutex("reload.configuration", configuration)
        let work = work
        flights = SingleFlight(
            "reload.flights",
            begin: { flight, _ in work.perform.withLock { $0 }?(flight) },
            cancel: { _ in },
            isFailure: { if case .failure = $0 { true } else { false } }
        )
        work.perform.withLock { perform in
            perform = { [weak self] flight in self?.begin(flight) }
        }
    }

    func noteReady() { isReady.store(true, ordering: .relaxed) }

    /// Reloads, and tells once what came of it. Never waits.
    func reload(deliver: @escaping @Sendable (Outcome) -> Void) {
        join(Self.configuration, deliver: deliver)
    }

    /// Takes over the secrets and certificates as they are now, for the configuration as it was read.
    func rereadSecrets(deliver: @escaping @Sendable (Outcome) -> Void) { join(Self.secrets, deliver: deliver) }

    /// The keys of flights.
    private static let configuration = "configuration"
    private static let secrets = "secrets"

    /// The files that secrets and certificates come from.
    var secretFiles: [String] { current.withLock { $0.secretFiles } }

    private func join(_ key: String, deliver: @escaping @Sendable (Outcome) -> Void) {
        do throws(SingleFlight<String, Outcome>.Refusal) {
            try flights.join(key, .requestedAfterNow, deliver: deliver)
        } catch {
            deliver(refusal("too_many_callers", "too many wait for a reload already", hint: "try again later"))
        }
    }

    private func begin(_ flight: Flights.Flight) {
        let thread = NamedThread("agent-reload") {
            guard self.flights.depart(flight) else { return }
            let outcome =
                flight.key == Self.configuration ? self.performForSystemd() : self.performAlone(onlySecrets: true)
            self.flights.land(flight, with: outcome)
        }
        if thread == nil {
            let outcome = refusal(
                "no_thread",
                "the system has no thread for a reload",
                hint: "see TasksMax= of the unit"
            )
            flights.land(flight, with: outcome)
        }
    }

    private func performForSystemd() -> Outcome {
        let isReady = isReady.load(ordering: .relaxed)
        if isReady { service.reloading() }
        defer { if isReady { service.ready() } }
        return performAlone(onlySecrets: false)
    }

    private func performAlone(onlySecrets: Bool) -> Outcome {
        let deadline = MonotonicTime.now.advanced(byNanoseconds: Self.patience + Self.loadPatience)
        // Acquiring and releasing: what the one before has taken over is what this one begins with.
        while !isPerforming.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged {
            guard MonotonicTime.now < deadline else {
                return refuse("busy", "another reload has not come to its end yet", hint: "try again later")
            }
            usleep(10_000)
        }
        defer { isPerforming.store(false, ordering: .releasing) }
        return perform(onlySecrets: onlySecrets)
    }

    private func perform(onlySecrets: Bool) -> Outcome {
        let old = current.withLock { $0 }
        let new: AgentConfiguration
        switch load(onlySecrets ? old : nil) {
        case .success(let loaded)?: new = loaded
        case .failure(let errors)?: return refuse(errors)
        case nil:
            return refuse(
                "timeout",
                "the configuration, or a file that it names, could not be read within 20 s",
                hint: "see whether the file systems they are on answer"
            )
        }
        let diff = ConfigurationDiff(from: old, to: new)
        guard diff.fixed.isEmpty else {
            let names = diff.fixed.joined(separator: ", ")
            return refuse(
                "restart_needed",
                "\(names) can be changed by a restart only",
                hint: "systemctl restart agent, or undo the change of \(names)"
            )
        }
        let deadline = MonotonicTime.now.advanced(byNanoseconds: Self.patience)
        if onlySecrets, new == old { return .success(report(diff)) }
        guard agent.adopt(AgentPlan(new), until: deadline) else {
            // It is in line, and what comes later comes on top of it.
            current.withLock { $0 = new }
            return refuse(
                "busy",
                "the agent did not get round to the new configuration within 30 s; it may still take it over",
                hint: "see agentctl status"
            )
        }
        journal.adopt(warnWait: new.locks.warnWait.nanoseconds, reportInterval: new.locks.report.nanoseconds)
        current.withLock { $0 = new }
        journal.log(EventRecords.reloaded(diff, onlySecrets: onlySecrets, generation: agent.publisher.generation))
        return .success(report(diff))
    }

    private func report(_ diff: ConfigurationDiff) -> ReloadReport {
        ReloadReport(
            generation: agent.publisher.generation,
            added: diff.added,
            removed: diff.removed,
            changed: diff.changed,
            unchanged: diff.unchanged,
            settings: diff.settings,
            awaited: agent.healthFacts(workers: []).awaited.map(\.text)
        )
    }

    private final class Loading: Sendable {
        let result = Mutex<Result<AgentConfiguration, ConfigurationErrors>?>("reload.result", nil)
    }

    /// Reads the files, or for `old` the secrets alone, on yet another thread, which is left alone when their mount hangs.
    private func load(_ old: AgentConfiguration?) -> Result<AgentConfiguration, ConfigurationErrors>? {
        // Relaxed: a count.
        guard hangingLoads.load(ordering: .relaxed) < Self.mostHangingLoads else { return nil }
        hangingLoads.add(1, ordering: .relaxed)
        let loading = Loading()
        let thread = NamedThread("agent-config") { [self] in
            let result: Result<AgentConfiguration, ConfigurationErrors>
            reading: do throws(ConfigurationErrors) {
                guard let old else {
                    result = .success(try AgentConfiguration.load(path: path))
                    break reading
                }
                let (new, unreadable) = try old.rereadingSecrets()
                for error in unreadable { journal.log(EventRecords.secretUnreadable(error)) }
                result = .success(new)
            } catch {
                result = .failure(error)
            }
            loading.result.withLock { $0 = result }
            hangingLoads.subtract(1, ordering: .relaxed)
        }
        guard let thread else {
            hangingLoads.subtract(1, ordering: .relaxed)
            return nil
        }
        guard thread.join(until: MonotonicTime.now.advanced(byNanoseconds: Self.loadPatience)) else { return nil }
        return loading.result.withLock { $0 }
    }

    private func refuse(_ errors: ConfigurationErrors) -> Outcome {
        for error in errors.list { journal.log(EventRecords.configurationRefused(error, event: "reload_refused")) }
        let detail = ErrorDetail(
            code: "configuration_refused",
            message: "the configuration is refused, and the one before stays in force",
            hint: "mend it and reload again; agentd --check-config tells the same",
            details: errors.list.map { "\($0)" }
        )
        return .failure(ControlServer.ReloadRefusal(detail))
    }

    private func refuse(_ code: String, _ message: String, hint: String) -> Outcome {
        journal.log(
            JournalRecord(
                .error,
                .configurationRefused,
                "reload refused: \(message)",
                [("AGENT_EVENT", "reload_refused"), ("AGENT_ERROR", message), ("AGENT_ERROR_CODE", code)]
            )
        )
        return refusal(code, message, hint: hint)
    }

    private func refusal(_ code: String, _ message: String, hint: String) -> Outcome {
        .failure(ControlServer.ReloadRefusal(ErrorDetail(code: code, message: message, hint: hint)))
    }
}

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
    /// What is on disk and not in force, and since when, in nanoseconds since 1970.
    private let refused = Mutex("reload.refused", [RefusedSetting: Int64]())

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

    /// Takes over secrets, certificates, keys and schemas as they are now, for the configuration as it was read.
    func rereadSecrets(deliver: @escaping @Sendable (Outcome) -> Void) { join(Self.secrets, deliver: deliver) }

    /// The keys of flights.
    private static let configuration = "configuration"
    private static let secrets = "secrets"

    /// The files that secrets, certificates, keys and schemas come from.
    var secretFiles: [String] { current.withLock { $0.secretFiles } }

    /// Whether some of them are not in force as they are.
    var hasRefused: Bool { refused.withLock { !$0.isEmpty } }

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
        let refused: [RefusedSetting]
        switch load(onlySecrets ? old : nil) {
        case .success((let loaded, let left))?: (new, refused) = (loaded, left)
        case .failure(let errors)?: return onlySecrets ? refuseFiles(errors) : refuse(errors)
        case nil: return onlySecrets ? refuseFiles(nil) : refuse("timeout", Self.late, hint: Self.lateHint)
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
        if onlySecrets, diff.isEmpty {
            // Other files may be named now, or be kept.
            current.withLock { $0 = new }
            tell(refused)
            return .success(report(diff))
        }
        let deadline = MonotonicTime.now.advanced(byNanoseconds: Self.patience)
        guard agent.adopt(AgentPlan(new), until: deadline) else {
            // It is in line, and what comes later comes on top of it.
            current.withLock { $0 = new }
            tell(refused)
            return refuse(
                "busy",
                "the agent did not get round to the new configuration within 30 s; it may still take it over",
                hint: "see agentctl status"
            )
        }
        journal.adopt(warnWait: new.locks.warnWait.nanoseconds, reportInterval: new.locks.report.nanoseconds)
        current.withLock { $0 = new }
        journal.log(EventRecords.reloaded(diff, onlySecrets: onlySecrets, generation: agent.publisher.generation))
        tell(refused)
        return .success(report(diff))
    }

    private static let late = "the configuration, or a file that it names, could not be read within 20 s"
    private static let lateHint = "see whether the file systems they are on answer"

    /// Tells of what is on disk and not in force: in health as long as it is so, and in the journal once.
    private func tell(_ settings: [RefusedSetting]) {
        let now = WallClock.nowNanoseconds
        let (news, isOver, all) = refused.withLock { refused in
            let news = settings.filter { refused[$0] == nil }
            let isOver = settings.isEmpty && !refused.isEmpty
            refused = Dictionary(settings.map { ($0, refused[$0] ?? now) }) { first, _ in first }
            return (news, isOver, refused)
        }
        for setting in news { journal.log(EventRecords.settingRefused(setting)) }
        if isOver { journal.log(EventRecords.settingsInForce) }
        agent.note(all.map { Health.Reason.refused($0, since: $1) }, as: "settings_refused")
    }

    /// The files that the configuration names cannot be taken over at all.
    private func refuseFiles(_ errors: ConfigurationErrors?) -> Outcome {
        tell(
            errors?.list.map { RefusedSetting(sources: [], what: "\($0)", advice: nil) }
                ?? [RefusedSetting(sources: [], what: Self.late, advice: Self.lateHint)]
        )
        return refusal("settings_refused", "files that the configuration names are not in force", hint: Self.lateHint)
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

    private typealias Loaded = Result<(AgentConfiguration, refused: [RefusedSetting]), ConfigurationErrors>

    private final class Loading: Sendable {
        let result = Mutex<Loaded?>("reload.result", nil)
    }

    /// Reads the files, or for `old` only those that it names, on yet another thread, which is left alone when their mount
    /// hangs.
    private func load(_ old: AgentConfiguration?) -> Loaded? {
        // Relaxed: a count.
        guard hangingLoads.load(ordering: .relaxed) < Self.mostHangingLoads else { return nil }
        hangingLoads.add(1, ordering: .relaxed)
        let loading = Loading()
        let thread = NamedThread("agent-config") { [self] in
            let result: Loaded
            do throws(ConfigurationErrors) {
                if let old {
                    result = .success(try old.rereadingSecrets())
                } else {
                    result = .success((try AgentConfiguration.load(path: path), []))
                }
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

extension Health.Reason {
    private static let mostNames = 5

    /// One for the source that it is for; for many, all in one.
    fileprivate static func refused(_ setting: RefusedSetting, since: Int64) -> Health.Reason {
        guard setting.sources.count > 1 else {
            return Health.Reason("settings_refused", source: setting.sources.first, "\(setting)", since: since)
        }
        let names = setting.sources.prefix(mostNames).map(\.text).joined(separator: ", ")
        let more = setting.sources.count > mostNames ? " and \(setting.sources.count - mostNames) more" : ""
        return Health.Reason("settings_refused", "\(names)\(more): \(setting)", since: since)
    }
}

internal import AgentAPI
internal import AgentConfiguration
internal import AgentControl
internal import AgentPlanning
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder

/// The agent as a service: everything started in order, and ended in the opposite one.
enum Daemon {
    // Together less than a second: what a stop takes at the most, whatever is stuck.
    private static let quiesceNanoseconds: UInt64 = 250_000_000
    private static let stopNanoseconds: UInt64 = 450_000_000
    private static let journalNanoseconds: UInt64 = 200_000_000

    /// - Returns: the exit status.
    static func run(_ configuration: AgentConfiguration, configFile: String, journal: Journal) -> Int32 {
        guard let loop = SignalLoop() else { return fail("no descriptors left") }
        let inherited = ServiceManager.takeSockets()
        let paths = AgentPaths(runtimeDirectory: configuration.runtimeDirectory)
        let locks: [InstanceLock]
        switch InstanceLocks.take(configuration, paths: paths) {
        case .success(let taken): locks = taken
        case .failure(let refusal): return fail(refusal.message)
        }
        defer { withExtendedLifetime(locks) {} }
        guard journal.start() else { return fail("the system has no thread for agent-journal") }
        defer { journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: journalNanoseconds)) }
        journal.log(
            JournalRecord(
                .info,
                .started,
                "agentd \(Version.text) started with \(configuration.sources.count) sources",
                [("AGENT_EVENT", "started"), ("AGENT_VERSION", Version.text)]
            )
        )
        do {
            let agent = try Agent(AgentPlan(configuration)) { journal.log(EventRecords.record($0)) }
            let server = ControlServer(
                agent: agent,
                journal: journal,
                options: ControlServer.Options(
                    workers: configuration.workers,
                    paths: paths,
                    inherited: inherited,
                    configFile: configFile,
                    limits: ClientLimits(configuration.limits)
                )
            )
            let wake = loop.wake
            agent.publisher.observe { generation in
                journal.note(generation: generation)
                wake()
            }
            // The sockets first: while the first documents are on their way, status already tells the truth.
            try server.start()
            try agent.start()
            serve(agent, server, loop, journal)
            ServiceManager.stopping()
            server.stop(until: MonotonicTime.now.advanced(byNanoseconds: quiesceNanoseconds))
            if !agent.stop(until: MonotonicTime.now.advanced(byNanoseconds: stopNanoseconds)) {
                journal.log(JournalRecord(.warning, nil, "not everything ended in time; ending anyway"))
            }
            return 0
        } catch {
            journal.log(JournalRecord(.error, nil, "cannot start: \(error)", [("AGENT_EVENT", "start_failed")]))
            return 1
        }
    }

    private static func serve(_ agent: Agent, _ server: ControlServer, _ loop: SignalLoop, _ journal: Journal) {
        var isReady = false
        var lastStatus = ""
        var lastHangUp = MonotonicTime(nanoseconds: 0)
        var watchdog = ServiceManager.watchdogNanoseconds.map { interval in
            Watchdog((agent.lifeSigns + server.lifeSigns).map { Pulse($0, ask: $1) }, intervalNanoseconds: interval)
        }
        while true {
            let event = loop.next()
            if case .starving(let threads) = watchdog?.turn(at: .now, ping: ServiceManager.feedWatchdog) {
                journal.log(
                    JournalRecord(
                        .error,
                        nil,
                        "no sign of life from \(threads.joined(separator: ", ")): systemd's watchdog is not fed",
                        [("AGENT_EVENT", "watchdog_starving")]
                    )
                )
            }
            if event == .terminate { break }
            if event == .hangUp { hangUp(agent, journal, &lastHangUp) }
            let generation = agent.publisher.generation
            if !isReady, generation > 0 {
                isReady = true
                lastStatus = server.summary
                ServiceManager.ready(status: lastStatus)
                journal.log(
                    JournalRecord(
                        .notice,
                        .ready,
                        "ready with generation \(generation)",
                        [
                            ("AGENT_EVENT", "ready"), ("AGENT_GENERATION", String(generation)),
                            ("AGENT_DIGEST", agent.publisher.digest.hex),
                        ]
                    )
                )
            }
            // At most once a second: only when nothing else happened for that long.
            if event == .tick, case let status = server.summary, status != lastStatus {
                lastStatus = status
                ServiceManager.status(status)
            }
        }
        journal.log(
            JournalRecord(
                .info,
                .stopping,
                "stopping at generation \(agent.publisher.generation)",
                [("AGENT_EVENT", "stopping"), ("AGENT_GENERATION", String(agent.publisher.generation))]
            )
        )
    }

    /// SIGHUP: every source is asked anew. Nobody waits for the outcome.
    private static func hangUp(_ agent: Agent, _ journal: Journal, _ last: inout MonotonicTime) {
        // A storm of signals is folded by the flights; its records are thinned here.
        if MonotonicTime.now.nanoseconds(since: last) > 1_000_000_000 {
            last = .now
            journal.log(JournalRecord(.info, nil, "SIGHUP: asking every source", [("AGENT_EVENT", "refresh_all")]))
        }
        for source in agent.plan.sources {
            do throws(Fetcher.Flights.Refusal) {
                _ = try agent.fetch(source.fetch.name, .requestedAfterNow) { _ in }
            } catch {
                journal.log(JournalRecord(.warning, nil, "source \(source.fetch.name) was not asked: \(error)"))
            }
        }
    }

    private static func fail(_ message: String) -> Int32 {
        Process.complain("\(message)")
        return 1
    }
}

extension ClientLimits {
    fileprivate init(_ limits: AgentConfiguration.Limits) {
        self.init()
        connections = limits.connections
        connectionsPerPeer = limits.connectionsPerPeer
        headerBytes = limits.headerBytes
        bodyBytes = limits.bodyBytes
        idle = limits.idle.nanoseconds
        requestTime = limits.requestTime.nanoseconds
        answerTime = limits.answerTime.nanoseconds
        heartbeat = limits.heartbeat.nanoseconds
    }
}

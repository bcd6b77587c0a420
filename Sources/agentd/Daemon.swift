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
        let service = ServiceManager.takeOver()
        let paths = AgentPaths(runtimeDirectory: configuration.runtimeDirectory)
        let locks: [InstanceLock]
        switch InstanceLocks.take(configuration, paths: paths) {
        case .success(let taken): locks = taken
        case .failure(let refusal): return fail(refusal.message)
        }
        defer { withExtendedLifetime(locks) {} }
        guard journal.start() else { return fail("the system has no thread for agent-journal") }
        defer { journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: journalNanoseconds)) }
        journal.log(started(configuration))
        let journeys = Journeys(journal)
        do {
            let agent = try agent(configuration, journal, journeys)
            let reloader = Reloader(
                path: configFile,
                configuration: configuration,
                agent: agent,
                journal: journal,
                service: service
            )
            let options = ControlServer.Options(
                workers: configuration.workers,
                paths: paths,
                inherited: service.sockets,
                configFile: configFile,
                limits: ClientLimits(configuration.limits),
                reload: { reloader.reload(deliver: $0) },
                arrived: journeys.arrived
            )
            // Before anything is asked, and before there are many threads.
            let checks = CheckKeeper(agent.plan, paths, journal, hasUnits: !service.sockets.isEmpty)
            defer { checks.stop() }
            let server = ControlServer(agent: agent, journal: journal, options: options)
            observe(agent, journeys, journal, wake: loop.wake)
            // The sockets first: while the first documents are on their way, status already tells the truth.
            try server.start()
            // A stored copy may be large, and its disk slow.
            try agent.start { service.extendStart(seconds: 60) }
            server.serveValues()
            let secrets = SecretsWatch(reloader)
            guard secrets.start() else { throw SecretsWatch.NoThread() }
            defer { secrets.stop() }
            var main = MainLoop(agent: agent, server: server, reloader: reloader, journal: journal, service: service)
            main.run(loop) { checks.keep(agent.plan) }
            service.stopping()
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

    private static func agent(
        _ configuration: AgentConfiguration,
        _ journal: Journal,
        _ journeys: Journeys
    ) throws(Agent.StartError) -> Agent {
        try Agent(AgentPlan(configuration)) { event in
            journeys.note(event)
            journal.log(EventRecords.record(event))
        }
    }

    private static func observe(
        _ agent: Agent,
        _ journeys: Journeys,
        _ journal: Journal,
        wake: @escaping @Sendable () -> Void
    ) {
        agent.publisher.observe { generation in
            journeys.published(generation)
            journal.note(generation: generation)
            wake()
        }
    }

    private static func started(_ configuration: AgentConfiguration) -> JournalRecord {
        JournalRecord(
            .info,
            .started,
            "agentd \(Version.text) started with \(configuration.sources.count) sources",
            [("AGENT_EVENT", "started"), ("AGENT_VERSION", Version.text)]
        )
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

internal import AgentControl
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import LockLadder

/// The main thread between start and stop: signals, and what systemd is told.
struct MainLoop {
    /// A start that still gets on is given more time, but not for ever.
    private static let longestStart: UInt64 = 900_000_000_000
    private static let second: UInt64 = 1_000_000_000

    private let agent: Agent
    private let reloader: Reloader
    private let server: ControlServer
    private let journal: Journal
    private let service: ServiceManager
    private let started = MonotonicTime.now
    private var watchdog: Watchdog?
    private var confirmed: ConfirmedFile
    private var isReady = false
    private var lastStatus = ""
    private var nextStatus = MonotonicTime(nanoseconds: 0)
    private var nextConfirmed = MonotonicTime(nanoseconds: 0)
    private var nextExtension = MonotonicTime(nanoseconds: 0)

    init(agent: Agent, server: ControlServer, reloader: Reloader, journal: Journal, service: ServiceManager) {
        self.agent = agent
        self.server = server
        self.reloader = reloader
        self.journal = journal
        self.service = service
        confirmed = ConfirmedFile(path: server.confirmedFile)
        watchdog = service.watchdogNanoseconds.map { interval in
            Watchdog((agent.lifeSigns + server.lifeSigns).map { Pulse($0, ask: $1) }, intervalNanoseconds: interval)
        }
    }

    /// Returns when the agent is to end.
    ///
    /// - Parameter everySecond: called about as often.
    mutating func run(_ loop: SignalLoop, everySecond: () -> Void) {
        while true {
            let event = loop.next()
            feedWatchdog()
            if event == .terminate { break }
            if event == .hangUp { reloader.reload { _ in } }
            if isReady { tellStatus() } else { tellStart() }
            if tellConfirmed() { everySecond() }
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

    private mutating func feedWatchdog() {
        let service = service
        guard case .starving(let threads) = watchdog?.turn(at: .now, ping: { service.feedWatchdog() }) else { return }
        journal.log(
            JournalRecord(
                .error,
                nil,
                "no sign of life from \(threads.joined(separator: ", ")): systemd's watchdog is not fed",
                [("AGENT_EVENT", "watchdog_starving")]
            )
        )
    }

    private mutating func tellStart() {
        let generation = agent.publisher.generation
        guard generation > 0 else { return extendStart() }
        isReady = true
        tellStatus()
        service.ready()
        reloader.noteReady()
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

    /// As long as some request is on its way, a start is not stuck: its time limit is for those that are.
    private mutating func extendStart() {
        tellStatus()
        let now = MonotonicTime.now
        guard now >= nextExtension, now.nanoseconds(since: started) < Self.longestStart,
            agent.flightStatistics.inFlight > 0
        else { return }
        nextExtension = now.advanced(byNanoseconds: 5 * Self.second)
        service.extendStart(seconds: 15)
    }

    /// At most once a second, too: with ten thousand sources something is confirmed all the time.
    ///
    /// - Returns: whether it was time for it.
    private mutating func tellConfirmed() -> Bool {
        let now = MonotonicTime.now
        guard now >= nextConfirmed else { return false }
        nextConfirmed = now.advanced(byNanoseconds: Self.second)
        confirmed.update(agent.confirmedAt)
        server.openGroupSockets()
        return true
    }

    /// At most once a second.
    private mutating func tellStatus() {
        let now = MonotonicTime.now
        guard now >= nextStatus, case let status = server.summary, status != lastStatus else { return }
        nextStatus = now.advanced(byNanoseconds: Self.second)
        lastStatus = status
        service.status(status)
    }
}

internal import AgentAPI
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder
internal import NIOCore

/// Waits for the flights of one request and puts their outcomes together. Belongs to one event loop.
final class RefreshCollector {
    /// The longest that anybody waits for a refresh: a little less than agentctl does, so that it hears why.
    private static let deadline = TimeAmount.seconds(55)

    private let agent: Agent
    private let loop: any EventLoop
    private let reports: ReportBuilder
    private let started = MonotonicTime.now
    private let promise: EventLoopPromise<RefreshReport>
    private var waiting: [SourceName: Fetcher.Flights.Ticket] = [:]
    private var outcomes: [String: SourceRefresh] = [:]
    private var timeout: Scheduled<Void>?

    init(agent: Agent, loop: any EventLoop, reports: ReportBuilder) {
        self.agent = agent
        self.loop = loop
        self.reports = reports
        promise = loop.makePromise()
    }

    /// - Returns: succeeds, always, when every flight is over or the deadline has passed.
    func start(_ sources: [SourceName], freshness: Fetcher.Flights.Freshness) -> EventLoopFuture<RefreshReport> {
        let bound = NIOLoopBound(self, eventLoop: loop)
        for source in sources {
            do throws(Fetcher.Flights.Refusal) {
                waiting[source] = try agent.fetch(source, freshness) { [loop] outcome in
                    loop.execute { bound.value.got(source, outcome) }
                }
            } catch {
                let failure = StageFailure(
                    .fetch,
                    "too_many_callers",
                    "too many requests wait for this source already",
                    hint: "try again later"
                )
                outcomes[source.text] = failed(failure, folded: false)
            }
        }
        if waiting.isEmpty {
            finish()
        } else {
            timeout = loop.scheduleTask(in: Self.deadline) { bound.value.giveUp() }
        }
        return promise.futureResult
    }

    /// Nobody waits for the answer any more.
    func abandon() {
        for ticket in waiting.values { agent.leave(ticket) }
        waiting = [:]
        finish()
    }

    private func got(_ source: SourceName, _ outcome: FlightOutcome) {
        guard let ticket = waiting.removeValue(forKey: source) else { return }
        outcomes[source.text] = describe(outcome, folded: ticket.isFolded)
        if waiting.isEmpty { finish() }
    }

    private func giveUp() {
        for (source, ticket) in waiting {
            agent.leave(ticket)
            let failure = StageFailure(
                .fetch,
                "deadline",
                "no answer within 55 s; the request goes on if others wait for it",
                hint: "see agentctl sources"
            )
            outcomes[source.text] = failed(failure, folded: ticket.isFolded)
        }
        waiting = [:]
        finish()
    }

    private func finish() {
        timeout?.cancel()
        // A promise is kept once: abandoning after the answer changes nothing.
        guard !isFinished else { return }
        isFinished = true
        promise.succeed(RefreshReport(generation: reports.generation, sources: outcomes))
    }

    private var isFinished = false

    private var milliseconds: Double {
        Double(MonotonicTime.now.nanoseconds(since: started) / 1_000) / 1_000
    }

    private func failed(_ failure: StageFailure, folded: Bool) -> SourceRefresh {
        SourceRefresh(
            outcome: .failed,
            error: ReportBuilder.wireError(failure, at: WallClock.nowNanoseconds),
            durationMilliseconds: milliseconds,
            folded: folded
        )
    }

    private func describe(_ outcome: FlightOutcome, folded: Bool) -> SourceRefresh {
        if let failure = outcome.failure { return failed(failure, folded: folded) }
        let kind: RefreshOutcome =
            switch outcome.kind {
            case .published: .published
            case .held: .held
            case .unchanged, .notModified, .failed: .unchanged
            }
        return SourceRefresh(
            outcome: kind,
            generation: outcome.generation,
            revision: outcome.revision?.label,
            durationMilliseconds: milliseconds,
            folded: folded
        )
    }
}

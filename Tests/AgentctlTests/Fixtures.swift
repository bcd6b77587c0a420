import AgentAPI

/// Answers as an agent gives them, seen at one fixed moment.
enum Fixtures {
    /// 2026-11-22 14:06:19 UTC
    static let now = ago(0)

    static func ago(_ seconds: Int64) -> WireTime {
        WireTime(unixMilliseconds: 1_795_356_379_000 - seconds * 1000)
    }

    static func source(
        _ state: SourceState,
        failures: Int = 0,
        error: SourceError? = nil,
        lastSuccess: WireTime? = ago(3)
    ) -> SourceStatus {
        SourceStatus(
            state: state,
            required: true,
            url: "https://config.example.net/app.json",
            revision: lastSuccess == nil ? nil : "r42",
            digest: lastSuccess == nil ? nil : "ab12",
            lastRequest: ago(3),
            lastSuccess: lastSuccess,
            lastActivation: lastSuccess == nil ? nil : ago(7_500),
            lastError: error,
            nextPoll: ago(-12),
            consecutiveFailures: failures,
            trace: nil
        )
    }

    static let error = SourceError(
        at: ago(5),
        stage: "decode",
        code: "duplicate_key",
        message: "line 7, column 3: the key 'db.url' stands twice in the same object, and was first seen in line 2",
        hint: "remove one of the two"
    )

    static func workers(_ count: Int, on generation: UInt64) -> WorkerPool {
        let list = (0..<count).map { WorkerInfo(name: "agent-worker-\($0)", generation: generation, lag: 0, reads: 7) }
        return WorkerPool(count: count, current: generation == 0 ? 0 : count, list: list)
    }

    static var healthy: StatusReport {
        StatusReport(
            apiVersion: "v1",
            agent: AgentInfo(
                version: "0.1.0",
                pid: 4711,
                startedAt: ago(200),
                uptimeSeconds: 200,
                configFile: "/etc/agent"
            ),
            health: HealthState(level: .healthy, reasons: [], since: ago(192)),
            generation: 42,
            durableGeneration: 42,
            snapshot: SnapshotInfo(generation: 42, digest: "cd", publishedAt: ago(60), keys: 9, ageSeconds: 60),
            confirmedAt: ago(3),
            workers: workers(8, on: 42),
            sources: ["app": source(.fresh)],
            flights: FlightCounts(calls: 70, folded: 63, flights: 7, failures: 0, inFlight: 1),
            clients: ["status": ClientCounts(connections: 1, watchers: 0, cutOff: [:])],
            journal: JournalCounts(sent: 12, dropped: 0, destination: .journald)
        )
    }

    static var degraded: StatusReport {
        var status = healthy
        status.health = HealthState(
            level: .degraded,
            reasons: [
                HealthReason(code: "source_failing", source: "extra", message: "4 requests failed", since: ago(50)),
                HealthReason(code: "journal_drops", source: nil, message: "records were lost", since: ago(20)),
            ],
            since: ago(50)
        )
        status.durableGeneration = 41
        status.workers.current = 7
        status.workers.list[3] = WorkerInfo(name: "agent-worker-3", generation: 40, lag: 2, reads: 7)
        status.sources["extra"] = source(.failing, failures: 4, error: error)
        status.sources["once"] = source(.fresh, error: error)
        status.journal.dropped = 3
        return status
    }

    static var starting: StatusReport {
        var status = healthy
        let reason = HealthReason(code: "no_snapshot", source: "app", message: "no answer yet", since: ago(1))
        status.health = HealthState(level: .failed, reasons: [reason], since: ago(1))
        status.generation = 0
        status.durableGeneration = 0
        status.snapshot = nil
        status.confirmedAt = nil
        status.workers = workers(2, on: 0)
        status.sources = ["app": source(.starting, lastSuccess: nil)]
        return status
    }
}

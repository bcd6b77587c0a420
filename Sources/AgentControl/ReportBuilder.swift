internal import AgentAPI
internal import AgentTelemetry
internal import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
internal import LockLadder

/// Turns facts into answers. Holds no state but where the facts are.
final class ReportBuilder: Sendable {
    private let agent: Agent
    private let journal: Journal
    private let configFile: String
    private let clients: [Right: Clients]
    private let book: EventBook
    let arrivals: Arrivals
    private let workers: Mutex<[Worker]>
    private let levels: HealthLevels

    init(
        agent: Agent,
        journal: Journal,
        configFile: String,
        clients: [Right: Clients],
        book: EventBook,
        arrivals: Arrivals
    ) {
        self.book = book
        self.arrivals = arrivals
        self.clients = clients
        self.agent = agent
        self.journal = journal
        self.configFile = configFile
        levels = HealthLevels(startedAt: agent.startedAt)
        workers = Mutex("control.workers", [])
    }

    func use(_ workers: [Worker]) { self.workers.withLock { $0 = workers } }

    var currentWorkers: [Worker] { workers.withLock { $0 } }

    private var workerFigures: [Worker.Figures] { currentWorkers.map(\.figures) }

    /// How often an event for watchers was encoded.
    var eventsEncoded: UInt64 { book.encoded }

    /// The newest one and those that a reader still keeps.
    var liveSnapshots: Int { agent.publisher.cell.retiredCount + 1 }

    /// The newest generation; 0 when there is none.
    var generation: UInt64 { agent.publisher.generation }

    private func judge(at now: Int64) -> Health {
        let workers = workerFigures.map { Health.Facts.Worker(name: $0.name, behindSince: $0.behindSince) }
        return levels.note(Health.judge(agent.healthFacts(workers: workers, now: now), now: now), at: now)
    }

    // MARK: Status

    func status(_ worker: Worker) -> StatusReport {
        let now = WallClock.nowNanoseconds
        let facts = agent.sourceFacts
        let flights = agent.flightStatistics
        let counts = journal.counts
        let snapshot = worker.withSnapshot { Self.info($0, now: now) }
        let generation = snapshot?.generation ?? 0
        let operatorState = agent.operatorState
        return StatusReport(
            apiVersion: Version.api,
            agent: AgentInfo(
                version: Version.text,
                pid: getpid(),
                startedAt: WireTime(unixNanoseconds: agent.startedAt),
                uptimeSeconds: Self.seconds(now - agent.startedAt),
                host: Self.hostName,
                configFile: configFile
            ),
            health: Self.wire(judge(at: now)),
            generation: generation,
            durableGeneration: agent.storeState.durableGeneration,
            snapshot: snapshot,
            confirmedAt: agent.confirmedAt.map { WireTime(unixNanoseconds: $0) },
            workers: pool(generation),
            sources: Dictionary(
                uniqueKeysWithValues: agent.plan.sources.compactMap { source in
                    facts[source.fetch.name].map { (source.fetch.name.text, status(of: source, $0, now: now)) }
                }
            ),
            flights: FlightCounts(
                calls: flights.calls,
                folded: flights.folded,
                flights: flights.flights,
                failures: flights.failures,
                inFlight: flights.inFlight
            ),
            clients: Dictionary(uniqueKeysWithValues: clients.map { ($0.rawValue, Self.wire($1.figures)) }),
            journal: JournalCounts(
                sent: counts.sent,
                dropped: counts.dropped,
                destination: journal.destination == "journald" ? .journald : .stderr
            ),
            operatorStatus: operatorState == OperatorState() ? nil : OperatorStatus(operatorState)
        )
    }

    private static let hostName: String? = {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return nil }
        return buffer.withUnsafeBufferPointer { raw in
            String(validating: raw.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }()

    private static func info(_ snapshot: borrowing Snapshot, now: Int64) -> SnapshotInfo? {
        guard snapshot.generation > 0 else { return nil }
        return SnapshotInfo(
            generation: snapshot.generation,
            digest: snapshot.digest.hex,
            publishedAt: WireTime(unixNanoseconds: snapshot.publishedAt),
            keys: snapshot.count,
            ageSeconds: seconds(now - snapshot.publishedAt)
        )
    }

    private static func seconds(_ nanoseconds: Int64) -> Double {
        Double(max(0, nanoseconds) / 1_000_000) / 1_000
    }

    private func pool(_ generation: UInt64) -> WorkerPool {
        let list = workerFigures.map { figures in
            WorkerInfo(
                name: figures.name,
                generation: figures.generation,
                lag: generation > figures.generation ? generation - figures.generation : 0,
                reads: figures.reads
            )
        }
        return WorkerPool(count: list.count, current: list.count { $0.lag == 0 }, list: list)
    }

    // MARK: Sources

    private func status(of source: AgentPlan.Source, _ facts: SourceFacts, now: Int64) -> SourceStatus {
        SourceStatus(
            state: Self.state(of: facts, isFrozen: agent.operatorState.freeze != nil, now: now),
            required: source.isRequired,
            url: source.fetch.redactedURL,
            revision: facts.revision?.label,
            digest: facts.revision?.digest.hex,
            lastRequest: facts.lastRequestAt.map { WireTime(unixNanoseconds: $0) },
            lastSuccess: facts.lastSuccessAt.map { WireTime(unixNanoseconds: $0) },
            lastActivation: facts.lastActivationAt.map { WireTime(unixNanoseconds: $0) },
            lastError: facts.lastFailure.map { Self.wireError($0.failure, at: $0.at) },
            // While nobody reads it, it is not asked, whenever it might be.
            nextPoll: facts.isAsleep ? nil : facts.nextPollAt.map { WireTime(unixNanoseconds: $0) },
            consecutiveFailures: facts.consecutiveFailures,
            place: Self.place(facts),
            trace: facts.trace.map { wire($0, generation: facts.traceGeneration) },
            desired: facts.desired.map {
                RevisionInfo(
                    revision: $0.label,
                    digest: $0.digest.hex,
                    at: WireTime(unixNanoseconds: $0.fetchedAt)
                )
            },
            attempted: facts.attempt.map { attempt in
                RevisionInfo(
                    revision: attempt.revision.label,
                    digest: attempt.revision.digest.hex,
                    at: WireTime(unixNanoseconds: attempt.at),
                    error: attempt.failure.map { Self.wireError($0, at: attempt.at) }
                )
            },
            expires: facts.expiresAt.map { WireTime(unixNanoseconds: $0) }
        )
    }

    private static func state(of facts: SourceFacts, isFrozen: Bool, now: Int64) -> SourceState {
        if facts.isAsleep { return .asleep }
        if let expires = facts.expiresAt, expires <= now { return .expired }
        if isFrozen { return .frozen }
        if facts.isLastGood { return .lastGood }
        if facts.consecutiveFailures > 0 { return .failing }
        if facts.revision == nil { return .starting }
        if let since = facts.staleSince, since < now { return .stale }
        return .fresh
    }

    func sources() -> SourcesReport {
        let now = WallClock.nowNanoseconds
        let facts = agent.sourceFacts
        var layers = 0
        return SourcesReport(
            sources: agent.plan.sources.compactMap { source in
                let layer = source.fetch.isOnDemand ? nil : layers
                if layer != nil { layers += 1 }
                guard let known = facts[source.fetch.name] else { return nil }
                return SourceDetail(
                    name: source.fetch.name.text,
                    layer: layer,
                    kind: source.fetch.unixSocket == nil ? source.fetch.kind.rawValue : "unix",
                    poll: PollInterval(
                        minSeconds: Double(source.fetch.poll.lowerBound) / 1e9,
                        maxSeconds: Double(source.fetch.poll.upperBound) / 1e9
                    ),
                    status: status(of: source, known, now: now),
                    requests: known.requests,
                    notModified: known.notModified,
                    published: known.published,
                    unchanged: known.unchanged,
                    failuresByClass: known.failuresByClass,
                    timings: Self.wire(known.timings),
                    watch: known.watch.map(Self.wire)
                )
            }
        )
    }

    /// The time `seconds` ago, in nanoseconds since 1970.
    static func time(secondsAgo seconds: Int) -> Int64 {
        let (age, overflow) = Int64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? 0 : max(0, WallClock.nowNanoseconds - age)
    }

    /// Sources that have not confirmed what is in use since then, and whether they failed and wait for their next try.
    func unconfirmed(since limit: Int64) -> [(name: SourceName, isBackingOff: Bool)] {
        let now = WallClock.nowNanoseconds
        let facts = agent.sourceFacts
        return agent.plan.sources.compactMap { source in
            let name = source.fetch.name
            guard !source.fetch.isOnDemand, let known = facts[name], (known.confirmedAt ?? .min) < limit else {
                return nil
            }
            return (name, known.consecutiveFailures > 0 && (known.nextPollAt ?? 0) > now)
        }
    }

    // MARK: Health

    func health() -> HealthReport {
        let health = judge(at: WallClock.nowNanoseconds)
        let status: HealthStatus =
            switch health.level {
            case .healthy: .ok
            case .degraded: .degraded
            case .failed: .failed
            }
        return HealthReport(status: status, reasons: health.reasons.map(Self.text))
    }

    /// Ready means that every required source has given a document, which is when there is a snapshot.
    func readiness() -> HealthReport {
        if generation > 0 { return HealthReport(status: .ok, reasons: []) }
        let health = judge(at: WallClock.nowNanoseconds)
        return HealthReport(status: .starting, reasons: health.reasons.map(Self.text))
    }

    private static func text(_ reason: Health.Reason) -> String {
        reason.source.map { "\($0): \(reason.message)" } ?? reason.message
    }

    // MARK: Locks

    func locks() -> LocksReport {
        LocksReport(LockFigures.collect(), since: WireTime(unixNanoseconds: agent.startedAt))
    }
}

// MARK: Facts in the form of the wire

extension ReportBuilder {
    private static func wire(_ timings: FetchTimings) -> [String: FetchTimes] {
        var times: [String: FetchTimes] = [:]
        for part in FetchTimings.Part.allCases where timings[part].count > 0 {
            let histogram = timings[part]
            var below: UInt64 = 0
            times[part.rawValue] = FetchTimes(
                count: histogram.count,
                sumMicroseconds: histogram.sumNanoseconds / 1_000,
                maxMicroseconds: histogram.maxNanoseconds / 1_000,
                histogram: histogram.buckets.compactMap { bucket in
                    below += bucket.count
                    return bucket.upperBoundNanoseconds.map {
                        HistogramBucket(upToMicroseconds: $0 / 1_000, count: below)
                    }
                }
            )
        }
        return times
    }

    private static func place(_ facts: SourceFacts) -> PlaceStatus? {
        let places = facts.spec.redactedPlaces
        guard places.count > 1, places.indices.contains(facts.place) else { return nil }
        return PlaceStatus(
            url: places[facts.place],
            index: facts.place,
            count: places.count,
            moves: facts.moves,
            disagreements: facts.disagreements
        )
    }

    private static func wire(_ watch: WatchFacts) -> WatchStatus {
        WatchStatus(
            open: watch.isOpen,
            since: WireTime(unixNanoseconds: watch.since),
            changes: watch.changes,
            failures: watch.failures,
            lastError: watch.lastFailure.map { wireError($0.failure, at: $0.at) }
        )
    }

    static func wireError(_ failure: StageFailure, at time: Int64) -> SourceError {
        SourceError(
            at: WireTime(unixNanoseconds: time),
            stage: failure.stage.rawValue,
            code: failure.code,
            message: failure.message,
            hint: failure.hint
        )
    }

    fileprivate static func wire(_ health: Health) -> HealthState {
        let level: HealthLevel =
            switch health.level {
            case .healthy: .healthy
            case .degraded: .degraded
            case .failed: .failed
            }
        return HealthState(
            level: level,
            reasons: health.reasons.map {
                HealthReason(
                    code: $0.code,
                    source: $0.source?.text,
                    message: $0.message,
                    since: WireTime(unixNanoseconds: $0.since)
                )
            },
            since: WireTime(unixNanoseconds: health.since)
        )
    }

    fileprivate func wire(_ trace: Trace, generation: UInt64?) -> StageTimes {
        func between(_ first: Trace.Stage, _ second: Trace.Stage) -> UInt64? {
            guard let start = trace[first], let end = trace[second], end >= start else { return nil }
            return (end - start) / 1_000
        }
        return StageTimes(
            id: trace.text,
            requestedToReceivedMicroseconds: between(.requested, .received),
            receivedToCheckedMicroseconds: between(.received, .checked),
            receivedToVerifiedMicroseconds: between(trace[.checked] == nil ? .received : .checked, .verified),
            verifiedToDecodedMicroseconds: between(.verified, .decoded),
            decodedToPublishedMicroseconds: between(.decoded, .published),
            publishedToWorkersMicroseconds: generation.flatMap { arrivals.arrived($0) }
                .flatMap { arrived in
                    // A worker may have been quicker than the publisher with its stamp.
                    trace[.published].map { arrived > $0 ? (arrived - $0) / 1_000 : 0 }
                }
        )
    }

    fileprivate static func wire(_ figures: Clients.Figures) -> ClientCounts {
        ClientCounts(
            connections: figures.connections,
            watchers: figures.watchers,
            cutOff: Dictionary(uniqueKeysWithValues: figures.cutOff.map { ($0.rawValue, $1) })
        )
    }
}

public import ConfigAgent
public import ConfigFetch
internal import ConfigPublish
public import ConfigSnapshot
internal import LockLadder
public import TestSupport

public func sourceName(_ text: String) -> SourceName {
    guard let name = SourceName(text) else { preconditionFailure("\(text) is no name") }
    return name
}

public let second: UInt64 = 1_000_000_000
public let hour: UInt64 = 3_600 * second

/// A source that is polled once at the start and then, as far as a test lives, never again.
public func source(
    _ name: String,
    _ kind: SourceKind = .file,
    url: String,
    required: Bool = true,
    _ change: (inout SourceSpec) -> Void = { _ in }
) -> AgentPlan.Source {
    var spec = SourceSpec(name: sourceName(name), kind: kind, url: url, poll: (100 * hour)...(200 * hour))
    spec.retryBase = 100_000 * hour
    spec.retryMax = 100_000 * hour
    spec.timeoutMilliseconds = 60_000
    spec.connectTimeoutMilliseconds = 60_000
    // Else a file would be read again as soon as it is written.
    spec.isWatched = kind != .file
    change(&spec)
    return AgentPlan.Source(fetch: spec, isRequired: required)
}

/// An agent that is stopped with its last reference, and the events it told.
public final class RunningAgent: Sendable {
    public let agent: Agent
    private let log: Log

    private final class Log: Sendable {
        let events = Mutex("test.events", [AgentEvent]())
    }

    public init(_ sources: [AgentPlan.Source], in directory: TemporaryDirectory) throws {
        let log = Log()
        self.log = log
        let plan = AgentPlan(sources: sources, stateDirectory: directory.path("state"))
        agent = try Agent(plan) { event in log.events.withLock { $0.append(event) } }
    }

    deinit { stop() }

    /// Starts, and waits until every source was asked once that is asked at all.
    @discardableResult
    public func start() throws -> ContentDigest? {
        let digest = try agent.start()
        try waitUntil("every source was asked") {
            // In this order: what has begun is counted before it is looked whether it has ended.
            agent.sourceFacts.values.allSatisfy { $0.requests > 0 || $0.isAsleep }
                && agent.flightStatistics.inFlight == 0
        }
        return digest
    }

    @discardableResult
    public func stop() -> Bool { agent.stop(until: MonotonicTime.now.advanced(byNanoseconds: 10 * second)) }

    /// Asks for a document requested from now on, and waits for the outcome.
    @discardableResult
    public func refresh(_ name: String) throws -> FlightOutcome {
        let box = Mutex<FlightOutcome?>("test.outcome", nil)
        let shared = Box(box)
        _ = try agent.fetch(sourceName(name), .requestedAfterNow) { outcome in shared.value.withLock { $0 = outcome } }
        return try waitFor("the outcome of \(name)") { shared.value.withLock { $0 } }
    }

    private final class Box: Sendable {
        let value: Mutex<FlightOutcome?>
        init(_ value: consuming Mutex<FlightOutcome?>) { self.value = value }
    }

    public var events: [AgentEvent] { log.events.withLock { $0 } }

    /// What happened, in a few words each.
    public var story: [String] { events.map(Self.words) }

    private static func words(_ event: AgentEvent) -> String {
        switch event {
        case .published(let snapshot, let source, _):
            "published \(snapshot.count) keys" + (source.map { " from \($0.source)" } ?? " from stored copies")
        case .sourceFailed(let source, let failure, let count, _):
            "\(source) failed at \(failure.stage.rawValue): \(failure.code) (\(count))"
        case .sourceRecovered(let source, let count): "\(source) recovered after \(count)"
        case .lastGoodUsed(let revision): "last good of \(revision.source)"
        case .store(.versionsUnusable): "versions unusable"
        case .store(.operatorStateUnusable): "operator state unusable"
        case .store(.quarantineUnusable): "quarantine unusable"
        case .store(.historyUnreadable): "history unreadable"
        case .store(.pinLost(let pin, _)): "pin of \(pin.generation) lost"
        case .commanded(let action, let command, let refusal):
            "\(command.by.name) \(action.name)" + (refusal == nil ? "" : " refused")
        case .store(.copyUnusable(let source, _)): "stored copy of \(source) unusable"
        case .documentLoaded(let revision, let keys, _): "loaded \(keys) keys from \(revision.source)"
        case .store(.failing): "store failing"
        case .store(.recovered): "store recovered"
        case .fetch(.moved(let source, let from, let to, let reason)):
            "\(source) moved from \(from) to \(to): \(reason)"
        case .fetch(.returned(let source, _, let to)): "\(source) returned to \(to)"
        case .fetch(.disagreement(let source, _, _)): "places of \(source) disagree"
        case .fetch(.hostSuspect(let host, _, _)): "\(host) is suspect"
        case .fetch(.hostRecovered(let host)): "\(host) recovered"
        case .fetch(.asleep(let source)): "\(source) asleep"
        }
    }

    /// The value in the newest snapshot.
    public func value(_ key: String) -> String? {
        var reader = agent.publisher.cell.makeReader()
        return reader.withSnapshot { snapshot in
            snapshot.value(at: key).map { String(decoding: $0.json, as: UTF8.self) }
        }
    }

    public var generation: UInt64 { agent.publisher.generation }

    /// Waits until what is in use is on disk, and on the record.
    public func waitUntilDurable() throws {
        try waitUntil("it is on disk") {
            agent.storeState.durableGeneration == generation && agent.generationRecords.last?.last == generation
        }
    }
}

extension FlightOutcome {
    public var name: String {
        switch kind {
        case .published: "published"
        case .held: "held"
        case .unchanged: "unchanged"
        case .notModified: "not modified"
        case .failed(let failure, _): "\(failure.stage.rawValue) \(failure.code)"
        }
    }
}

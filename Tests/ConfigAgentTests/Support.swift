import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport

func sourceName(_ text: String) -> SourceName {
    guard let name = SourceName(text) else { preconditionFailure("\(text) is no name") }
    return name
}

let second: UInt64 = 1_000_000_000
let hour: UInt64 = 3_600 * second

/// A source that is polled once at the start and then, as far as a test lives, never again.
func source(
    _ name: String,
    _ kind: SourceSpec.Kind = .file,
    url: String,
    required: Bool = true,
    _ change: (inout SourceSpec) -> Void = { _ in }
) -> AgentPlan.Source {
    var spec = SourceSpec(name: sourceName(name), kind: kind, url: url, poll: (100 * hour)...(200 * hour))
    spec.retryBase = 100_000 * hour
    spec.retryMax = 100_000 * hour
    spec.timeoutMilliseconds = 10_000
    change(&spec)
    return AgentPlan.Source(fetch: spec, isRequired: required)
}

/// An agent that is stopped with its last reference, and the events it told.
final class RunningAgent: Sendable {
    let agent: Agent
    private let log: Log

    private final class Log: Sendable {
        let events = Mutex("test.events", [AgentEvent]())
    }

    init(_ sources: [AgentPlan.Source], in directory: TemporaryDirectory) throws {
        let log = Log()
        self.log = log
        let plan = AgentPlan(sources: sources, stateDirectory: directory.path("state"))
        agent = try Agent(plan) { event in log.events.withLock { $0.append(event) } }
    }

    deinit { stop() }

    /// Starts, and waits until every source was asked once.
    @discardableResult
    func start() throws -> ContentDigest? {
        let digest = try agent.start()
        try waitUntil("every source was asked") {
            agent.flightStatistics.inFlight == 0 && agent.sourceFacts.values.allSatisfy { $0.requests > 0 }
        }
        return digest
    }

    @discardableResult
    func stop() -> Bool { agent.stop(until: MonotonicTime.now.advanced(byNanoseconds: 10 * second)) }

    /// Asks for a document requested from now on, and waits for the outcome.
    @discardableResult
    func refresh(_ name: String) throws -> FlightOutcome {
        let box = Mutex<FlightOutcome?>("test.outcome", nil)
        let shared = Box(box)
        _ = try agent.fetch(sourceName(name), .requestedAfterNow) { outcome in shared.value.withLock { $0 = outcome } }
        return try waitFor("the outcome of \(name)") { shared.value.withLock { $0 } }
    }

    private final class Box: Sendable {
        let value: Mutex<FlightOutcome?>
        init(_ value: consuming Mutex<FlightOutcome?>) { self.value = value }
    }

    var events: [AgentEvent] { log.events.withLock { $0 } }

    /// What happened, in a few words each.
    var story: [String] { events.map(Self.words) }

    private static func words(_ event: AgentEvent) -> String {
        switch event {
        case .published(let snapshot, let source, _):
            "published \(snapshot.count) keys" + (source.map { " from \($0.source)" } ?? " from stored copies")
        case .sourceFailed(let source, let failure, let count, _):
            "\(source) failed at \(failure.stage.rawValue): \(failure.code) (\(count))"
        case .sourceRecovered(let source, let count): "\(source) recovered after \(count)"
        case .lastGoodUsed(let revision): "last good of \(revision.source)"
        case .storedCopyUnusable(let source, _): "stored copy of \(source) unusable"
        case .storeFailing: "store failing"
        case .storeRecovered: "store recovered"
        }
    }

    /// The value in the newest snapshot.
    func value(_ key: String) -> String? {
        var reader = agent.publisher.cell.makeReader()
        return reader.withSnapshot { snapshot in
            snapshot.value(at: key).map { String(decoding: $0.json, as: UTF8.self) }
        }
    }

    var generation: UInt64 { agent.publisher.generation }
}

extension FlightOutcome {
    var name: String {
        switch kind {
        case .published: "published"
        case .held: "held"
        case .unchanged: "unchanged"
        case .notModified: "not modified"
        case .failed(let failure, _): "\(failure.stage.rawValue) \(failure.code)"
        }
    }
}

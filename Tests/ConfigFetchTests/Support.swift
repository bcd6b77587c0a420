import ConfigSnapshot
import Curl
import Foundation
import LockLadder
import TestSupport

@testable import ConfigFetch

/// SplitMix64: the same numbers for the same seed, so that a failure can be seen again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A wish for a source's name that is known to be good.
func sourceName(_ text: String) -> SourceName {
    guard let name = SourceName(text) else { preconditionFailure("\(text) is no name") }
    return name
}

let second: UInt64 = 1_000_000_000
let hour: UInt64 = 3_600 * second

/// A source that is polled once at the start and then, as far as a test lives, never again.
func spec(
    _ name: String,
    _ kind: SourceKind,
    _ url: String,
    _ change: (inout SourceSpec) -> Void = { _ in }
) -> SourceSpec {
    var spec = SourceSpec(name: sourceName(name), kind: kind, url: url, poll: (100 * hour)...(200 * hour))
    spec.retryBase = 100_000 * hour
    spec.retryMax = 100_000 * hour
    spec.timeoutMilliseconds = 60_000
    spec.connectTimeoutMilliseconds = 60_000
    change(&spec)
    return spec
}

/// A fetcher whose results are kept, and judged by the test instead of by later stages.
final class Harness: Sendable {
    typealias Judge = @Sendable (FetchResult) -> FlightOutcome.Kind

    struct Received: Sendable {
        var source: SourceName
        var result: FetchResult
    }

    let fetcher: Fetcher
    private let log: Log

    private final class Log: Sendable {
        let received = Mutex("test.received", [Received]())
        let judge: Mutex<Judge>
        let fetcher = Mutex<Fetcher?>("test.fetcher", nil)
        let revisions = Mutex("test.revisions", [SourceName: SourceRevision]())

        init(_ judge: @escaping Judge) { self.judge = Mutex("test.judge", judge) }

        func take(_ flight: Fetcher.Flights.Flight, _ result: FetchResult) {
            received.withLock { $0.append(Received(source: flight.key, result: result)) }
            let kind = judge.withLock { $0 }(result)
            if case .document(let document) = result {
                switch kind {
                case .published, .unchanged:
                    revisions.withLock { $0[flight.key] = revision(of: document) }
                case .held, .notModified, .failed: break
                }
            }
            let outcome = FlightOutcome(
                kind: kind,
                generation: 1,
                revision: revisions.withLock { $0[flight.key] },
                trace: nil
            )
            fetcher.withLock { $0 }?.finish(flight, with: outcome)
        }

        private func revision(of document: FetchedDocument) -> SourceRevision? {
            ContentDigest(bytes: [UInt8](repeating: 7, count: 32)).map { digest in
                SourceRevision(
                    source: document.source,
                    digest: digest,
                    validators: document.validators,
                    fetchedAt: 1,
                    traceID: document.trace.text
                )
            }
        }
    }

    init(_ specs: [SourceSpec], judge: @escaping Judge = Harness.acceptAll) throws {
        let log = Log(judge)
        self.log = log
        guard let fetcher = Fetcher(specs, sink: { flight, result, _ in log.take(flight, result) }) else {
            throw POSIXError(.ENOMEM)
        }
        self.fetcher = fetcher
        log.fetcher.withLock { $0 = fetcher }
    }

    deinit {
        log.fetcher.withLock { $0 = nil }
        _ = fetcher.stop(until: MonotonicTime.now.advanced(byNanoseconds: 10 * second))
    }

    /// Starts, and waits until every source was polled and the result finished.
    func start(inUse: [SourceName: SourceRevision] = [:]) throws {
        guard fetcher.start(inUse: inUse) else { throw POSIXError(.EAGAIN) }
        try waitUntil("every source was polled") {
            fetcher.statistics.inFlight == 0 && received.count >= fetcher.initialSpecs.count
        }
    }

    static let acceptAll: Judge = { result in
        switch result {
        case .document: .published
        case .notModified: .notModified
        case .failed(let failure, let retryAfter): .failed(failure, retryAfterNanoseconds: retryAfter)
        }
    }

    func judge(_ judge: @escaping Judge) { log.judge.withLock { $0 = judge } }

    var received: [Received] { log.received.withLock { $0 } }
    var last: FetchResult? { received.last?.result }

    func facts(_ name: String) -> SourceFacts? { fetcher.facts[sourceName(name)] }

    /// Asks as a poll does, and waits for the outcome.
    @discardableResult
    func refresh(_ name: String) throws -> FlightOutcome {
        let pending = try ask(name, .shared)
        return try waitFor("the outcome of \(name)") { pending.outcome }
    }

    /// Asks as an operator does who wants to know, and waits for the outcome.
    @discardableResult
    func command(_ name: String) throws -> FlightOutcome {
        let pending = try ask(name)
        return try waitFor("the outcome of \(name)") { pending.outcome }
    }

    func ask(_ name: String, _ freshness: Fetcher.Flights.Freshness = .requestedAfterNow) throws -> Pending {
        let pending = Pending()
        let ticket = try fetcher.fetch(sourceName(name), freshness) { pending.take($0) }
        pending.ticket = ticket
        return pending
    }

    final class Pending: Sendable {
        private let state = Mutex<(FlightOutcome?, Fetcher.Flights.Ticket?)>("test.pending", (nil, nil))

        var outcome: FlightOutcome? { state.withLock { $0.0 } }
        func take(_ outcome: FlightOutcome) { state.withLock { $0.0 = outcome } }

        var ticket: Fetcher.Flights.Ticket? {
            get { state.withLock { $0.1 } }
            set { state.withLock { $0.1 = newValue } }
        }
    }
}

extension FetchResult {
    var document: FetchedDocument? { if case .document(let document) = self { document } else { nil } }
    var isNotModified: Bool { if case .notModified = self { true } else { false } }
    var failure: StageFailure? { if case .failed(let failure, _) = self { failure } else { nil } }
    var retryAfter: UInt64? { if case .failed(_, let retryAfter) = self { retryAfter } else { nil } }
}

public import ConfigSnapshot
internal import LockLadder

/// What is known of a source: facts with their times, no judgement.
public struct SourceFacts: Sendable {
    public internal(set) var spec: SourceSpec
    /// All times in nanoseconds since 1970.
    public var lastRequestAt: Int64?
    public var lastSuccessAt: Int64?
    public var lastActivationAt: Int64?
    public var lastFailure: (failure: StageFailure, at: Int64)?
    public var failingSince: Int64?
    public var nextPollAt: Int64?
    public var consecutiveFailures = 0
    public var revision: SourceRevision?
    public var trace: Trace?
    /// What is in use came from the stored copy and no source has confirmed it since the start.
    public var isLastGood = false
    /// When it last became well again after it had failed, gone stale, or been served from the stored copy.
    public var recoveredAt: Int64?
    public var requests: UInt64 = 0
    public var notModified: UInt64 = 0
    public var published: UInt64 = 0
    public var unchanged: UInt64 = 0
    public var failuresByClass: [String: UInt64] = [:]
    public var timings = FetchTimings()

    public init(spec: SourceSpec) { self.spec = spec }

    /// A source that was not confirmed for this long is stale: three polls missed, and one request's time.
    public var staleAfterNanoseconds: Int64 {
        Int64(clamping: spec.poll.upperBound) * 3 + Int64(spec.timeoutMilliseconds) * 1_000_000
    }

    /// Whether there is anything about it that a judgement of the agent's health depends on.
    public func matters(at now: Int64) -> Bool {
        consecutiveFailures > 0 || isLastGood || revision == nil || recoveredAt != nil || (staleSince ?? now) < now
    }

    /// Since when it is, or from when it will be, stale.
    public var staleSince: Int64? { lastSuccessAt.map { $0 + staleAfterNanoseconds } }

    mutating func noteActivation(at now: Int64) {
        published += 1
        lastActivationAt = now
    }

    mutating func note(_ outcome: FlightOutcome, at now: Int64) {
        if let revision = outcome.revision { self.revision = revision }
        switch outcome.kind {
        case .failed(let failure, _):
            lastFailure = (failure, now)
            if consecutiveFailures == 0 { failingSince = now }
            consecutiveFailures += 1
            failuresByClass[failure.code, default: 0] += 1
            return
        case .published:
            noteActivation(at: now)
            trace = outcome.trace
        case .held: trace = outcome.trace
        case .unchanged: unchanged += 1
        case .notModified: notModified += 1
        }
        if consecutiveFailures > 0 || isLastGood || (staleSince ?? now) < now { recoveredAt = now }
        lastSuccessAt = now
        consecutiveFailures = 0
        failingSince = nil
        isLastGood = false
    }
}

/// The facts of all sources, for whoever reports on them.
final class SourceBoard: Sendable {
    private let facts: Mutex<[SourceName: SourceFacts]>

    init(_ specs: [SourceSpec]) {
        facts = Mutex(
            "sources.board",
            Dictionary(uniqueKeysWithValues: specs.map { ($0.name, SourceFacts(spec: $0)) })
        )
    }

    func update(_ source: SourceName, _ change: (inout SourceFacts) -> Void) {
        facts.withLock { facts in
            guard let index = facts.index(forKey: source) else { return }
            change(&facts.values[index])
        }
    }

    /// Takes over new sources. Of one that means something else now only what is in use and what was counted stays.
    func adopt(_ specs: [SourceSpec], inUse: [SourceName: SourceRevision], restored: Set<SourceName>) {
        facts.withLock { facts in
            let old = facts
            facts = Dictionary(
                uniqueKeysWithValues: specs.map { spec in
                    guard var known = old[spec.name] else {
                        var fresh = SourceFacts(spec: spec)
                        fresh.revision = inUse[spec.name]
                        fresh.isLastGood = restored.contains(spec.name)
                        return (spec.name, fresh)
                    }
                    if known.spec.version != spec.version {
                        known.consecutiveFailures = 0
                        known.failingSince = nil
                        known.revision = inUse[spec.name]
                        known.isLastGood = known.revision != nil && known.spec.url != spec.url
                    }
                    known.spec = spec
                    return (spec.name, known)
                }
            )
        }
    }

    /// A copy: the next change to any of them then has to copy them all. Not for what is done all the time.
    var all: [SourceName: SourceFacts] { facts.withLock { $0 } }

    /// Lends them out under the lock, for a short look.
    func read<Result: Sendable>(_ body: ([SourceName: SourceFacts]) -> Result) -> Result {
        facts.withLock { body($0) }
    }
}

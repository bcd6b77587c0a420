public import ConfigSnapshot
internal import ConfigTrust
internal import LockLadder

/// What is known of a source: facts with their times, no judgement.
public struct SourceFacts: Sendable {
    public internal(set) var spec: SourceSpec
    /// All times in nanoseconds since 1970.
    public var lastRequestAt: Int64?
    public var lastSuccessAt: Int64?
    /// When it last said that what is in use is the newest: while something else is pinned, its success is no such word.
    public var confirmedAt: Int64?
    public var lastActivationAt: Int64?
    public var lastFailure: (failure: StageFailure, at: Int64)?
    public var failingSince: Int64?
    public var nextPollAt: Int64?
    public var consecutiveFailures = 0
    /// What is in use.
    public var revision: SourceRevision?
    /// What the source wants to be in use: what it has offered last, whether it was accepted or not.
    public var desired: SourceRevision?
    /// What was last tried to bring into use, and what came of it.
    public var attempt: (revision: SourceRevision, failure: StageFailure?, at: Int64)?
    public var trace: Trace?
    /// The generation in which the document of that way became visible.
    public var traceGeneration: UInt64?
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
    /// Which of its places it is asked at, counted from 0, and how often that has changed.
    public var place = 0
    public var moves: UInt64 = 0
    /// How many documents another place has given under the name of the one in use.
    public var disagreements: UInt64 = 0
    /// `nil` where the source is not watched.
    public var watch: WatchFacts?
    /// Whether nobody has read its document lately, so that none is in use and the source is not asked.
    public var isAsleep: Bool

    /// Whether its last success was before it slept: what it confirmed then is not in use any more.
    private var hasSleptSince = false
    /// Its place among those of all.
    fileprivate var slot = 0

    public init(spec: SourceSpec) {
        self.spec = spec
        isAsleep = spec.isOnDemand
    }

    /// A source that was not confirmed for this long is stale: three polls missed, and one request's time.
    public var staleAfterNanoseconds: Int64 {
        Int64(clamping: spec.poll.upperBound) * 3 + Int64(spec.timeoutMilliseconds) * 1_000_000
    }

    /// From when on what is in use is out of date by its own word; `nil` where it does not say.
    public var expiresAt: Int64? {
        guard spec.policy != nil, let signed = revision?.signed else { return nil }
        let (nanoseconds, overflow) = signed.expires.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : nanoseconds
    }

    /// Why what is in use would not be taken any more; `nil` where it would.
    public var distrust: String? {
        guard let policy = spec.policy, let revision else { return nil }
        return policy.distrust(of: revision.signed)
    }

    /// Since when it is, or from when it will be, stale.
    public var staleSince: Int64? { isAsleep || hasSleptSince ? nil : lastSuccessAt.map { $0 + staleAfterNanoseconds } }

    /// Why, and whether at all, whoever reads its document is not to make it be asked now: it has failed, and its next try
    /// is still to come. That is not known yet in the moment after the failure.
    public func failureToRestFrom(at now: Int64) -> StageFailure? {
        guard consecutiveFailures > 0, nextPollAt.map({ $0 > now }) ?? !isAsleep else { return nil }
        return lastFailure?.failure
    }

    /// Takes over a new plan for it. Where it means something else now only what is in use and what was counted stays.
    fileprivate mutating func adopt(_ spec: SourceSpec, inUse: SourceRevision?) {
        if self.spec.version != spec.version {
            consecutiveFailures = 0
            failingSince = nil
            revision = inUse
            place = 0
            watch = nil
            isLastGood = revision != nil && self.spec.location != spec.location
            if isAsleep { nextPollAt = nil }
            // One that is read goes on being asked.
            isAsleep = spec.isOnDemand && (isAsleep || !self.spec.isOnDemand)
        }
        self.spec = spec
    }

    mutating func fallAsleep(at now: Int64) {
        if consecutiveFailures > 0 { recoveredAt = now }
        // Its failures stay, with the time of the next try: sleep is no way around it.
        if consecutiveFailures == 0 { nextPollAt = nil }
        isAsleep = true
        revision = nil
        isLastGood = false
        place = 0
        watch = nil
    }

    mutating func wakeUp() {
        isAsleep = false
        hasSleptSince = true
    }

    mutating func noteActivation(at now: Int64) {
        published += 1
        lastActivationAt = now
    }

    /// Its document, which has waited for those of other sources, has become visible with them: that wait was part of its
    /// way.
    mutating func noteRelease(in generation: UInt64, at now: Int64) {
        noteActivation(at: now)
        trace?[.published] = MonotonicTime.now.nanoseconds
        traceGeneration = generation
    }

    mutating func noteRunning(_ running: SourceRevision?, at now: Int64) {
        guard let running, running != revision else { return }
        use(running)
        attempt = (running, nil, now)
    }

    /// What was confirmed of another document says nothing of this one.
    private mutating func use(_ running: SourceRevision) {
        if running.digest != revision?.digest { confirmedAt = nil }
        revision = running
    }

    private mutating func noteRevisions(_ outcome: FlightOutcome, at now: Int64) {
        if let running = outcome.running { use(running) }
        guard let offered = outcome.offered else { return }
        desired = offered
        // What is held back has not been tried yet.
        if case .held = outcome.kind { return }
        attempt = (offered, outcome.failure, now)
    }

    mutating func note(_ outcome: FlightOutcome, at now: Int64) {
        noteRevisions(outcome, at: now)
        switch outcome.kind {
        case .failed(let failure, _):
            lastFailure = (failure, now)
            if consecutiveFailures == 0 { failingSince = now }
            consecutiveFailures += 1
            nextPollAt = nil
            failuresByClass[failure.code, default: 0] += 1
            return
        case .published:
            noteActivation(at: now)
            trace = outcome.trace
            traceGeneration = spec.isOnDemand ? nil : outcome.generation
        case .held: trace = outcome.trace
        case .unchanged: unchanged += 1
        case .notModified: notModified += 1
        }
        // A source that wakes up begins with its stored copy: that is no illness.
        let wasLastGood = isLastGood && !spec.isOnDemand
        if consecutiveFailures > 0 || wasLastGood || (staleSince ?? now) < now { recoveredAt = now }
        lastSuccessAt = now
        hasSleptSince = false
        if outcome.running?.digest == outcome.revision?.digest { confirmedAt = now }
        consecutiveFailures = 0
        failingSince = nil
        isLastGood = false
    }
}

/// What a judgement of all sources begins with: few bytes and no references, so that a look at ten thousand of them each
/// second costs next to nothing.
private struct Vitals {
    /// Whether it is to be looked at whatever the time is.
    var isConspicuous: Bool
    var isAsleep: Bool
    /// Whether there is something of it in use that all readers see.
    var isInUse: Bool
    var isLayer: Bool
    // Nanoseconds since 1970; the extremes where there is no such time.
    var confirmedAt: Int64
    var staleSince: Int64
    var expiresAt: Int64
    var recoveredAt: Int64

    /// - Parameter facts: lent, because a copy of all that is in them is what is to be avoided.
    init(of facts: inout SourceFacts) {
        isConspicuous =
            facts.consecutiveFailures > 0 || facts.isLastGood || facts.revision == nil || facts.distrust != nil
        isAsleep = facts.isAsleep
        isInUse = facts.revision != nil && !facts.spec.isOnDemand
        isLayer = !facts.spec.isOnDemand
        confirmedAt = facts.confirmedAt ?? .min
        staleSince = facts.staleSince ?? .max
        expiresAt = facts.expiresAt ?? .max
        recoveredAt = facts.recoveredAt ?? .min
    }

    /// - Returns: what is left of `facts` after a change, and whose it is.
    static func after(_ change: (inout SourceFacts) -> Void, _ facts: inout SourceFacts) -> (slot: Int, Vitals) {
        change(&facts)
        return (facts.slot, Vitals(of: &facts))
    }

    /// Whether a judgement of the agent's health depends on it.
    func matter(at now: Int64) -> Bool { !isAsleep && (isConspicuous || staleSince < now || expiresAt <= now) }
}

/// All sources at one time.
public struct SourcesOverview: Sendable {
    /// Those that a judgement of the agent's health depends on.
    public var mattering: [SourceFacts] = []
    public var count = 0
    /// When one of them recovered last, nanoseconds since 1970.
    public var recoveredAt: Int64?
    /// When all that is in use was last confirmed: the oldest of the confirmations; `nil` while one has had none.
    public var confirmedAt: Int64?
    /// The layers without a document.
    public var lacking: [SourceName] = []
}

/// The facts of all sources, for whoever reports on them.
final class SourceBoard: Sendable {
    private struct State {
        var facts: [SourceName: SourceFacts]
        /// In the order of ``SourceFacts/slot``.
        var names: [SourceName] = []
        var vitals: [Vitals] = []

        init(_ facts: [SourceName: SourceFacts]) {
            self.facts = facts
            names = Array(facts.keys)
            vitals.reserveCapacity(names.count)
            for (slot, name) in names.enumerated() {
                guard let index = self.facts.index(forKey: name) else { continue }
                self.facts.values[index].slot = slot
                vitals.append(Vitals(of: &self.facts.values[index]))
            }
        }
    }

    private let state: Mutex<State>

    init(_ specs: [SourceSpec]) {
        let facts = Dictionary(uniqueKeysWithValues: specs.map { ($0.name, SourceFacts(spec: $0)) })
        state = Mutex("sources.board", State(facts))
    }

    func update(_ source: SourceName, _ change: (inout SourceFacts) -> Void) {
        state.withLock { state in
            guard let index = state.facts.index(forKey: source) else { return }
            let (slot, vitals) = Vitals.after(change, &state.facts.values[index])
            state.vitals[slot] = vitals
        }
    }

    /// Takes over new sources. Of one that means something else now only what is in use and what was counted stays.
    func adopt(_ specs: [SourceSpec], inUse: [SourceName: SourceRevision], restored: Set<SourceName>) {
        state.withLock { state in
            let old = state.facts
            state = State(
                Dictionary(
                    uniqueKeysWithValues: specs.map { spec in
                        guard var known = old[spec.name] else {
                            var fresh = SourceFacts(spec: spec)
                            fresh.revision = inUse[spec.name]
                            fresh.isLastGood = restored.contains(spec.name)
                            return (spec.name, fresh)
                        }
                        known.adopt(spec, inUse: inUse[spec.name])
                        return (spec.name, known)
                    }
                )
            )
        }
    }

    /// A copy: the next change to any of them then has to copy them all. Not for what is done all the time.
    var all: [SourceName: SourceFacts] { state.withLock { $0.facts } }

    /// Lends them out under the lock, for a short look.
    func read<Result: Sendable>(_ body: ([SourceName: SourceFacts]) -> Result) -> Result {
        state.withLock { body($0.facts) }
    }

    var leastRecentConfirmation: Int64 {
        state.withLock { state in
            var least = Int64.max
            for vitals in state.vitals where vitals.isLayer { least = min(least, vitals.confirmedAt) }
            return least
        }
    }

    /// - Parameter now: nanoseconds since 1970.
    func overview(at now: Int64) -> SourcesOverview {
        state.withLock { state in
            var overview = SourcesOverview(count: state.names.count)
            var (recovered, confirmed) = (Int64.min, Int64.max)
            for slot in state.vitals.indices {
                let vitals = state.vitals[slot]
                if vitals.matter(at: now), let facts = state.facts[state.names[slot]] {
                    overview.mattering.append(facts)
                }
                recovered = max(recovered, vitals.recoveredAt)
                if vitals.isInUse {
                    confirmed = min(confirmed, vitals.confirmedAt)
                } else if vitals.isLayer {
                    overview.lacking.append(state.names[slot])
                }
            }
            overview.recoveredAt = recovered == .min ? nil : recovered
            overview.confirmedAt = confirmed == .min || confirmed == .max ? nil : confirmed
            return overview
        }
    }
}

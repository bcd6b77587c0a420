public import ConfigFetch
public import ConfigPublish
public import ConfigSnapshot
internal import LockLadder

/// How the agent is, judged anew from facts and time each time somebody asks. Nothing stores it.
public struct Health: Sendable, Equatable {
    public enum Level: Int, Sendable, Comparable {
        case healthy, degraded, failed

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    public struct Reason: Sendable, Equatable {
        /// Stable: `no_snapshot`, `source_awaited`, `source_failing`, `source_stale`, `source_last_good`, `source_expired`,
        /// `source_distrusted`, `pinned`, `frozen`, `not_durable`, `worker_behind`, `settings_refused`, `no_group_socket`.
        public var code: String
        public var source: SourceName?
        public var message: String
        /// Nanoseconds since 1970.
        public var since: Int64

        public init(_ code: String, source: SourceName? = nil, _ message: String, since: Int64) {
            self.code = code
            self.source = source
            self.message = message
            self.since = since
        }
    }

    public var level: Level
    /// Empty when healthy; the gravest and oldest first.
    public var reasons: [Reason]
    /// Since when, as far as this judgement alone tells, in nanoseconds since 1970; see ``HealthLevels``.
    public var since: Int64

    /// What a judgement is made from.
    public struct Facts: Sendable {
        public struct Worker: Sendable {
            public var name: String
            /// Since when it has been behind the newest generation; `nil` when it is not.
            public var behindSince: Int64?

            public init(name: String, behindSince: Int64?) {
                self.name = name
                self.behindSince = behindSince
            }
        }

        public var startedAt: Int64
        /// When the first snapshot was published; `nil`: there is none.
        public var firstSnapshotAt: Int64?
        /// Those that a judgement depends on.
        public var sources: [SourceFacts]
        /// When one of all sources recovered last.
        public var sourcesRecoveredAt: Int64?
        /// Required sources that a new configuration has added and that have not given a document yet.
        public var awaited: [SourceName]
        /// When that was, nanoseconds since 1970.
        public var awaitedSince: Int64
        public var store: Store.State
        /// What is in force of what an operator has commanded.
        public var operatorState: OperatorState
        /// What others have found, and what does not keep values from being served.
        public var concerns: [Reason]
        public var workers: [Worker]

        public init(
            startedAt: Int64,
            firstSnapshotAt: Int64?,
            sources: [SourceFacts],
            sourcesRecoveredAt: Int64? = nil,
            awaited: [SourceName] = [],
            awaitedSince: Int64 = 0,
            store: Store.State,
            operatorState: OperatorState = OperatorState(),
            concerns: [Reason] = [],
            workers: [Worker]
        ) {
            self.concerns = concerns
            self.operatorState = operatorState
            self.sourcesRecoveredAt = sourcesRecoveredAt
            self.awaited = awaited
            self.awaitedSince = awaitedSince
            self.startedAt = startedAt
            self.firstSnapshotAt = firstSnapshotAt
            self.sources = sources
            self.store = store
            self.workers = workers
        }
    }

    /// A worker may be this long behind before it is worth a word.
    static let workerGrace: Int64 = 2_000_000_000

    /// Judges `facts` as of `now`. A pure function.
    public static func judge(_ facts: Facts, now: Int64) -> Health {
        var reasons: [(level: Level, reason: Reason)] = []
        if facts.firstSnapshotAt == nil {
            reasons.append((.failed, noSnapshot(facts)))
        }
        for name in facts.awaited {
            let message = "not received yet; until it is there, the layers of before stay in force"
            reasons.append((.degraded, Reason("source_awaited", source: name, message, since: facts.awaitedSince)))
        }
        reasons += (commanded(facts.operatorState) + facts.concerns).map { (.degraded, $0) }
        for source in facts.sources {
            // What nobody asks for grows old: that is told above.
            let isOnlyFrozen =
                facts.operatorState.freeze != nil && source.consecutiveFailures == 0 && source.revision != nil
            if !isOnlyFrozen, let reason = reason(of: source, now: now) { reasons.append((.degraded, reason)) }
            if let reason = signatureReason(of: source, now: now) { reasons.append((.degraded, reason)) }
        }
        if let failure = facts.store.failure {
            reasons.append(
                (
                    .degraded,
                    Reason(
                        "not_durable",
                        "\(failure.error); what is served would not survive a crash",
                        since: failure.since
                    )
                )
            )
        }
        for worker in facts.workers {
            guard let since = worker.behindSince, now - since > workerGrace else { continue }
            reasons.append(
                (.degraded, Reason("worker_behind", "\(worker.name) still reads an older generation", since: since))
            )
        }
        reasons.sort { $0.level != $1.level ? $0.level > $1.level : $0.reason.since < $1.reason.since }
        guard let worst = reasons.first else {
            return Health(level: .healthy, reasons: [], since: healthySince(facts))
        }
        return Health(level: worst.level, reasons: reasons.map(\.reason), since: worst.reason.since)
    }

    /// What somebody has commanded is no illness, and still the configuration does not follow its sources.
    private static func commanded(_ state: OperatorState) -> [Reason] {
        func why(_ command: Command) -> String {
            "by \(command.by.name)" + (command.reason.map { ": \($0)" } ?? "")
        }
        var reasons: [Reason] = []
        if let pin = state.pin {
            let message = "generation \(pin.generation) is pinned \(why(pin.command))"
            reasons.append(Reason("pinned", message, since: pin.command.at))
        }
        if let freeze = state.freeze {
            reasons.append(Reason("frozen", "the sources are frozen \(why(freeze))", since: freeze.at))
        }
        return reasons
    }

    private static func noSnapshot(_ facts: Facts) -> Reason {
        let missing = facts.sources.filter { $0.revision == nil && !$0.spec.isOnDemand }.map(\.spec.name.text).sorted()
        let names = missing.isEmpty ? "" : " from \(missing.joined(separator: ", "))"
        return Reason("no_snapshot", "no configuration yet: nothing was received\(names)", since: facts.startedAt)
    }

    private static func reason(of source: SourceFacts, now: Int64) -> Reason? {
        let name = source.spec.name
        if source.consecutiveFailures > 0, let failure = source.lastFailure {
            let times = source.consecutiveFailures == 1 ? "" : " (\(source.consecutiveFailures) times in a row)"
            let lastGood =
                source.isLastGood ? source.revision.map { "last good, \(age(now - $0.fetchedAt)) old; " } : nil
            return Reason(
                "source_failing",
                source: name,
                "\(lastGood ?? "")\(failure.failure)\(times)",
                since: source.failingSince ?? failure.at
            )
        }
        // One on demand begins with its stored copy each time that it is loaded, while it is being asked.
        if source.isLastGood, !source.spec.isOnDemand, let revision = source.revision {
            return Reason(
                "source_last_good",
                source: name,
                "last good, \(age(now - revision.fetchedAt)) old; not confirmed since the start",
                since: revision.fetchedAt
            )
        }
        if let since = source.staleSince, since < now {
            return Reason("source_stale", source: name, "not confirmed for longer than expected", since: since)
        }
        return nil
    }

    /// What is wrong with the signature of what is in use, which goes on being served.
    private static func signatureReason(of source: SourceFacts, now: Int64) -> Reason? {
        guard !source.isAsleep, let revision = source.revision else { return nil }
        if let words = source.distrust {
            let message = "what is in use is not to be believed any more: \(words)"
            return Reason("source_distrusted", source: source.spec.name, message, since: revision.fetchedAt)
        }
        guard let since = source.expiresAt, since <= now else { return nil }
        let message = "\(revision.label) has expired \(age(now - since)) ago, and nothing newer has come"
        return Reason("source_expired", source: source.spec.name, message, since: since)
    }

    /// `45 s`, `12 min`, `3 h`, `2 d`.
    private static func age(_ nanoseconds: Int64) -> String {
        let seconds = max(0, nanoseconds / 1_000_000_000)
        return switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7_200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3_600) h"
        default: "\(seconds / 86_400) d"
        }
    }

    private static func healthySince(_ facts: Facts) -> Int64 {
        let recoveries = [facts.sourcesRecoveredAt, facts.store.recoveredAt, facts.firstSnapshotAt].compactMap { $0 }
        return recoveries.max() ?? facts.startedAt
    }
}

/// Since when health has been at its level, which no single judgement can tell: a reason that is gone leaves no trace.
///
/// Thread-safe.
public final class HealthLevels: Sendable {
    private struct Seen {
        var level: Health.Level
        var since: Int64
        var at: Int64
    }

    /// How far judgements may overtake each other.
    private static let overtaking: Int64 = 10_000_000_000

    private let startedAt: Int64
    private let seen = Mutex<Seen?>("agent.health", nil)

    public init(startedAt: Int64) { self.startedAt = startedAt }

    /// The judgement with the time at which the level was seen to change: never before the start, never going back.
    ///
    /// - Parameter now: of the judgement, in nanoseconds since 1970.
    public func note(_ health: Health, at now: Int64) -> Health {
        seen.withLock { seen in
            var health = health
            guard let last = seen else {
                health.since = max(startedAt, min(health.since, now))
                seen = Seen(level: health.level, since: health.since, at: now)
                return health
            }
            // Another thread may have judged later, and told it earlier; or the clock was put back.
            if last.at <= now || last.at - now > Self.overtaking {
                let since = last.level == health.level ? last.since : max(last.since, now)
                seen = Seen(level: health.level, since: since, at: now)
                health.since = since
            } else {
                health.since = last.since
            }
            return health
        }
    }
}

import AgentTestSupport
import ConfigFetch
import ConfigSnapshot
import Testing

@testable import ConfigAgent
@testable import ConfigPublish

@Suite("Health is judged from facts and time")
struct HealthTests {
    private static let now: Int64 = 1_000_000_000_000
    private static let timeout = StageFailure(.fetch, "timeout", "too slow")

    private static func facts(_ name: String, _ change: (inout SourceFacts) -> Void = { _ in }) -> SourceFacts {
        var spec = SourceSpec(
            name: sourceName(name),
            kind: .http,
            url: "http://a.example/",
            poll: second...(2 * second)
        )
        spec.timeoutMilliseconds = 1_000
        var facts = SourceFacts(spec: spec)
        facts.revision = SourceRevision(
            source: spec.name,
            digest: LeafTable.empty.contentDigest,
            validators: .none,
            fetchedAt: 5,
            traceID: "t"
        )
        facts.lastSuccessAt = now
        change(&facts)
        return facts
    }

    private static func judge(
        firstSnapshotAt: Int64? = 20,
        _ sources: [SourceFacts] = [],
        store: Store.State = Store.State(),
        workers: [Health.Facts.Worker] = [],
        now: Int64 = now
    ) -> Health {
        Health.judge(
            Health.Facts(
                startedAt: 10,
                firstSnapshotAt: firstSnapshotAt,
                sources: sources,
                sourcesRecoveredAt: sources.compactMap(\.recoveredAt).max(),
                store: store,
                workers: workers
            ),
            now: now
        )
    }

    private static var failingStore: Store.State {
        var state = Store.State()
        state.failure = (FileError(operation: "write", path: "/x", code: 28), since: 300)
        return state
    }

    /// How it is, and every reason with its time.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var health: Health
        var level: Health.Level
        var reasons: [String]
        var since: Int64
    }

    private static let sourceCases = [
        Case(testDescription: "all is well", health: judge([facts("a")]), level: .healthy, reasons: [], since: 20),
        Case(
            testDescription: "one failure",
            health: judge([
                facts("a") {
                    $0.consecutiveFailures = 1
                    $0.lastFailure = (timeout, 200)
                    $0.failingSince = 100
                }
            ]),
            level: .degraded,
            reasons: ["source_failing a 100"],
            since: 100
        ),
        Case(
            testDescription: "a failure that is over",
            health: judge([
                facts("a") {
                    $0.lastFailure = (timeout, 200)
                    $0.recoveredAt = 250
                }
            ]),
            level: .healthy,
            reasons: [],
            since: 250
        ),
        Case(
            testDescription: "a failure hides that the stored copy is served",
            health: judge([
                facts("a") {
                    $0.consecutiveFailures = 3
                    $0.lastFailure = (timeout, 200)
                    $0.failingSince = 150
                    $0.isLastGood = true
                }
            ]),
            level: .degraded,
            reasons: ["source_failing a 150"],
            since: 150
        ),
        Case(
            testDescription: "the stored copy is served",
            health: judge([facts("a") { $0.isLastGood = true }]),
            level: .degraded,
            reasons: ["source_last_good a 5"],
            since: 5
        ),
        Case(
            testDescription: "not yet stale",
            health: judge([facts("a")], now: now + 7_000_000_000),
            level: .healthy,
            reasons: [],
            since: 20
        ),
        Case(
            testDescription: "stale after three polls and a request",
            health: judge([facts("a")], now: now + 7_000_000_001),
            level: .degraded,
            reasons: ["source_stale a \(now + 7_000_000_000)"],
            since: now + 7_000_000_000
        ),
        Case(
            testDescription: "the oldest first",
            health: judge([
                facts("a") {
                    $0.consecutiveFailures = 1
                    $0.lastFailure = (timeout, 400)
                    $0.failingSince = 400
                },
                facts("b") { $0.isLastGood = true },
            ]),
            level: .degraded,
            reasons: ["source_last_good b 5", "source_failing a 400"],
            since: 5
        ),
    ]

    private static let otherCases = [
        Case(
            testDescription: "nothing yet",
            health: judge(firstSnapshotAt: nil, [facts("a") { $0.revision = nil }]),
            level: .failed,
            reasons: ["no_snapshot - 10"],
            since: 10
        ),
        Case(
            testDescription: "no snapshot is graver than what is older",
            health: judge(firstSnapshotAt: nil, [facts("a") { $0.isLastGood = true }], store: failingStore),
            level: .failed,
            reasons: ["no_snapshot - 10", "source_last_good a 5", "not_durable - 300"],
            since: 10
        ),
        Case(
            testDescription: "the disk is full",
            health: judge([facts("a")], store: failingStore),
            level: .degraded,
            reasons: ["not_durable - 300"],
            since: 300
        ),
        Case(
            testDescription: "a worker is behind, but not for long",
            health: judge(workers: [.init(name: "w", behindSince: now - 2_000_000_000)]),
            level: .healthy,
            reasons: [],
            since: 20
        ),
        Case(
            testDescription: "a worker is behind",
            health: judge(workers: [
                .init(name: "v", behindSince: nil), .init(name: "w", behindSince: now - 2_000_000_001),
            ]),
            level: .degraded,
            reasons: ["worker_behind - \(now - 2_000_000_001)"],
            since: now - 2_000_000_001
        ),
    ]

    @Test(arguments: sourceCases + otherCases)
    func table(_ one: Case) {
        #expect(one.health.level == one.level)
        let reasons = one.health.reasons.map { "\($0.code) \($0.source?.text ?? "-") \($0.since)" }
        #expect(reasons == one.reasons)
        #expect(one.health.since == one.since)
    }

    @Test("Well since the last recovery of anything")
    func recoveries() {
        var store = Store.State()
        store.recoveredAt = 500
        #expect(Self.judge([Self.facts("a") { $0.recoveredAt = 400 }], store: store).since == 500)
        #expect(Self.judge([Self.facts("a") { $0.recoveredAt = 600 }, Self.facts("b")], store: store).since == 600)
        #expect(Self.judge(firstSnapshotAt: 700, [Self.facts("a")], store: store).since == 700)
    }

    @Test func messages() {
        let missing = Self.judge(
            firstSnapshotAt: nil,
            [
                Self.facts("b") { $0.revision = nil }, Self.facts("c"), Self.facts("a") { $0.revision = nil },
            ]
        )
        #expect(missing.reasons.first?.message.hasSuffix("from a, b") == true)
        let failing = Self.judge([
            Self.facts("a") {
                $0.consecutiveFailures = 3
                $0.lastFailure = (Self.timeout, 200)
            }
        ])
        #expect(failing.reasons.first?.message == "fetch: too slow (3 times in a row)")
        #expect(failing.reasons.first?.since == 200)
        #expect(Self.judge(store: Self.failingStore).reasons.first?.message.contains("/x") == true)
    }

    @Test("The same facts at the same time give the same judgement")
    func pure() {
        let facts = Health.Facts(
            startedAt: 10,
            firstSnapshotAt: nil,
            sources: [Self.facts("a") { $0.isLastGood = true }],
            store: Self.failingStore,
            workers: [.init(name: "w", behindSince: 1)]
        )
        #expect(Health.judge(facts, now: Self.now) == Health.judge(facts, now: Self.now))
    }

    @Test("What others have found degrades it")
    func concerns() {
        let facts = Health.Facts(
            startedAt: 10,
            firstSnapshotAt: 20,
            sources: [],
            store: Store.State(),
            concerns: [.init("settings_refused", source: sourceName("a"), "not right", since: 30)],
            workers: []
        )
        let health = Health.judge(facts, now: Self.now)
        #expect(health.level == .degraded)
        #expect(health.reasons.map(\.code) == ["settings_refused"])
    }

    @Test("A level is as old as it was seen to be: never older than the agent, whatever the reasons say")
    func levels() {
        let levels = HealthLevels(startedAt: 100)
        func seen(_ level: Health.Level, since: Int64, at now: Int64) -> Int64 {
            levels.note(Health(level: level, reasons: [], since: since), at: now).since
        }
        #expect(seen(.degraded, since: 5, at: 200) == 100)
        #expect(seen(.degraded, since: 150, at: 210) == 100)
        // As after an unpin, which leaves no trace in the facts.
        #expect(seen(.healthy, since: 20, at: 220) == 220)
        #expect(seen(.healthy, since: 20, at: 230) == 220)
        // One who has judged before and comes late changes nothing.
        #expect(seen(.degraded, since: 5, at: 225) == 220)
        #expect(seen(.healthy, since: 20, at: 240) == 220)
        #expect(seen(.degraded, since: 5, at: 250) == 250)
        // A clock that was put back.
        let hour: Int64 = 3_600_000_000_000
        #expect(seen(.healthy, since: 5, at: 250 - hour) == 250)
        #expect(seen(.degraded, since: 5, at: 251 - hour) == 250)
        #expect(seen(.degraded, since: 5, at: 260) == 250)
    }
}

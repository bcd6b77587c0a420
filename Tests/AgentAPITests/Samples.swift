import AgentAPI

/// One answer of each kind with every member present.
enum Samples {
    static let time = WireTime(unixNanoseconds: 1_795_356_187_250_999_999)

    static let error = SourceError(
        at: time,
        stage: "decode",
        code: "duplicate_key",
        message: "line 7: \"db\" stands twice",
        hint: "remove one"
    )

    static let source = SourceStatus(
        state: .lastGood,
        required: true,
        url: "https://config.example.net/app.json?token=…",
        revision: "r42",
        digest: "ab12",
        lastRequest: time,
        lastSuccess: time,
        lastActivation: time,
        lastError: error,
        nextPoll: time,
        consecutiveFailures: 2,
        place: PlaceStatus(url: "https://mirror.example.com/app.json", index: 1, count: 3, moves: 5, disagreements: 2),
        trace: StageTimes(
            id: "0123456789abcdef",
            requestedToReceivedMicroseconds: 1,
            receivedToCheckedMicroseconds: 6,
            receivedToVerifiedMicroseconds: 2,
            verifiedToDecodedMicroseconds: 3,
            decodedToPublishedMicroseconds: 4,
            publishedToWorkersMicroseconds: 5
        ),
        desired: RevisionInfo(revision: "v8", digest: "ab12", at: time, error: error),
        attempted: RevisionInfo(revision: "v8", digest: "ab12", at: time, error: error),
        expires: time
    )

    static let status = StatusReport(
        apiVersion: "v1",
        agent: AgentInfo(
            version: "0.1.0",
            pid: 4711,
            startedAt: time,
            uptimeSeconds: 12.5,
            host: "web-1",
            configFile: "/etc/agent"
        ),
        health: HealthState(
            level: .degraded,
            reasons: [HealthReason(code: "source_stale", source: "app", message: "not confirmed", since: time)],
            since: time
        ),
        generation: 42,
        durableGeneration: 41,
        snapshot: SnapshotInfo(generation: 42, digest: "cd34", publishedAt: time, keys: 1000, ageSeconds: 3.25),
        confirmedAt: time,
        workers: WorkerPool(
            count: 1,
            current: 1,
            list: [WorkerInfo(name: "agent-worker-0", generation: 42, lag: 0, reads: 9)]
        ),
        sources: ["app": source],
        flights: FlightCounts(calls: 70, folded: 63, flights: 7, failures: 1, inFlight: 2),
        clients: ["config": ClientCounts(connections: 3, watchers: 2, cutOff: ["idle": 1])],
        journal: JournalCounts(sent: 12, dropped: 3, destination: .journald),
        operatorStatus: operatorStatus
    )

    static let command = CommandInfo(uid: 0, user: "root", pid: 4711, at: time, reason: "incident 7")

    static let operatorStatus = OperatorStatus(pin: PinInfo(generation: 41, command: command), freeze: command)

    static let action = ActionReport(action: "pin", generation: 42, durable: true, operatorStatus: operatorStatus)

    static let history = HistoryReport(
        generation: 42,
        durableGeneration: 41,
        generations: [
            GenerationInfo(
                generation: 40,
                last: 42,
                starts: [42],
                publishedAt: time,
                digest: "cd34",
                keys: 1000,
                cause: "rollback 7",
                command: command,
                pinned: true,
                layers: [LayerInfo(source: "app", revision: "v7", fetchedAt: time)]
            )
        ]
    )

    static let quarantined = QuarantinedDocument(
        source: "app",
        digest: String(repeating: "ab", count: 32),
        reasons: ["line 1, column 2: port: has to be at most 65535"],
        count: 3,
        since: time,
        last: time,
        times: 2,
        accepted: command
    )

    static let diff = DiffReport(
        from: 41,
        to: 42,
        changes: [KeyChange(key: "a.b", old: "1", new: "\"x\"")],
        total: 1
    )

    static let explanation = ExplainReport(
        key: "a.b",
        value: "1",
        owners: [OwnerInfo(source: "app", revision: "v7", layer: 0)],
        since: 41,
        sinceAt: time,
        mayBeOlder: false,
        before: "2",
        without: "3"
    )

    static let locks = LocksReport(
        accounting: true,
        since: time,
        locks: [
            LockStatus(
                name: "publish",
                kind: "mutex",
                instances: 1,
                acquisitions: 1000,
                contended: 12,
                spins: 40,
                parks: 5,
                waiting: 2,
                waitingMicroseconds: 3_000,
                waitingSite: "Publisher.swift:51",
                holdingSite: "Publisher.swift:60",
                waitTotalMicroseconds: 45_000,
                waitMaxMicroseconds: 12_000,
                waitMaxSite: "Publisher.swift:52",
                waitMaxHolderSite: "Publisher.swift:60",
                gaveUp: 1,
                wakeTotalMicroseconds: 300,
                wakeLatencyMaxMicroseconds: 90,
                waitersMax: 3,
                holderSite: "Publisher.swift:44",
                holdMaxMicroseconds: 11_000,
                holdSamples: 3,
                holdMeanMicroseconds: 1.25,
                waitCount: 12,
                waitHistogram: [HistogramBucket(upToMicroseconds: 1000, count: 9)]
            )
        ]
    )

    static let sources = SourcesReport(sources: [
        SourceDetail(
            name: "app",
            layer: 0,
            kind: "https",
            poll: PollInterval(minSeconds: 10, maxSeconds: 60),
            status: source,
            requests: 100,
            notModified: 90,
            published: 4,
            unchanged: 2,
            failuresByClass: ["timeout": 4],
            timings: [
                "total": FetchTimes(
                    count: 100,
                    sumMicroseconds: 12_000,
                    maxMicroseconds: 900,
                    histogram: [HistogramBucket(upToMicroseconds: 250, count: 99)]
                )
            ],
            watch: WatchStatus(open: false, since: time, changes: 7, failures: 2, lastError: error)
        )
    ])

    static let refresh = RefreshReport(
        generation: 43,
        sources: [
            "app": SourceRefresh(
                outcome: .published,
                generation: 43,
                revision: "r43",
                error: error,
                durationMilliseconds: 12.5,
                folded: true
            )
        ]
    )

    static let reload = ReloadReport(
        generation: 43,
        added: ["extra"],
        removed: ["old"],
        changed: [ChangedSource(name: "app", settings: ["url"])],
        unchanged: 2,
        settings: ["locks"],
        awaited: ["extra"]
    )

    static let refusal = ErrorReport(
        error: ErrorDetail(
            code: "no_such_key",
            message: "there is no key 'db.ulr'",
            hint: "keys are case-sensitive",
            nearest: ["db.url"],
            details: ["one", "two"]
        )
    )

    static let health = HealthReport(status: .starting, reasons: ["source app was not there yet"])
}

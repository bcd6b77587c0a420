/// Which subjects meet under which conditions, and what has to come out: goals P1 to P9.
enum Plan {
    // MARK: Snapshots

    private static let handle = Subject("ladder, reader handle", .swift, "handle")
    private static let implicit = Subject("ladder, implicit", .swift, "implicit")
    private static let loop = Subject("ladder, loop reader", .swift, "loop")
    private static let strong = Subject("ladder, strong copy", .swift, "strong")
    private static let acquire = Subject("C acquire load", .c, "c-acquire")
    private static let memb = Subject("liburcu memb", .c, "urcu-memb")
    private static let arcCache = Subject("arc-swap Cache", .rust, "arc-swap-cache")

    private static let snapshotReaders = [
        handle, acquire, arcCache, memb, implicit, loop, strong,
        Subject("liburcu qsbr", .c, "urcu-qsbr"),
        Subject("Go atomic.Pointer", .go, "go-atomic-pointer"),
        Subject("arc-swap load", .rust, "arc-swap-load"),
        Subject("arc-swap load_full", .rust, "arc-swap-load-full"),
        Subject("crossbeam-epoch pin", .rust, "crossbeam-epoch"),
        Subject("std RwLock", .rust, "std-rwlock"),
        Subject("parking_lot RwLock", .rust, "parking-lot-rwlock"),
        Subject("libstdc++ atomic<shared_ptr>", .cpp, "libstdcxx-atomic-shared-ptr"),
        Subject("Synchronization.Mutex, copied out", .swift, "swift-mutex-copy"),
        Subject("swift-atomics strong reference", .swift, "swift-atomics-strong"),
    ]

    private static func snapshotReads(_ condition: String, threads: Int, isGoal: Bool) -> Contest {
        let p1 = "P1"
        return Contest(
            "snapshot-read",
            condition,
            threads: threads,
            ["writer=\(condition == "quiet" ? "none" : condition)"],
            snapshotReaders,
            [
                Comparison(handle, to: acquire, isGoal ? .atMost(1.1, p1) : nil),
                Comparison(handle, to: arcCache, isGoal ? .atMost(0.9, p1) : nil),
                Comparison(handle, to: memb, isGoal ? .atMost(0.35, p1) : nil),
                Comparison(implicit, to: memb, isGoal ? .atMost(0.8, "P2") : nil),
            ]
        )
    }

    private static let publisher = Subject("ladder", .swift, "ladder")
    private static let counted = Subject("ladder, counted", .swift, "ladder", ["live=1"])
    private static let arcStore = Subject("arc-swap store", .rust, "arc-swap")

    private static func publications(readers: Int) -> Contest {
        Contest(
            "snapshot-publish",
            "\(readers) readers",
            threads: readers,
            [],
            [
                publisher, arcStore, counted,
                Subject("crossbeam-epoch", .rust, "crossbeam-epoch"),
                Subject("liburcu memb", .c, "urcu-memb"),
                Subject("liburcu qsbr", .c, "urcu-qsbr"),
                Subject("Go atomic.Pointer", .go, "go-atomic-pointer"),
                Subject("libstdc++ atomic<shared_ptr>", .cpp, "libstdcxx-atomic-shared-ptr"),
                Subject("swift-atomics strong reference", .swift, "swift-atomics-strong"),
            ],
            [
                Comparison(publisher, to: arcStore, .atMost(1.0, "P3")),
                Comparison(counted, .live, to: nil, .atMost(Double(readers + 3), "P3")),
            ]
        )
    }

    // MARK: Mutexes

    private static let mutex = Subject("ladder", .swift, "ladder")
    private static let mutexNotCounting = Subject("ladder, accounting compiled out", .swiftNotCounting, "ladder")
    private static let pthreadMutex = Subject("pthread", .c, "pthread")

    private static func mutexes(_ condition: String, threads: Int, work: Int, atMost limit: Double) -> Contest {
        var comparisons = [
            Comparison(mutex, to: pthreadMutex, .atMost(limit, "P4")),
            Comparison(mutex, to: mutexNotCounting, threads == 1 && work == 0 ? .atMost(1.03, "P4") : nil),
        ]
        if threads == 8 { comparisons.append(Comparison(mutex, .fairness, to: nil, .atLeast(0.2, "P4"))) }
        return Contest(
            "mutex",
            condition,
            threads: threads,
            ["work=\(work)"],
            [
                mutex, pthreadMutex, mutexNotCounting,
                Subject("parking_lot", .rust, "parking-lot"),
                Subject("Rust std", .rust, "std-mutex"),
                Subject("Go", .go, "go-mutex"),
                Subject("C++ std", .cpp, "std-mutex"),
                Subject("Synchronization.Mutex", .swift, "swift-synchronization"),
            ],
            comparisons
        )
    }

    // MARK: Read-write locks

    private static let rwLock = Subject("ladder, reader handle", .swift, "ladder")
    private static let pthreadRW = Subject("pthread", .c, "pthread")

    private static func readLocks(_ condition: String, threads: Int, atMost limit: Double?) -> Contest {
        var comparisons = [Comparison(rwLock, to: pthreadRW, limit.map { .atMost($0, "P5") })]
        // Two processors: a goal as long as readers and writer have one each.
        if condition != "quiet" {
            comparisons.append(
                Comparison(rwLock, .writeWaitP99, to: nil, threads == 1 ? .atMost(1e6, "P5") : nil)
            )
        }
        return Contest(
            "rw-read",
            condition,
            threads: threads,
            ["writer=\(condition == "quiet" ? "none" : condition)"],
            [
                rwLock, pthreadRW,
                Subject("ladder, implicit", .swift, "ladder-implicit"),
                Subject("ladder, readers first", .swift, "ladder", ["preference=readers"]),
                Subject("parking_lot", .rust, "parking-lot"),
                Subject("Rust std", .rust, "std-rwlock"),
                Subject("Go", .go, "go-rwmutex"),
                Subject("C++ shared_mutex", .cpp, "std-shared-mutex"),
            ],
            comparisons
        )
    }

    private static let writes = Contest(
        "rw-write",
        "",
        [],
        [
            rwLock, pthreadRW,
            Subject("parking_lot", .rust, "parking-lot"),
            Subject("Rust std", .rust, "std-rwlock"),
            Subject("Go", .go, "go-rwmutex"),
        ],
        [Comparison(rwLock, .ns, to: nil, .atMost(20_000, "P5"))]
    )

    // MARK: Single-flight

    private static let goFlight = Subject("Go x/sync singleflight", .go, "go-singleflight")
    private static let asyncFlight = Subject("ladder, async", .swift, "async")
    private static let threadFlight = Subject("ladder, threads", .swift, "threads")
    private static let rustFlight = Subject("Rust Mutex + Condvar", .rust, "rust-condvar")
    private static let callersFlight = Subject("ladder, async, in the caller's task", .swift, "async-callers")
    private static let flights = [goFlight, asyncFlight, callersFlight, threadFlight, rustFlight]

    private static let lonelyFlights = Contest(
        "flight-alone",
        "",
        [],
        flights,
        [
            Comparison(callersFlight, to: goFlight, .atMost(0.4, "P6")),
            Comparison(asyncFlight, to: goFlight, .atMost(0.4, "P6")),
            Comparison(threadFlight, to: goFlight, .atMost(0.6, "P6")),
        ]
    )

    private static let crowdedFlights = Contest(
        "flight-crowd",
        "64 callers",
        threads: 64,
        ["callers=64"],
        flights.filter { $0 != callersFlight },
        [
            Comparison(asyncFlight, .p99, to: goFlight, .atMost(1.5, "P6")),
            Comparison(asyncFlight, .folded, to: nil, .atLeast(60, "P6")),
            Comparison(threadFlight, .folded, to: nil, .atLeast(60, "P6")),
            Comparison(threadFlight, .p99, to: goFlight),
        ]
    )

    // MARK: Counters, keys, maps, once, pools

    private static let paddedTwo = Subject("ladder, padded", .swift, "ladder", threads: 2, ["layout=padded"])
    private static let paddedOne = Subject("ladder, padded, alone", .swift, "ladder", threads: 1, ["layout=padded"])
    private static let adjacent = Subject("adjacent", .swift, "ladder", threads: 2, ["layout=adjacent"])

    private static let counters = Contest(
        "counter",
        "",
        threads: 2,
        [],
        [
            paddedTwo, paddedOne, adjacent,
            Subject("ladder, striped", .swift, "ladder", threads: 2, ["layout=striped"]),
            Subject("C, 128 bytes apart", .c, "c", threads: 2, ["layout=padded"]),
            Subject("C, adjacent", .c, "c", threads: 2, ["layout=adjacent"]),
        ],
        [
            Comparison(paddedTwo, to: paddedOne, .atMost(1.05, "P7")),
            Comparison(adjacent, to: paddedTwo, .atLeast(3, "P7")),
        ]
    )

    private static let keyByString = Subject("ladder, String", .swift, "snapshot-leaf")
    private static let keyByLiteral = Subject("ladder, StaticString", .swift, "snapshot-static")
    private static let keyInterned = Subject("ladder, remembered", .swift, "snapshot-interned")
    private static let goMap = Subject("Go map", .go, "go-map")
    private static let dictionary = Subject("Swift Dictionary", .swift, "dictionary")
    private static let unorderedMap = Subject("C++ unordered_map", .cpp, "unordered_map")

    private static func keys(_ count: Int) -> Contest {
        let isSmall = count <= 1_000
        let others = [
            keyByString, goMap, dictionary, unorderedMap, keyInterned,
            Subject("Rust HashMap", .rust, "hashmap"),
            Subject("ladder, String, and its JSON read", .swift, "snapshot"),
            Subject("the loop alone, nothing looked up", .swift, "order"),
        ]
        return Contest(
            "key",
            "\(count) keys",
            ["keys=\(count)"],
            isSmall ? others + [keyByLiteral] : others,
            isSmall
                ? [
                    Comparison(keyByString, to: goMap, .atMost(1.0, "P8")),
                    Comparison(keyByString, to: dictionary, .atMost(0.12, "P8")),
                    Comparison(keyInterned, to: goMap, .atMost(0.1, "P8")),
                ]
                : [Comparison(keyByString, to: unorderedMap, .atMost(0.5, "P8"))]
        )
    }

    private static func maps(threads: Int) -> Contest {
        let ours = Subject("ladder", .swift, "ladder")
        let syncMap = Subject("Go sync.Map", .go, "go-sync-map")
        return Contest(
            "map",
            "1khz",
            threads: threads,
            ["writer=1khz"],
            [
                ours, syncMap,
                Subject("dashmap", .rust, "dashmap"),
                Subject("Rust RwLock<HashMap>", .rust, "rwlock-hashmap"),
            ],
            [Comparison(ours, to: syncMap)]
        )
    }

    private static let onces: Contest = {
        let ours = Subject("ladder", .swift, "ladder")
        let pthread = Subject("pthread_once", .c, "pthread_once")
        return Contest(
            "once",
            "",
            [],
            [ours, pthread, Subject("Go sync.Once", .go, "go-once"), Subject("Rust OnceLock", .rust, "OnceLock")],
            [Comparison(ours, to: pthread)]
        )
    }()

    private static let pools: Contest = {
        let pooled = Subject("ladder, pooled", .swift, "ladder", ["layout=pooled"])
        let plain = Subject("allocated each time", .swift, "ladder", ["layout=plain"])
        return Contest(
            "pool",
            "64 KiB",
            [],
            [pooled, plain, Subject("Go sync.Pool", .go, "go-sync-pool")],
            [Comparison(pooled, to: plain), Comparison(pooled, .allocations, to: plain)]
        )
    }()

    // MARK: The whole of it

    /// Everything, in the order in which the ladder is climbed.
    static var full: [Contest] {
        var contests = [counters, onces, pools]
        for condition in ["quiet", "1khz", "flat"] {
            for threads in [1, 2, 8] {
                contests.append(
                    snapshotReads(condition, threads: threads, isGoal: condition != "flat" && threads <= 2)
                )
            }
        }
        contests += [publications(readers: 0), publications(readers: 1)]
        contests += [
            mutexes("tight", threads: 1, work: 0, atMost: 0.55),
            mutexes("tight", threads: 2, work: 0, atMost: 0.5),
            mutexes("tight", threads: 8, work: 0, atMost: 0.5),
            mutexes("60 ns outside", threads: 2, work: 40, atMost: 1.0),
            mutexes("60 ns outside", threads: 8, work: 40, atMost: 1.0),
        ]
        for condition in ["quiet", "1khz", "flat"] {
            for threads in [1, 2, 8] {
                let limit: Double? = condition == "quiet" ? (threads == 1 ? 0.05 : threads == 2 ? 0.02 : nil) : nil
                contests.append(readLocks(condition, threads: threads, atMost: limit))
            }
        }
        contests += [writes, keys(256), keys(1_000_000), maps(threads: 1), maps(threads: 2)]
        contests += [lonelyFlights, crowdedFlights]
        return contests
    }

    /// What a change is most likely to make slower, and what two processors measure alike from run to run. Each subject
    /// with several anchors, so that one that happens to be slow or fast decides nothing. Single-flight is not among them: a
    /// call allocates and wakes, and differs by a tenth from minute to minute.
    static var quick: [Contest] {
        let reads: [(Subject, [Subject])] = [(handle, [acquire, memb, arcCache]), (implicit, [memb, acquire])]
        return [
            held(snapshotReads("quiet", threads: 1, isGoal: false), reads),
            held(snapshotReads("quiet", threads: 2, isGoal: false), reads),
            held(
                mutexes("tight", threads: 1, work: 0, atMost: .infinity),
                [
                    (
                        mutex,
                        [pthreadMutex, Subject("Rust std", .rust, "std-mutex"), Subject("C++ std", .cpp, "std-mutex")]
                    )
                ]
            ),
            held(
                readLocks("quiet", threads: 1, atMost: nil),
                [(rwLock, [pthreadRW, Subject("Rust std", .rust, "std-rwlock")])]
            ),
            held(
                onces,
                [
                    (
                        Subject("ladder", .swift, "ladder"),
                        [Subject("pthread_once", .c, "pthread_once"), Subject("Go sync.Once", .go, "go-once")]
                    )
                ]
            ),
            held(
                keys(256),
                [(keyByString, [goMap, dictionary, unorderedMap]), (keyInterned, [goMap, dictionary, unorderedMap])]
            ),
        ]
    }

    /// The contest with these subjects and anchors only, and without its goals: quick runs are held against stored ratios.
    private static func held(_ contest: Contest, _ pairs: [(subject: Subject, anchors: [Subject])]) -> Contest {
        var wanted: [Subject] = []
        for subject in pairs.flatMap({ [$0.subject] + $0.anchors }) where !wanted.contains(subject) {
            wanted.append(subject)
        }
        return Contest(
            contest.measure,
            contest.condition,
            threads: contest.threads,
            contest.options,
            wanted,
            pairs.flatMap { subject, anchors in anchors.map { Comparison(subject, to: $0) } }
        )
    }

    // MARK: How latency grows with threads

    static let growthThreads = [1, 2, 4, 8, 16, 32, 64]

    /// One subject of each rung, over 1 to 64 threads.
    static var growth: [(rung: String, contests: [Contest])] {
        let rungs: [(String, String, Subject, [String])] = [
            ("counter", "counter", Subject("ladder", .swift, "ladder", ["layout=padded"]), []),
            ("snapshot", "snapshot-read", handle, ["writer=none"]),
            ("snapshot, implicit", "snapshot-read", implicit, ["writer=none"]),
            ("mutex", "mutex", mutex, []),
            ("read lock", "rw-read", rwLock, ["writer=none"]),
            ("concurrent map", "map", Subject("ladder", .swift, "ladder"), ["writer=none"]),
        ]
        return rungs.map { rung, measure, subject, options in
            let contests = growthThreads.map { threads in
                let length = "ms=\(Growth.milliseconds(threads))"
                return Contest(measure, "growth", threads: threads, options + [length], [subject])
            }
            return (rung, contests)
        }
    }

    // MARK: What counting costs

    /// Each uncontended path with the accounting and without it: the measure, and the name of the subject.
    static let countedPaths: [(measure: String, name: String, options: [String])] = [
        ("mutex", "ladder", []),
        ("rw-read", "ladder", []),
        ("rw-read", "ladder-implicit", []),
        ("rw-write", "ladder", []),
        ("snapshot-read", "handle", []),
        ("snapshot-read", "implicit", []),
        ("snapshot-publish", "ladder", []),
        ("once", "ladder", []),
        ("map", "ladder", []),
        ("flight-alone", "async", []),
        ("flight-alone", "threads", []),
        ("pool", "ladder", ["layout=pooled"]),
    ]

    /// The same in time, round by round.
    static var countedInPairs: [Contest] {
        countedPaths.map { measure, name, options in
            let on = Subject("counting \(name)", .swift, name, options)
            let off = Subject("accounting compiled out", .swiftNotCounting, name, options)
            let comparison = Comparison(on, to: off, .atMost(1.02, "P9"))
            return Contest(measure, "accounting", [], [on, off], [comparison], rounds: 21)
        }
    }
}

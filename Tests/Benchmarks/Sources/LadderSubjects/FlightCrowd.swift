import LockLadder

// A flight's value is how long its work took. All callers are let go together, on a key of their own each time.

/// How much longer than the work itself a call took. To be called when it has its answer.
///
/// - Parameter planted: by how many percent it is to be made longer.
private func beyond(_ work: UInt64, since began: UInt64, planted: Int) -> UInt64 {
    // Who came late had less to wait for than the work.
    func beyond() -> UInt64 { max(now() - began, work) - work }
    var latency = beyond()
    guard planted > 0 else { return latency }
    let goal = latency * UInt64(100 + planted) / 100
    repeat { latency = beyond() } while latency < goal
    return latency
}

private let workNanoseconds: UInt64 = 1_000_000

private func report(_ latencies: [[UInt64]], _ statistics: FlightStatistics) -> Report {
    var report = Report()
    report.threads = latencies.count
    var sum: UInt64 = 0
    for latency in latencies.joined() {
        report.samples.record(nanoseconds: latency)
        sum += latency
    }
    let counts = latencies.map { UInt64($0.count) }
    report.operations = counts.reduce(0, +)
    report.nanoseconds = Double(sum) / Double(report.operations)
    report.least = counts.min() ?? 0
    report.most = counts.max() ?? 0
    report.checksum = statistics.calls
    report.extra = [("calls", "\(statistics.calls)"), ("flights", "\(statistics.flights)")]
    return report
}

private func checked(_ options: Options) throws(UsageError) {
    if options.count != nil { throw UsageError("flight-crowd has no count: it takes rounds") }
}

// MARK: Threads

private func measureThreads(_ options: Options) throws(UsageError) -> Report {
    try checked(options)
    let keys = (0..<options.rounds).map(KeySequence.key)
    let group = ThreadSingleFlight<String, UInt64>("bench.flight") { _, _ in
        let began = now()
        sleep(nanoseconds: workNanoseconds)
        return now() - began
    }
    let barrier = Barrier(options.callers)
    let results = (0..<options.callers).map { _ in Box([UInt64]()) }
    let threads = results.map { result in
        JoinableThread {
            for key in keys {
                barrier.wait()
                let began = now()
                guard let work = try? group.value(for: key) else { fatalError("a flight failed") }
                result.value.append(beyond(work, since: began, planted: options.planted))
            }
        }
    }
    for thread in threads { thread.join() }
    return report(results.map(\.value), group.statistics)
}

// MARK: Tasks

/// Holds tasks up until so many have come; then the next ones.
private final class TaskBarrier: Sendable {
    private let count: Int
    private let waiting = LockLadder.Mutex("bench.barrier", [UnsafeContinuation<Void, Never>]())

    init(_ count: Int) { self.count = count }

    func wait() async {
        await withUnsafeContinuation { continuation in
            let all = waiting.withLock { waiting -> [UnsafeContinuation<Void, Never>] in
                waiting.append(continuation)
                guard waiting.count == count else { return [] }
                defer { waiting.removeAll() }
                return waiting
            }
            for continuation in all { continuation.resume() }
        }
    }
}

private func measureTasks(_ options: Options) throws(UsageError) -> Report {
    try checked(options)
    let keys = (0..<options.rounds).map(KeySequence.key)
    let group = AsyncSingleFlight<String, UInt64>("bench.flight") { _ in
        let began = now()
        try await Task.sleep(nanoseconds: workNanoseconds)
        return now() - began
    }
    let barrier = TaskBarrier(options.callers)
    let result = Box([[UInt64]]())
    let isOver = WakeSignal()
    Task.detached {
        await withTaskGroup(of: [UInt64].self) { callers in
            for _ in 0..<options.callers {
                callers.addTask {
                    var latencies: [UInt64] = []
                    for key in keys {
                        await barrier.wait()
                        let began = now()
                        guard let work = try? await group.value(for: key) else { fatalError("a flight failed") }
                        latencies.append(beyond(work, since: began, planted: options.planted))
                    }
                    return latencies
                }
            }
            for await latencies in callers { result.value.append(latencies) }
        }
        isOver.raise()
    }
    _ = isOver.wait(until: nil)
    return report(result.value, group.statistics)
}

// MARK: Callbacks

/// The thread that does the work of flights, one after the other.
private final class Labourer: Sendable {
    private let order = WakeSignal()
    private let flight = LockLadder.Mutex<KeyedFlight<String>?>("bench.labourer", nil)

    /// Must not wait.
    func begin(_ flight: KeyedFlight<String>) {
        self.flight.withLock { $0 = flight }
        order.raise()
    }

    func next() -> KeyedFlight<String>? {
        _ = order.wait(until: nil)
        return flight.withLock { $0.take() }
    }

    func stop() { order.raise() }
}

/// An event loop: one thread joins for all callers, another lands the flight.
private func measureCallbacks(_ options: Options) throws(UsageError) -> Report {
    try checked(options)
    let keys = (0..<options.rounds).map(KeySequence.key)
    let labourer = Labourer()
    let group = SingleFlight<String, UInt64>(
        "bench.flight",
        begin: { flight, _ in labourer.begin(flight) },
        cancel: { _ in },
        isFailure: { _ in false }
    )
    let thread = JoinableThread {
        while let flight = labourer.next() {
            let began = now()
            sleep(nanoseconds: workNanoseconds)
            group.land(flight, with: now() - began)
        }
    }
    // All are answered on the thread that lands.
    let latencies = (0..<options.callers).map { _ in Box([UInt64]()) }
    let isOver = WakeSignal()
    for (number, key) in keys.enumerated() {
        let wanted = (number + 1) * options.callers
        let count = Box(number * options.callers)
        for caller in latencies {
            let began = now()
            let joined = try? group.join(key, .shared) { work in
                caller.value.append(beyond(work, since: began, planted: options.planted))
                count.value += 1
                if count.value == wanted { isOver.raise() }
            }
            guard joined != nil else { fatalError("a flight was refused") }
        }
        _ = isOver.wait(until: nil)
    }
    labourer.stop()
    thread.join()
    return report(latencies.map(\.value), group.statistics)
}

enum FlightCrowd {
    static let subjects = [
        Subject("async", measureTasks),
        Subject("threads", measureThreads),
        Subject("callback", measureCallbacks),
    ]
}

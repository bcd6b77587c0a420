internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder
internal import Synchronization

/// The `agent-pipeline` thread: takes what was fetched through verify, decode and publish, one after the other.
final class Pipeline: Sendable {
    typealias Flight = Fetcher.Flights.Flight

    /// Bounded: a source has one flight at a time, so at most one result of each waits here (and one that was
    /// abandoned).
    private let inbox = Mutex("pipeline.inbox", [(Flight, FetchResult)]())
    private let isStopping = Atomic<Bool>(false)
    private let signal = WakeSignal()
    private let thread = Mutex<NamedThread?>("pipeline.thread", nil)

    /// Takes over the result of a flight. Never waits for the thread.
    func submit(_ flight: Flight, _ result: FetchResult) {
        inbox.withLock { $0.append((flight, result)) }
        signal.raise()
    }

    /// - Parameter process: called on the pipeline's thread for each result.
    /// - Returns: `false` when the system has no thread to give.
    func start(_ process: @escaping @Sendable (Flight, FetchResult) -> Void) -> Bool {
        let started = NamedThread("agent-pipeline") {
            while !self.isStopping.load(ordering: .acquiring) {
                _ = self.signal.wait(until: nil)
                let results = self.inbox.withLock { inbox in
                    defer { inbox = [] }
                    return inbox
                }
                for (flight, result) in results { process(flight, result) }
            }
        }
        thread.withLock { $0 = started }
        return started != nil
    }

    func stop(until deadline: MonotonicTime) -> Bool {
        // Releasing, acquired by the thread, which ends after what it is doing.
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        let running = thread.withLock { $0.take() }
        return running?.join(until: deadline) ?? true
    }
}

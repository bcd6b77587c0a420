internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder
internal import Synchronization

/// The `agent-pipeline` thread: takes what was fetched through verify, decode and publish, one after the other.
final class Pipeline: Sendable {
    typealias Flight = Fetcher.Flights.Flight

    private enum Work: Sendable {
        case result(Flight, FetchResult, version: UInt64)
        case answer(@Sendable () -> Void)
    }

    /// Bounded: a source has one flight at a time, so at most one result of each waits here (and one that was
    /// abandoned), and at most one question.
    private let inbox = Mutex("pipeline.inbox", [Work]())
    private let isStopping = Atomic<Bool>(false)
    private let signal = WakeSignal()
    private let thread = Mutex<NamedThread?>("pipeline.thread", nil)

    /// Takes over the result of a flight. Never waits for the thread.
    func submit(_ flight: Flight, _ result: FetchResult, version: UInt64) {
        submit(.result(flight, result, version: version))
    }

    /// Has `answer` run on the pipeline's thread when it gets round to it.
    func ask(_ answer: @escaping @Sendable () -> Void) { submit(.answer(answer)) }

    private func submit(_ work: Work) {
        inbox.withLock { $0.append(work) }
        signal.raise()
    }

    /// - Parameter process: called on the pipeline's thread for each result.
    /// - Returns: `false` when the system has no thread to give.
    func start(_ process: @escaping @Sendable (Flight, FetchResult, UInt64) -> Void) -> Bool {
        let started = NamedThread("agent-pipeline") {
            while !self.isStopping.load(ordering: .acquiring) {
                _ = self.signal.wait(until: nil)
                let waiting = self.inbox.withLock { inbox in
                    defer { inbox = [] }
                    return inbox
                }
                for work in waiting {
                    switch work {
                    case .result(let flight, let result, let version): process(flight, result, version)
                    case .answer(let answer): answer()
                    }
                }
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

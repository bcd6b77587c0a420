internal import ConfigFetch
internal import ConfigSnapshot
internal import LockLadder

internal import struct Synchronization.Atomic

/// The `agent-pipeline` thread: takes what was fetched through verify, decode and publish, one after the other.
final class Pipeline: Sendable {
    typealias Flight = Fetcher.Flights.Flight

    private struct Work: Sendable {
        let flight: Flight
        let result: FetchResult
        let version: UInt64
        /// Of its arrival, among all.
        let order: UInt64
    }

    private struct Inbox {
        /// Bounded: a source has one flight at a time, so at most one result of each waits here (and one that was
        /// abandoned).
        var results: [Work] = []
        var arrivals: UInt64 = 0
        /// Few, and answered between two results: who asks for a sign of life wants to know that work goes on, not
        /// that all of it is done.
        var questions: [@Sendable () -> Void] = []
    }

    private let inbox = Mutex("pipeline.inbox", Inbox())
    private let isStopping = Atomic<Bool>(false)
    private let signal = WakeSignal()
    private let thread = Mutex<NamedThread?>("pipeline.thread", nil)

    /// Takes over the result of a flight. Never waits for the thread.
    ///
    /// - Parameter order: for one that comes once more.
    func submit(_ flight: Flight, _ result: FetchResult, version: UInt64, order: UInt64? = nil) {
        inbox.withLock { inbox in
            inbox.arrivals += 1
            let order = order ?? inbox.arrivals
            inbox.results.append(Work(flight: flight, result: result, version: version, order: order))
        }
        signal.raise()
    }

    /// Has `answer` run on the pipeline's thread, once it is through with the document it is at.
    func ask(_ answer: @escaping @Sendable () -> Void) {
        inbox.withLock { $0.questions.append(answer) }
        signal.raise()
    }

    /// - Parameter process: called on the pipeline's thread for each result.
    /// - Returns: `false` when the system has no thread to give.
    func start(_ process: @escaping @Sendable (Flight, FetchResult, _ version: UInt64, _ order: UInt64) -> Void) -> Bool
    {
        let started = NamedThread("agent-pipeline") {
            while !self.isStopping.load(ordering: .acquiring) {
                _ = self.signal.wait(until: nil)
                self.answerQuestions()
                for work in self.takeResults() {
                    process(work.flight, work.result, work.version, work.order)
                    self.answerQuestions()
                }
            }
        }
        thread.withLock { $0 = started }
        return started != nil
    }

    private func takeResults() -> [Work] {
        inbox.withLock { inbox in
            defer { inbox.results = [] }
            return inbox.results
        }
    }

    private func answerQuestions() {
        let questions = inbox.withLock { inbox in
            defer { inbox.questions = [] }
            return inbox.questions
        }
        for answer in questions { answer() }
    }

    func stop(until deadline: MonotonicTime) -> Bool {
        // Releasing, acquired by the thread, which ends after what it is doing.
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        let running = thread.withLock { $0.take() }
        return running?.join(until: deadline) ?? true
    }
}

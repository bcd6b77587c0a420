internal import ConfigGuard
internal import ConfigSnapshot
internal import LockLadder

internal import struct Synchronization.Atomic

/// The checks of documents by commands, on threads of their own: a command may take as long as it likes, and the pipeline
/// waits for none.
///
/// Thread-safe.
final class DocumentChecks: Sendable {
    struct Question: Sendable {
        var source: SourceName
        var digest: ContentDigest
        var format: DocumentFormat
        var check: Check
        var body: [UInt8]
    }

    private struct Answered {
        var digest: ContentDigest
        var check: Check
        var answer: CheckAnswer
    }

    private struct State {
        /// Bounded: a source has one document at a time in the pipeline (and one that was abandoned).
        var waiting: [(question: Question, done: @Sendable () -> Void)] = []
        var running = 0
        /// The last answer for each source, until it is taken.
        var answers: [SourceName: Answered] = [:]
        var threads: [NamedThread] = []
    }

    /// Commands at a time.
    private static let most = 4
    /// Where commands are run; `nil` where there is no such place.
    private let socket: String?
    private let state = Mutex("agent.checks", State())
    // Releasing, acquired by threads that then end.
    private let isStopping = Atomic<Bool>(false)

    init(socket: String?) { self.socket = socket }

    /// What was found, if it was asked for just this.
    func take(_ source: SourceName, _ digest: ContentDigest, _ check: Check) -> CheckAnswer? {
        let answered = state.withLock { $0.answers.removeValue(forKey: source) }
        guard let answered, answered.digest == digest, answered.check == check else { return nil }
        return answered.answer
    }

    /// Has a document checked.
    ///
    /// - Parameter done: called once there is an answer to take, on another thread.
    func ask(_ question: Question, done: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            state.waiting.append((question, done))
            guard state.running < Self.most else { return false }
            state.running += 1
            return true
        }
        guard needsThread else { return }
        guard let thread = NamedThread("agent-check", { self.work() }) else {
            state.withLock { $0.running -= 1 }
            return fail("the system has no thread for it")
        }
        state.withLock { state in
            // Those that have ended need no deadline.
            if state.threads.count >= 4 * Self.most { state.threads.removeFirst() }
            state.threads.append(thread)
        }
    }

    /// Where no thread is there to do it.
    private func fail(_ why: String) {
        let left = state.withLock { state in
            guard state.running == 0 else { return [] as [(question: Question, done: @Sendable () -> Void)] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for (question, done) in left { answer(question, .notRun(why), done) }
    }

    private func answer(_ question: Question, _ answer: CheckAnswer, _ done: @Sendable () -> Void) {
        state.withLock {
            $0.answers[question.source] = Answered(digest: question.digest, check: question.check, answer: answer)
        }
        done()
    }

    private func work() {
        while let (question, done) = next() { answer(question, run(question), done) }
    }

    private func next() -> (Question, @Sendable () -> Void)? {
        state.withLock { state in
            guard !isStopping.load(ordering: .acquiring), !state.waiting.isEmpty else {
                state.running -= 1
                return nil
            }
            let first = state.waiting.removeFirst()
            return (first.question, first.done)
        }
    }

    private func run(_ question: Question) -> CheckAnswer {
        guard let socket else { return .notRun("there is no place where checks are run") }
        let told = CheckQuestion(
            source: question.source,
            format: question.format,
            check: question.check,
            length: question.body.count
        )
        return CheckClient.ask(socket, told, question.body) { [self] in !isStopping.load(ordering: .acquiring) }
    }

    /// Ends what is being checked, without an answer.
    ///
    /// - Returns: `false` when `deadline` passed first.
    func stop(until deadline: MonotonicTime) -> Bool {
        isStopping.store(true, ordering: .releasing)
        let threads = state.withLock { state in
            state.waiting = []
            return state.threads
        }
        return threads.allSatisfy { $0.join(until: deadline) }
    }
}

internal import ConfigFetch
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

    /// Told once whether there is an answer to take, or the question was overtaken by a newer one.
    typealias Done = @Sendable (_ isAnswered: Bool) -> Void

    fileprivate struct Waiter: Sendable {
        /// Of the result that comes again.
        var order: UInt64
        var done: Done
    }

    fileprivate struct Answered {
        var source: SourceName
        var digest: ContentDigest
        var check: Check
        var answer: CheckAnswer
    }

    fileprivate struct Entry: Sendable {
        let question: Question
        /// Those that wait for the same answer: of a document that comes again before it is known.
        var waiting: [Waiter]
        /// Whether it is worth going on.
        var isWanted = true

        func asksTheSame(as other: Question) -> Bool {
            question.source == other.source && question.digest == other.digest && question.check == other.check
        }
    }

    fileprivate struct State: Sendable {
        /// At most one for each source: a newer document is the one to be checked.
        var waiting: [Entry] = []
        /// One for each thread.
        var running: [Entry] = []
        var threads = 0
        /// By the order of a result that comes again, until it has come: one for each that has waited.
        var answers: [UInt64: Answered] = [:]
    }

    /// Commands at a time.
    static let most = 8
    /// Who wait for one answer; whoever waited longest is not waited for any more.
    private static let mostWaiting = 4
    /// Where commands are run; `nil` where there is no such place.
    private let socket: String?
    private let state = Mutex("agent.checks", State())
    // Releasing, acquired by threads that then end.
    private let isStopping = Atomic<Bool>(false)
    private let threadEnded = WakeSignal()

    init(socket: String?) { self.socket = socket }

    /// What was found, if somebody who is still to come again has asked for just this.
    func answer(for source: SourceName, _ digest: ContentDigest, _ check: Check) -> CheckAnswer? {
        state.withLock { state in
            state.answers.values.first { $0.source == source && $0.digest == digest && $0.check == check }?.answer
        }
    }

    /// A result has come, perhaps again: whatever has become of it, what was found for it is not for a later one.
    func settle(_ order: UInt64) { state.withLock { $0.answers[order] = nil } }

    /// Ends what is asked of commands that are none of `checks`: whoever has waited for them comes again at once.
    func keepOnly(_ checks: [SourceName: Check]) {
        let dropped = state.withLock { $0.drop { checks[$0.source] != $0.check } }
        for waiter in dropped { waiter.done(true) }
    }

    /// Has a document checked.
    ///
    /// - Parameters:
    ///   - order: of the result, which has to be settled once it has come again.
    ///   - done: called on another thread, unless there is none; not at all once ``stop(until:)`` was called.
    func ask(_ question: Question, order: UInt64, done: @escaping Done) {
        let (needsThread, overtaken) = state.withLock { state in
            let overtaken = state.add(question, Waiter(order: order, done: done), atMost: Self.mostWaiting)
            guard state.threads < Self.most, !state.waiting.isEmpty else { return (false, overtaken) }
            state.threads += 1
            return (true, overtaken)
        }
        for waiter in overtaken { waiter.done(false) }
        guard needsThread, NamedThread("agent-check", { self.work() }) == nil else { return }
        // Those that run go on with what waits; where none does, it has failed.
        let left = state.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [] as [Entry] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for entry in left { answer(entry, .notRun("the system has no thread for it")) }
    }

    private func answer(_ entry: Entry, _ answer: CheckAnswer) {
        let question = entry.question
        let answered = Answered(
            source: question.source,
            digest: question.digest,
            check: question.check,
            answer: answer
        )
        state.withLock { state in
            for waiter in entry.waiting { state.answers[waiter.order] = answered }
        }
        for waiter in entry.waiting { waiter.done(true) }
    }

    private func work() {
        while let question = next() {
            let found = run(question)
            let entry = state.withLock { state in
                // One that nobody wants any more ends after one that was asked for anew.
                let index =
                    state.running.firstIndex { $0.asksTheSame(as: question) && !$0.isWanted }
                    ?? state.running.firstIndex { $0.asksTheSame(as: question) }
                return index.map { state.running.remove(at: $0) }
            }
            if let entry, !isStopping.load(ordering: .acquiring) { answer(entry, found) }
        }
        threadEnded.raise()
    }

    private func next() -> Question? {
        state.withLock { state in
            guard !isStopping.load(ordering: .acquiring), !state.waiting.isEmpty else {
                state.threads -= 1
                return nil
            }
            let first = state.waiting.removeFirst()
            state.running.append(first)
            return first.question
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
        return CheckClient.ask(socket, told, question.body) { [self] in
            !isStopping.load(ordering: .acquiring)
                && state.withLock { $0.running.contains { $0.isWanted && $0.asksTheSame(as: question) } }
        }
    }

    /// Ends what is being checked, without an answer.
    ///
    /// - Returns: `false` when `deadline` passed first.
    func stop(until deadline: MonotonicTime) -> Bool {
        isStopping.store(true, ordering: .releasing)
        while true {
            let isOver = state.withLock { state in
                state.waiting = []
                return state.threads == 0
            }
            if isOver { return true }
            guard threadEnded.wait(until: deadline) else { return false }
        }
    }
}

extension DocumentChecks.State {
    /// - Returns: those who have waited for it.
    fileprivate mutating func drop(_ isUnwanted: (DocumentChecks.Question) -> Bool) -> [DocumentChecks.Waiter] {
        let dropped = waiting.filter { isUnwanted($0.question) }.flatMap(\.waiting)
        waiting.removeAll { isUnwanted($0.question) }
        var left: [DocumentChecks.Waiter] = []
        for index in running.indices where isUnwanted(running[index].question) {
            left += running[index].waiting
            running[index].waiting = []
            running[index].isWanted = false
        }
        return dropped + left
    }

    /// - Returns: those whose question is not asked any more.
    fileprivate mutating func add(
        _ question: DocumentChecks.Question,
        _ waiter: DocumentChecks.Waiter,
        atMost most: Int
    ) -> [DocumentChecks.Waiter] {
        if let index = running.firstIndex(where: { $0.isWanted && $0.asksTheSame(as: question) }) {
            running[index].waiting.append(waiter)
            return running[index].waiting.count > most ? [running[index].waiting.removeFirst()] : []
        }
        guard let index = waiting.firstIndex(where: { $0.question.source == question.source }) else {
            waiting.append(DocumentChecks.Entry(question: question, waiting: [waiter]))
            return []
        }
        if waiting[index].asksTheSame(as: question) {
            waiting[index].waiting.append(waiter)
            return waiting[index].waiting.count > most ? [waiting[index].waiting.removeFirst()] : []
        }
        let overtaken = waiting[index].waiting
        waiting[index] = DocumentChecks.Entry(question: question, waiting: [waiter])
        return overtaken
    }
}

extension FetchResult {
    /// The same, to be gone through once more, now that a command has answered.
    func checked(at time: UInt64) -> FetchResult {
        guard case .document(var document) = self else { return self }
        document.trace[.checked] = time
        return .document(document)
    }
}

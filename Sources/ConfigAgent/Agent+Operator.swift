internal import ConfigFetch
public import ConfigPublish
internal import ConfigSnapshot
public import LockLadder

/// What an operator commands. Each waits for the pipeline, and for the disk: to be called on a thread that nobody waits for.
extension Agent {
    /// Why something that was commanded was not done.
    public struct Refusal: Error, Sendable, Hashable {
        /// Stable: `no_snapshot`, `unknown_generation`, `damaged`, `refused`, `late`, `stopping`.
        public var code: String
        public var message: String
        public var hint: String?

        init(_ code: String, _ message: String, hint: String? = nil) {
            self.code = code
            self.message = message
            self.hint = hint
        }
    }

    /// What has become of it.
    public struct Done: Sendable {
        /// The newest generation.
        public var generation: UInt64
        public var state: OperatorState
        /// Whether it would survive a restart.
        public var isDurable: Bool
    }

    /// What is in force of what was commanded.
    public var operatorState: OperatorState { commanded.withLock { $0 } }

    /// Does what was commanded, and has it told.
    ///
    /// - Parameter action: not a refresh or a reload, which are others' business.
    public func perform(
        _ action: OperatorAction,
        _ command: Command,
        until deadline: MonotonicTime
    ) throws(Refusal) -> Done {
        do throws(Refusal) {
            let done =
                switch action {
                case .rollback(let generation): try rollBack(to: generation, command, until: deadline)
                case .pin: try change(until: deadline) { $0.pin(command) ? nil : .noSnapshot }
                case .unpin: try unpin(command, until: deadline)
                case .freeze: try freeze(command, until: deadline)
                case .thaw: try freeze(nil, until: deadline)
                case .accept, .refresh, .reload: throw Refusal("refused", "\(action.name) is not done here")
                }
            events(.commanded(action, command, refusal: nil))
            return done
        } catch {
            events(.commanded(action, command, refusal: error.message))
            throw error
        }
    }

    /// Takes a document that rules refuse, once its source says it again, and has that told.
    ///
    /// - Parameters:
    ///   - digits: the first of its digest, at least ``Quarantine/shortestDigest`` of them.
    ///   - source: of which it is; `nil` where only one has refused it.
    public func accept(
        _ digits: String,
        of source: String? = nil,
        _ command: Command,
        until deadline: MonotonicTime
    ) throws(Refusal) -> (document: Quarantine.Document, isDurable: Bool) {
        do throws(Refusal) {
            let document = try document(inQuarantine: digits, of: source)
            let done = try change(until: deadline, by: { $1.whenWritten() }) { [quarantine] _ in
                guard quarantine.accept(document, command) else {
                    let message = "it was forgotten meanwhile, for so many others were refused"
                    let hint = "once its source has said it again: agentctl accept"
                    return Refusal("unknown_digest", message, hint: hint)
                }
                return nil
            }
            events(.commanded(.accept(document.digest.short), command, refusal: nil))
            return (document, done.isDurable)
        } catch {
            events(.commanded(.accept(digits), command, refusal: error.message))
            throw error
        }
    }

    private func document(inQuarantine digits: String, of source: String?) throws(Refusal) -> Quarantine.Document {
        let all = "what was refused: agentctl quarantine"
        guard digits.utf8.count >= Quarantine.shortestDigest else {
            let message = "'\(digits)' is too short: at least \(Quarantine.shortestDigest) digits are needed"
            throw Refusal("bad_digest", message, hint: all)
        }
        let found = quarantine.current.documents(digits).filter { source == nil || $0.source.text == source }
        guard let document = found.first else {
            throw Refusal("unknown_digest", "no document whose digest begins with \(digits) was refused", hint: all)
        }
        guard found.count == 1 else {
            throw Refusal(
                "ambiguous_digest",
                "\(digits) begins the digests of \(found.count) documents",
                hint: "write more digits, or --source"
            )
        }
        return document
    }

    /// What rules have refused, and what was accepted all the same.
    public var quarantined: Quarantine { quarantine.current }

    /// Has it told that somebody has commanded something that is done elsewhere.
    public func note(_ action: OperatorAction, _ command: Command, refusal: String? = nil) {
        events(.commanded(action, command, refusal: refusal))
    }

    private func rollBack(to generation: UInt64, _ command: Command, until deadline: MonotonicTime) throws(Refusal)
        -> Done
    {
        // Not to be forgotten before it is pinned.
        store.protect(generation)
        let documents: [StoredDocument]
        do throws(Refusal) { documents = try stored(generation).documents } catch {
            store.release(generation)
            throw error
        }
        return try change(until: deadline, releasing: generation) { [fetcher] assembly in
            do throws(StageFailure) {
                try assembly.rollBack(to: generation, documents, command)
            } catch {
                return Refusal("refused", "generation \(generation) cannot be used: \(error.message)", hint: error.hint)
            }
            fetcher.noteRunning(assembly.runningRevisions)
            return nil
        }
    }

    /// The documents of a generation.
    func stored(
        _ generation: UInt64
    ) throws(Refusal) -> (record: GenerationRecord, documents: [StoredDocument]) {
        do throws(GenerationFault) { return try store.documents(of: generation) } catch {
            let kept = store.records
            let first = kept.first?.generation
            let known = first.map { "kept are generations \($0) to \(kept.last?.last ?? $0): agentctl history" }
            throw switch error {
            case .notKept: Refusal("unknown_generation", "\(error)", hint: known ?? "none is kept yet")
            case .document, .refused: Refusal("damaged", "generation \(generation): \(error)", hint: known)
            }
        }
    }

    private func unpin(_ command: Command, until deadline: MonotonicTime) throws(Refusal) -> Done {
        try change(until: deadline) { [fetcher] assembly in
            let released = assembly.unpin(command)
            let running = assembly.runningRevisions
            fetcher.noteRelease(of: released, in: assembly.newestGeneration, running: running)
            fetcher.noteRunning(running)
            return nil
        }
    }

    private func freeze(_ command: Command?, until deadline: MonotonicTime) throws(Refusal) -> Done {
        try change(until: deadline) { [fetcher] assembly in
            // First here: what was on its way says nothing any more, and is not held against its source.
            assembly.setFreeze(command)
            fetcher.freeze(command != nil)
            return nil
        }
    }

    /// Changes what is in force, between two documents, and has it written.
    ///
    /// - Parameters:
    ///   - generation: was protected for it.
    ///   - write: has it written; says when it is.
    ///   - body: on the pipeline's thread; gives back why it does nothing, where it does nothing.
    private func change(
        until deadline: MonotonicTime,
        releasing generation: UInt64? = nil,
        by write: @escaping @Sendable (Assembly, Store) -> WakeSignal = { assembly, _ in assembly.keepOperatorState() },
        _ body: @escaping @Sendable (Assembly) -> Refusal?
    ) throws(Refusal) -> Done {
        let outcome = Outcome()
        let isOver = WakeSignal()
        let release: @Sendable () -> Void = { [store] in if let generation { store.release(generation) } }
        let isRunning = withAssembly { [self] assembly in
            if let refusal = body(assembly) {
                outcome.value.withLock { $0 = .failure(refusal) }
            } else {
                let state = assembly.operatorState
                commanded.withLock { $0 = state }
                // Handed over here, so that of two commands the later one is the one that is written.
                let saved = write(assembly, store)
                outcome.value.withLock { $0 = .success((saved, assembly.newestGeneration, state)) }
            }
            release()
            isOver.raise()
        }
        if !isRunning { release() }
        guard isRunning else { throw Refusal("stopping", "the agent is starting or stopping", hint: "try again") }
        guard isOver.wait(until: deadline), let result = outcome.value.withLock({ $0 }) else {
            let hint = "see what came of it: agentctl status"
            throw Refusal("late", "the agent did not get round to it in time; it may still be done", hint: hint)
        }
        let (saved, generation, state) = try result.get()
        let limit = min(deadline, MonotonicTime.now.advanced(byNanoseconds: 5_000_000_000))
        return Done(generation: generation, state: state, isDurable: saved.wait(until: limit))
    }

    private final class Outcome: Sendable {
        typealias Value = Result<(saved: WakeSignal, generation: UInt64, state: OperatorState), Refusal>
        let value = Mutex<Value?>("agent.command", nil)
    }
}

extension Agent.Refusal {
    fileprivate static let noSnapshot = Agent.Refusal(
        "no_snapshot",
        "there is no configuration yet that could be kept",
        hint: "see why: agentctl status"
    )
}

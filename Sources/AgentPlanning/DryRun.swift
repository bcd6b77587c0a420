public import ConfigAgent
internal import ConfigFetch
internal import ConfigPublish
public import ConfigSnapshot
internal import Glibc
public import LockLadder

/// What would become of documents: a whole agent of its own that tries them, in a directory of its own, and publishes
/// nothing that anybody could read. What is in use is taken from the copies that the real agent has stored.
///
/// Waits for the sources; not to be called on a thread that others wait for.
public struct DryRun: Sendable {
    /// What would become of the document of one source.
    public struct Verdict: Sendable {
        public enum Outcome: Sendable {
            /// It is not the one in use, and would be taken.
            case accepted
            /// It is the one in use.
            case unchanged
            case refused(StageFailure)
        }

        public var source: SourceName
        public var outcome: Outcome
        /// What of it breaks rules; the first few, and how many there are.
        public var reasons: [String] = []
        public var count = 0
    }

    /// Why nothing was tried.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    public private(set) var verdicts: [Verdict] = []
    /// What is in use now.
    public private(set) var before: Snapshot
    /// What would be in use then.
    public private(set) var after: Snapshot
    /// Why it is not known what is in use.
    public private(set) var unknownState: String?

    /// Tries what the layers of `plan` say now.
    ///
    /// - Parameters:
    ///   - plan: its state directory is only read.
    ///   - deadline: when it is over in any case.
    public static func run(_ plan: AgentPlan, until deadline: MonotonicTime) throws(Failure) -> DryRun {
        guard let place = ScratchDirectory() else {
            throw Failure(description: "cannot make a directory in \(ScratchDirectory.parent): \(text(errno))")
        }
        defer { place.remove() }
        var plan = plan
        var unknownState: String?
        let names = plan.sources.map(\.fetch.name)
        do throws(FileError) {
            if try !Store.copyForTrial(of: names, from: plan.stateDirectory, to: place.path) {
                unknownState = "nothing is stored in \(plan.stateDirectory)"
            }
        } catch {
            unknownState = "\(error)"
        }
        let stateDirectory = plan.stateDirectory
        plan.stateDirectory = place.path
        let helper: CheckHelper?
        do throws(CheckHelper.Failure) {
            helper = try CheckHelper.serve(&plan, in: place.path, hiding: [stateDirectory])
        } catch {
            throw Failure(description: "cannot run checks: \(error)")
        }
        defer { helper?.stop() }
        do throws(Agent.StartError) {
            let agent = try Agent(plan) { _ in }
            defer { _ = agent.stop(until: deadline) }
            let nothing = agent.publisher.snapshot
            let first = Box<Snapshot?>(nil)
            agent.publisher.observe { [publisher = agent.publisher] _ in
                let snapshot = publisher.snapshot
                first.value.withLock { $0 = $0 ?? snapshot }
            }
            // Where nothing was stored, the first to be published comes from a source.
            let isKnown = try agent.start() != nil
            let before = isKnown ? first.value.withLock { $0 } ?? nothing : nothing
            var run = DryRun(before: before, after: before)
            run.unknownState = unknownState
            run.ask(agent, until: deadline)
            return run
        } catch {
            throw Failure(description: "cannot begin: \(error)")
        }
    }

    private init(before: Snapshot, after: Snapshot) {
        self.before = before
        self.after = after
    }

    private mutating func ask(_ agent: Agent, until deadline: MonotonicTime) {
        let names = agent.plan.sources.map(\.fetch.name)
        let isDone = WakeSignal()
        let box = Box([SourceName: FlightOutcome]())
        var expected = names.count
        for name in names {
            do throws(Fetcher.Flights.Refusal) {
                _ = try agent.fetch(name, .shared) { outcome in
                    box.value.withLock { $0[name] = outcome }
                    isDone.raise()
                }
            } catch {
                verdicts.append(Verdict(source: name, outcome: .refused(Self.unasked("\(error)"))))
                expected -= 1
            }
        }
        while box.value.withLock({ $0.count }) < expected, isDone.wait(until: deadline) {}
        let (answered, quarantine) = (box.value.withLock { $0 }, agent.quarantined)
        for name in names where !verdicts.contains(where: { $0.source == name }) {
            verdicts.append(verdict(name, answered[name], quarantine))
        }
        after = agent.publisher.snapshot
    }

    private final class Box<Value: Sendable>: Sendable {
        let value: Mutex<Value>
        init(_ value: Value) { self.value = Mutex("trial", value) }
    }

    private func verdict(_ name: SourceName, _ outcome: FlightOutcome?, _ quarantine: Quarantine) -> Verdict {
        guard let outcome else { return Verdict(source: name, outcome: .refused(Self.unasked("no answer in time"))) }
        switch outcome.kind {
        case .failed(let failure, _):
            let held = failure.isRefusal ? quarantine.documents.last { $0.source == name } : nil
            return Verdict(
                source: name,
                outcome: .refused(failure),
                reasons: held?.reasons ?? [],
                count: held?.count ?? 0
            )
        case .published, .held, .unchanged, .notModified:
            // Whichever of our own questions has brought it.
            let known = before.sources.first { $0.source == name }
            let isSame =
                known.map { $0.digest == outcome.revision?.digest } ?? false
            return Verdict(source: name, outcome: isSame ? .unchanged : .accepted)
        }
    }

    private static func unasked(_ message: String) -> StageFailure { StageFailure(.fetch, "timeout", message) }

    private static func text(_ code: Int32) -> String { String(cString: strerror(code)) }
}

/// A directory that is ours alone.
private struct ScratchDirectory {
    static let parent = "/tmp"
    let path: String

    init?() {
        var template = Array("\(Self.parent)/agent-trial.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() { Store.remove(path) }
}

extension StageFailure {
    /// Whether the document breaks its rules.
    var isRefusal: Bool { stage == .guarding && code == "refused" }
}

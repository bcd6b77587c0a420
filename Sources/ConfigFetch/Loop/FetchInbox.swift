internal import ConfigSnapshot
internal import Curl
internal import LockLadder

/// What other threads tell the fetch thread. Bounded by what may be told: at most a few commands for each
/// source, and one for each load that readers wait for.
final class FetchInbox: Sendable {
    typealias Flight = SingleFlight<SourceName, FlightOutcome>.Flight

    enum Command: Sendable {
        /// Send the request of this flight, not before this moment (nanoseconds, monotonic). `isFull`: ask for the
        /// document itself, whatever the validators say.
        case begin(Flight, notBefore: UInt64, isFull: Bool)
        /// Nobody wants it any more.
        case cancel(Flight)
        /// The document of this flight has passed, or failed to pass, every stage.
        case finished(Flight, FlightOutcome)
        /// The poll that was due at this time has its answer.
        case polled(SourceName, at: UInt64)
        /// What came of reading a source's file, and where it is watched.
        case fileRead(SourceName, id: UInt64, FileReader.Outcome, FileMarks?)
        /// From now on these are the sources, these the revisions in use, and this is what was before.
        case adopt([SourceSpec], inUse: [SourceName: SourceRevision], pasts: [SourceName: SourcePast])
        /// Somebody wants the document of a source that may be asleep, and that its stored copy may be in use of.
        case wake(SourceName, version: UInt64, SourceRevision?, LastUse)
        /// No source is to be asked; or they are again.
        case freeze(Bool)
        /// Run this: a sign of life.
        case answer(@Sendable () -> Void)
        case stop
    }

    private let commands = Mutex("fetch.inbox", [Command]())
    private let waker: CurlWaker

    init(waker: CurlWaker) { self.waker = waker }

    func post(_ command: Command) {
        let wasEmpty = commands.withLock { commands in
            commands.append(command)
            return commands.count == 1
        }
        // Whoever put the first one in has woken the thread, and it takes all there are.
        if wasEmpty { waker.wake() }
    }

    func drain() -> [Command] {
        commands.withLock { commands in
            // Its room goes with it: to keep as much would be to make it anew for each turn, and at the start it was large.
            defer { commands = [] }
            return commands
        }
    }
}

public import LockLadder

internal import struct Synchronization.Atomic

/// Whether a thread still gets round to its work: it is asked for a sign of life and watched for the answer.
///
/// An idle thread answers at once; one that is stuck does not. That the thread exists, or that its queue takes the
/// question, proves nothing.
public final class Pulse: Sendable {
    /// Hands the thread something to run when it gets round to it.
    public typealias Ask = @Sendable (_ answer: @escaping @Sendable () -> Void) -> Void

    public let name: String
    private let ask: Ask
    /// When the open question was put, on the monotonic clock; 0 when none is open.
    private let askedAt = Atomic<UInt64>(0)

    public init(_ name: String, ask: @escaping Ask) {
        self.name = name
        self.ask = ask
    }

    /// Puts a question, unless one is open.
    public func beat(at now: MonotonicTime) {
        // Relaxed, as everywhere here: one asks and one answers, and nothing else is ordered by it.
        guard askedAt.load(ordering: .relaxed) == 0 else { return }
        askedAt.store(now.nanoseconds, ordering: .relaxed)
        ask { [weak self] in self?.askedAt.store(0, ordering: .relaxed) }
    }

    /// For how long the open question has waited; 0 when none is open.
    public func silence(at now: MonotonicTime) -> UInt64 {
        let asked = askedAt.load(ordering: .relaxed)
        return asked == 0 ? 0 : now.nanoseconds(since: MonotonicTime(nanoseconds: asked))
    }
}

/// Feeds systemd's watchdog for as long as every thread shows signs of life.
public struct Watchdog {
    private let pulses: [Pulse]
    private let interval: UInt64
    private var nextPing = MonotonicTime(nanoseconds: 0)
    private var isStuck = false

    public enum Verdict: Sendable, Equatable {
        case wellFed, notYet
        /// These threads have not answered for half the watchdog's interval: it goes hungry. Told once.
        case starving([String])
    }

    /// - Parameter intervalNanoseconds: after how long without a ping systemd steps in.
    public init(_ pulses: [Pulse], intervalNanoseconds: UInt64) {
        self.pulses = pulses
        interval = intervalNanoseconds
    }

    /// To be called at least once a second. Calls `ping` when it is time and nobody is stuck.
    public mutating func turn(at now: MonotonicTime, ping: () -> Void) -> Verdict {
        for pulse in pulses { pulse.beat(at: now) }
        let stuck = pulses.filter { $0.silence(at: now) > interval / 2 }.map(\.name)
        guard stuck.isEmpty else {
            defer { isStuck = true }
            return isStuck ? .notYet : .starving(stuck)
        }
        isStuck = false
        guard now >= nextPing else { return .notYet }
        nextPing = now.advanced(byNanoseconds: interval / 4)
        ping()
        return .wellFed
    }
}

internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

internal import struct Synchronization.Atomic

/// Answers that need a disk, or the pipeline: worked out on a thread of their own, a few at a time.
enum SlowAnswer {
    /// So many at a time of each: whoever looks back keeps nobody from commanding.
    final class Pool: Sendable {
        static let looks = Pool()
        static let commands = Pool()

        fileprivate let underWay = Atomic<Int>(0)
    }

    private static let most = 4
    /// Less than agentctl waits, so that it hears why.
    private static let patience: UInt64 = 55_000_000_000

    /// - Parameter work: given when it has to be over.
    static func make(
        _ loop: any EventLoop,
        in pool: Pool = .looks,
        _ work: @escaping @Sendable (_ deadline: MonotonicTime) -> LocalResponse
    ) -> LocalAnswer {
        // Relaxed, here and below: only a count.
        guard pool.underWay.add(1, ordering: .relaxed).newValue <= most else {
            pool.underWay.subtract(1, ordering: .relaxed)
            return .now(busy)
        }
        let answer = NIOLoopBound(LateAnswer(loop), eventLoop: loop)
        let deadline = MonotonicTime.now.advanced(byNanoseconds: patience)
        let thread = NamedThread("agent-command") {
            let response = work(deadline)
            pool.underWay.subtract(1, ordering: .relaxed)
            loop.execute { answer.value.keep(response) }
        }
        guard thread != nil else {
            pool.underWay.subtract(1, ordering: .relaxed)
            return .now(busy)
        }
        // A disk may hang: then whoever waits is told, and the thread goes on.
        let limit = loop.scheduleTask(in: .nanoseconds(Int64(patience) + 2_000_000_000)) { answer.value.keep(late) }
        answer.value.future.whenComplete { _ in limit.cancel() }
        return .later(answer.value.future, abandon: {})
    }

    private static var late: LocalResponse {
        .error(
            .gatewayTimeout,
            "deadline",
            "this takes longer than 57 s",
            hint: "see whether the state directory hangs"
        )
    }

    private static var busy: LocalResponse {
        .error(
            .serviceUnavailable,
            "busy",
            "\(most) requests of this kind are being worked on already",
            hint: "try again in a moment"
        )
    }
}

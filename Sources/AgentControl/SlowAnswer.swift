internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

internal import struct Synchronization.Atomic

/// Answers that need a disk, or the pipeline: worked out on a thread of their own, a few at a time.
enum SlowAnswer {
    private static let most = 4
    private static let underWay = Atomic<Int>(0)
    /// Less than agentctl waits, so that it hears why.
    private static let patience: UInt64 = 55_000_000_000

    /// - Parameter work: given when it has to be over.
    static func make(
        _ loop: any EventLoop,
        _ work: @escaping @Sendable (_ deadline: MonotonicTime) -> LocalResponse
    ) -> LocalAnswer {
        // Relaxed, here and below: only a count.
        guard underWay.add(1, ordering: .relaxed).newValue <= most else {
            underWay.subtract(1, ordering: .relaxed)
            return .now(busy)
        }
        let answer = NIOLoopBound(LateAnswer(loop), eventLoop: loop)
        let deadline = MonotonicTime.now.advanced(byNanoseconds: patience)
        let thread = NamedThread("agent-command") {
            let response = work(deadline)
            underWay.subtract(1, ordering: .relaxed)
            loop.execute { answer.value.keep(response) }
        }
        guard thread != nil else {
            underWay.subtract(1, ordering: .relaxed)
            return .now(busy)
        }
        return .later(answer.value.future, abandon: {})
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

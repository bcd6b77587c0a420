internal import CCurl
internal import Glibc

/// Ends a ``CurlMulti/wait(milliseconds:)`` from any thread; never waits itself.
public final class CurlWaker: Sendable {
    private let wakeUps: WakeUps

    init(_ wakeUps: WakeUps) { self.wakeUps = wakeUps }

    public func wake() { wakeUps.add() }
}

/// Wake-ups that were asked for: a counter of the kernel's, which lives as long as anybody may add to it.
final class WakeUps: Sendable {
    let descriptor: Int32

    /// - Returns: `nil` when there are no descriptors left.
    init?() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Does not block: at its limit, 2⁶⁴ - 2 wake-ups, the counter is left as it is, which wakes as well.
    func add() { eventfd_write(descriptor, 1) }

    /// Takes all of them.
    func take() {
        var count: eventfd_t = 0
        eventfd_read(descriptor, &count)
    }
}

internal import CProcess
internal import Glibc

/// The main thread's life: signals and a wake-up, one at a time.
final class SignalLoop {
    enum Event {
        case terminate, hangUp, woken, tick
    }

    private let signals: Int32
    private let waker: Int32

    /// Blocks the signals for this thread and all it starts later: to be made before the first of them.
    ///
    /// - Returns: `nil` when the system has no descriptors left.
    init?() {
        signals = cp_open_signals()
        waker = cp_open_event()
        guard signals >= 0, waker >= 0 else { return nil }
    }

    /// Wakes the loop from any thread; never waits.
    var wake: @Sendable () -> Void {
        let waker = waker
        return { cp_raise_event(waker) }
    }

    /// Waits for the next event; `tick` when nothing happened for a second.
    func next() -> Event {
        var polled = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: waker, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&polled, 2, 1_000) > 0 else { return .tick }
        if polled[0].revents != 0 {
            switch cp_next_signal(signals) {
            case 0: break
            case SIGHUP: return .hangUp
            default: return .terminate
            }
        }
        if polled[1].revents != 0 {
            cp_clear_event(waker)
            return .woken
        }
        return .tick
    }
}

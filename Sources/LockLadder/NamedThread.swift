internal import Glibc

/// A thread with a name, which can be waited for with a deadline.
public final class NamedThread: Sendable {
    private let finished: WakeSignal

    private final class Start: Sendable {
        let name: String
        let finished: WakeSignal
        let body: @Sendable () -> Void
        init(name: String, finished: WakeSignal, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.finished = finished
            self.body = body
        }
    }

    /// Starts a thread.
    ///
    /// - Parameter name: at most 15 bytes are kept; seen in `ps -L`, gdb and the journal.
    /// - Returns: `nil` when the system has no thread to give.
    public init?(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let signal = WakeSignal()
        finished = signal
        let start = unsafe Unmanaged.passRetained(Start(name: name, finished: signal, body: body))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { unsafe pthread_attr_destroy(&attributes) }
        let result = unsafe pthread_create(
            &thread,
            &attributes,
            { argument in
                // SAFETY: the argument is the `Start` retained above; this takes the retain over.
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                CurrentThread.setName(start.name)
                start.body()
                start.finished.raise()
                return nil
            },
            start.toOpaque()
        )
        guard result == 0 else {
            unsafe start.release()
            return nil
        }
    }

    /// Waits until the thread's body has returned. To be called once, by one thread.
    ///
    /// - Returns: `false` when `deadline` passed first; the thread then goes on by itself.
    public func join(until deadline: MonotonicTime) -> Bool { finished.wait(until: deadline) }
}

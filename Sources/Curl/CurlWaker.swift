internal import CCurl
internal import LockLadder

/// Ends a ``CurlMulti/wait(milliseconds:)`` from any thread.
public final class CurlWaker: Sendable {
    // The address, so that a wake-up and the end of the multi handle cannot overlap.
    private let multi: Mutex<UInt?>

    init(multi: UnsafeMutableRawPointer) { self.multi = Mutex("fetch.waker", UInt(bitPattern: multi)) }

    public func wake() {
        multi.withLock { address in
            guard let address, let handle = UnsafeMutableRawPointer(bitPattern: address) else { return }
            // A write to a non-blocking eventfd: libcurl documents it as safe from any thread, and it never waits.
            curl_multi_wakeup(handle)
        }
    }

    func invalidate() { multi.withLock { $0 = nil } }
}

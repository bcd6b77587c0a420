internal import CCurl

/// Ends a ``CurlMulti/wait(milliseconds:)`` from any thread; never waits itself.
public final class CurlWaker: Sendable {
    private let multi: MultiHandle

    init(_ multi: MultiHandle) { self.multi = multi }

    public func wake() {
        // A write to a non-blocking eventfd: the one call that libcurl documents as safe from any thread.
        curl_multi_wakeup(multi.pointer)
    }
}

/// Owns libcurl's multi handle, which lives as long as anybody may wake it.
final class MultiHandle: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the pointer never changes; all but the wake-up is left to the handle's thread.
    let pointer: UnsafeMutableRawPointer

    init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }

    deinit { curl_multi_cleanup(pointer) }
}

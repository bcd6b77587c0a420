internal import CCurl

/// Many transfers on one thread. Everything but ``CurlWaker`` belongs to that thread.
public final class CurlMulti {
    private let owner: MultiHandle
    private var handle: UnsafeMutableRawPointer { owner.pointer }
    private var transfers: [UnsafeMutableRawPointer: CurlTransfer] = [:]
    public let waker: CurlWaker

    /// - Returns: `nil` when libcurl has no memory or no descriptors left.
    public init?() {
        CurlGlobal.initialise()
        guard let handle = curl_multi_init() else { return nil }
        owner = MultiHandle(handle)
        waker = CurlWaker(owner)
        ccurl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, 64)
    }

    deinit {
        for transfer in transfers.values { curl_multi_remove_handle(handle, transfer.handle) }
    }

    public var count: Int { transfers.count }

    /// Begins a transfer.
    public func add(_ transfer: CurlTransfer) {
        transfers[transfer.handle] = transfer
        curl_multi_add_handle(handle, transfer.handle)
    }

    /// Breaks a transfer off.
    public func remove(_ transfer: CurlTransfer) {
        guard transfers.removeValue(forKey: transfer.handle) != nil else { return }
        curl_multi_remove_handle(handle, transfer.handle)
    }

    /// Moves all transfers on as far as they go without waiting.
    public func perform() {
        var running: Int32 = 0
        curl_multi_perform(handle, &running)
    }

    /// The next finished transfer, or `nil`.
    public func nextDone() -> (transfer: CurlTransfer, failure: CurlTransfer.Failure?)? {
        var code = CURLE_OK
        while let easy = ccurl_next_done(handle, &code) {
            guard let transfer = transfers.removeValue(forKey: easy) else { continue }
            let failure = transfer.failure(for: code)
            curl_multi_remove_handle(handle, easy)
            return (transfer, failure)
        }
        return nil
    }

    /// Waits until a transfer can move on, ``CurlWaker/wake()`` is called, or the time is over.
    public func wait(milliseconds: Int) {
        curl_multi_poll(handle, nil, 0, Int32(clamping: milliseconds), nil)
    }
}

internal import CCurl
internal import Glibc
internal import LockLadder

/// Many transfers on one thread. Everything but ``CurlWaker`` belongs to that thread.
///
/// libcurl says which sockets it waits for and until when, and `epoll` waits. So a turn of the loop costs by the sockets
/// that have something to say, and not by those that are silent: with thousands of idle long polls, microseconds and not
/// milliseconds.
public final class CurlMulti {
    private let handle: UnsafeMutableRawPointer
    private let waits: Waits
    private var transfers: [UnsafeMutableRawPointer: CurlTransfer] = [:]
    private let pieces = CurlPieces()
    public let waker: CurlWaker

    /// - Returns: `nil` when libcurl has no memory or no descriptors left.
    public init?() {
        CurlGlobal.initialise()
        guard let wakeUps = WakeUps(), let waits = Waits(wakeUps), let handle = curl_multi_init() else { return nil }
        self.handle = handle
        self.waits = waits
        waker = CurlWaker(wakeUps)
        // SAFETY: `waits` is held until the handle is gone; libcurl calls on the thread that calls it.
        ccurl_multi_set_waits(
            handle,
            { _, socket, wanted, context, _ in
                context.map { Unmanaged<Waits>.fromOpaque($0).takeUnretainedValue().watch(socket, for: wanted) }
                return 0
            },
            { _, milliseconds, context in
                context.map { Unmanaged<Waits>.fromOpaque($0).takeUnretainedValue().setTimer(milliseconds) }
                return 0
            },
            Unmanaged.passUnretained(waits).toOpaque()
        )
    }

    deinit {
        for transfer in transfers.values { curl_multi_remove_handle(handle, transfer.handle) }
        curl_multi_cleanup(handle)
    }

    public var count: Int { transfers.count }

    /// Connections that are kept although nothing is under way over them.
    private static let mostIdle = 64

    /// libcurl counts those that are in use, too.
    private func keepConnections() {
        ccurl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, Self.mostIdle + transfers.count)
    }

    /// Begins a transfer.
    public func add(_ transfer: CurlTransfer) {
        transfers[transfer.handle] = transfer
        keepConnections()
        transfer.pieces = pieces
        curl_multi_add_handle(handle, transfer.handle)
    }

    /// Breaks a transfer off.
    public func remove(_ transfer: CurlTransfer) {
        guard transfers.removeValue(forKey: transfer.handle) != nil else { return }
        curl_multi_remove_handle(handle, transfer.handle)
        keepConnections()
    }

    /// Does what is due: new transfers set out, and those whose time is over end.
    public func perform() {
        guard let due = waits.due, due <= MonotonicTime.now.nanoseconds else { return }
        // libcurl sets the next one, if there is one.
        waits.due = nil
        act(CURL_SOCKET_TIMEOUT, 0)
    }

    /// The next finished transfer, or `nil`.
    public func nextDone() -> (transfer: CurlTransfer, failure: CurlTransfer.Failure?)? {
        var code = CURLE_OK
        while let easy = ccurl_next_done(handle, &code) {
            guard let transfer = transfers.removeValue(forKey: easy) else { continue }
            let failure = transfer.failure(for: code)
            curl_multi_remove_handle(handle, easy)
            keepConnections()
            return (transfer, failure)
        }
        return nil
    }

    /// The next piece that has come of a stream, or `nil`. To be asked before ``nextDone()``: what came last comes before
    /// the end.
    public func nextPiece() -> (transfer: CurlTransfer, piece: [UInt8])? {
        while let transfer = pieces.waiting.popLast() {
            if transfers[transfer.handle] != nil { return (transfer, transfer.takePiece()) }
        }
        return nil
    }

    /// Has `isReady` called on the loop's thread whenever `descriptor` has something to read.
    ///
    /// - Returns: `false` when the system has no room for one more.
    public func watch(_ descriptor: Int32, _ isReady: @escaping () -> Void) -> Bool {
        waits.watch(descriptor, isReady)
    }

    /// Waits until a transfer can move on, and moves those on that can, as far as they go; or until
    /// ``CurlWaker/wake()`` is called or the time is over.
    public func wait(milliseconds: Int) {
        for event in waits.wait(milliseconds: milliseconds) { act(event.socket, event.state) }
        perform()
    }

    private func act(_ socket: curl_socket_t, _ state: Int32) {
        var running: Int32 = 0
        curl_multi_socket_action(handle, socket, state, &running)
    }
}

/// What libcurl waits for: sockets, and a moment.
private final class Waits {
    /// When libcurl wants to be asked, on the monotonic clock; `nil` for never.
    var due: UInt64?
    private let epoll: Int32
    private let wakeUps: WakeUps
    /// As many sockets as one turn of the loop looks at; the next turn looks at the others.
    private var events = [epoll_event](repeating: epoll_event(), count: 256)
    /// Descriptors that are not libcurl's.
    private var others: [Int32: () -> Void] = [:]

    init?(_ wakeUps: WakeUps) {
        self.wakeUps = wakeUps
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0, control(EPOLL_CTL_ADD, wakeUps.descriptor, EPOLLIN.rawValue) else { return nil }
    }

    deinit { close(epoll) }

    /// libcurl's wish for one socket. It tells of a socket's end before it closes it.
    func watch(_ socket: curl_socket_t, for wanted: Int32) {
        let interest: UInt32 =
            switch wanted {
            case CURL_POLL_IN: EPOLLIN.rawValue
            case CURL_POLL_OUT: EPOLLOUT.rawValue
            case CURL_POLL_INOUT: EPOLLIN.rawValue | EPOLLOUT.rawValue
            default: 0
            }
        guard interest != 0 else {
            control(EPOLL_CTL_DEL, socket, 0)
            return
        }
        // Where the system has no room for one more, the transfer runs into its time limit, and says so.
        if !control(EPOLL_CTL_MOD, socket, interest) { control(EPOLL_CTL_ADD, socket, interest) }
    }

    func watch(_ descriptor: Int32, _ isReady: @escaping () -> Void) -> Bool {
        guard control(EPOLL_CTL_ADD, descriptor, EPOLLIN.rawValue) else { return false }
        others[descriptor] = isReady
        return true
    }

    func setTimer(_ milliseconds: Int) {
        due = milliseconds < 0 ? nil : MonotonicTime.now.nanoseconds + UInt64(milliseconds) * 1_000_000
    }

    /// The sockets that have something to say, and what.
    func wait(milliseconds: Int) -> [(socket: curl_socket_t, state: Int32)] {
        let count = epoll_wait(epoll, &events, Int32(events.count), Int32(clamping: min(milliseconds, untilDue)))
        guard count > 0 else { return [] }
        return events[..<Int(count)].compactMap { event in
            guard event.data.fd != wakeUps.descriptor else {
                wakeUps.take()
                return nil
            }
            if let isReady = others[event.data.fd] {
                isReady()
                return nil
            }
            var state: Int32 = 0
            if event.events & (EPOLLIN.rawValue | EPOLLHUP.rawValue) != 0 { state |= CURL_CSELECT_IN }
            if event.events & EPOLLOUT.rawValue != 0 { state |= CURL_CSELECT_OUT }
            if event.events & EPOLLERR.rawValue != 0 { state |= CURL_CSELECT_ERR }
            return (event.data.fd, state)
        }
    }

    /// Milliseconds, rounded up: to wake too early would turn the loop for nothing.
    private var untilDue: Int {
        guard let due else { return .max }
        let now = MonotonicTime.now.nanoseconds
        return due <= now ? 0 : Int(clamping: (due - now + 999_999) / 1_000_000)
    }

    @discardableResult
    private func control(_ operation: Int32, _ descriptor: Int32, _ interest: UInt32) -> Bool {
        var event = epoll_event()
        event.events = interest
        event.data.fd = descriptor
        return epoll_ctl(epoll, operation, descriptor, &event) == 0
    }
}

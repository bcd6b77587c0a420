internal import AgentAPI
internal import AgentTelemetry
internal import Glibc
internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// The clients of `locks.sock`, on its thread.
struct LocksClients {
    /// So many are answered at once, and as many more wait in the kernel.
    static let most = 8
    /// From a client's connecting until it has taken the last byte. Who takes longer is cut off.
    static let patience: UInt64 = 1_000_000_000
    /// How long nobody is accepted when the process or the system has nothing left to accept with.
    private static let pause: UInt64 = 500_000_000

    private let listener: Descriptor
    private let since: WireTime
    private var clients: [LocksClient] = []
    private var acceptsFrom = MonotonicTime(nanoseconds: 0)

    init(listener: Descriptor, since: WireTime) {
        self.listener = listener
        self.since = since
    }

    /// Returns when the listening socket was shut down.
    mutating func serve() {
        while true {
            let mayAccept = clients.count < Self.most && MonotonicTime.now >= acceptsFrom
            var polled = clients.map { pollfd(fd: $0.descriptor.number, events: $0.events, revents: 0) }
            polled.append(pollfd(fd: listener.number, events: mayAccept ? Int16(POLLIN) : 0, revents: 0))
            // The kernel had no memory for it: no reason to ask it again and again.
            if poll(&polled, nfds_t(polled.count), timeout) < 0, errno != EINTR { _ = poll(nil, 0, 100) }
            let listening = Int32(polled.removeLast().revents)
            if listening & (POLLHUP | POLLERR | POLLNVAL) != 0 { return }
            let now = MonotonicTime.now
            // Who is ready is heard before the time is looked at: a thread that got no CPU time blames nobody for it.
            for (client, polled) in zip(clients, polled) where polled.revents != 0 {
                client.turn { Self.answer(to: $0, since: since) }
            }
            clients.removeAll { $0.isDone || now >= $0.deadline }
            if listening & POLLIN != 0 { accept(at: now) }
        }
    }

    /// Milliseconds, rounded up, until something has to be done whatever happens; -1, for ever, when there is nobody to
    /// be cut off: a client, or the end, wakes the thread.
    private var timeout: Int32 {
        let now = MonotonicTime.now
        let due = clients.map(\.deadline) + (now < acceptsFrom ? [acceptsFrom] : [])
        guard let next = due.min() else { return -1 }
        return Int32(clamping: next.nanoseconds(since: now) / 1_000_000 + 1)
    }

    private mutating func accept(at now: MonotonicTime) {
        guard let descriptor = Descriptor(Glibc.accept(listener.number, nil, nil)) else {
            // Gone again, or taken by nobody: the next may be luckier.
            if ![EAGAIN, EINTR, ECONNABORTED].contains(errno) {
                acceptsFrom = now.advanced(byNanoseconds: Self.pause)
            }
            return
        }
        _ = fcntl(descriptor.number, F_SETFD, FD_CLOEXEC)
        clients.append(LocksClient(descriptor, deadline: now.advanced(byNanoseconds: Self.patience)))
    }

    // MARK: Answers

    /// The answer to a request of which the head is there: the locks, whatever the path; `/metrics` as metrics.
    static func answer(to head: [UInt8], since: WireTime) -> LocalResponse {
        let line = String(decoding: head.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[1].hasPrefix("/"), words[2].hasPrefix("HTTP/1.") else {
            return .error(.badRequest, "bad_request", "this is no request of HTTP/1.1")
        }
        guard words[0] == "GET" else {
            var refusal = LocalResponse.error(
                .methodNotAllowed,
                "method_not_allowed",
                "\(AgentPaths.locksSocketName) does not take \(words[0].prefix(32))",
                hint: "it takes GET"
            )
            refusal.headers.append(("Allow", "GET"))
            return refusal
        }
        let figures = LockFigures.collect()
        guard words[1].prefix(while: { $0 != "?" }) == Routes.metrics else {
            return .json(LocksReport(figures, since: since))
        }
        var text = PrometheusText()
        LockMetrics.render(figures, &text)
        return LocalResponse(.ok, body: Array(text.text.utf8), contentType: PrometheusText.contentType)
    }
}

/// One of them: first it is read from, then written to.
final class LocksClient {
    /// The bytes that a request may have.
    static let most = 8 << 10

    let descriptor: Descriptor
    let deadline: MonotonicTime
    private(set) var isDone = false
    private var request: [UInt8] = []
    /// Up to where the end of the request's head was looked for.
    private var searched = 0
    private var answer = ByteBufferView()

    init(_ descriptor: Descriptor, deadline: MonotonicTime) {
        self.descriptor = descriptor
        self.deadline = deadline
    }

    /// What it has to be waited for.
    var events: Int16 { Int16(answer.isEmpty ? POLLIN : POLLOUT) }

    /// Does what can be done without waiting.
    ///
    /// - Parameter respond: makes the answer to a request's head.
    func turn(_ respond: ([UInt8]) -> LocalResponse) {
        if answer.isEmpty {
            let hasEnded = receive()
            guard hasEnded || request.count >= Self.most else { return }
            let response = hasEnded ? respond(request) : Self.tooLong
            answer = ResponseBytes.whole(response, close: true, isHead: false, ByteBufferAllocator()).readableBytesView
            request = []
        }
        send()
    }

    private static let tooLong = LocalResponse.error(
        .requestHeaderFieldsTooLarge,
        "too_large",
        "a request has at most \(most) bytes"
    )

    /// - Returns: whether the empty line that ends a head has come. What follows it is nobody's concern.
    private func receive() -> Bool {
        var piece = [UInt8](repeating: 0, count: 1_024)
        let count = recv(descriptor.number, &piece, piece.count, Int32(MSG_DONTWAIT))
        guard count > 0 else {
            isDone = count == 0 || (errno != EAGAIN && errno != EINTR)
            return false
        }
        request += piece.prefix(count)
        defer { searched = max(0, request.count - 3) }
        return (searched..<request.count).contains { request[$0...].starts(with: [13, 10, 13, 10]) }
    }

    private func send() {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        // SAFETY: the pointer is used only during the call, for as many bytes as there are.
        let count = answer.withUnsafeBytes { Glibc.send(descriptor.number, $0.baseAddress, $0.count, flags) }
        if count > 0 { answer = answer.dropFirst(count) }
        isDone = answer.isEmpty || (count < 0 && errno != EAGAIN && errno != EINTR)
    }
}

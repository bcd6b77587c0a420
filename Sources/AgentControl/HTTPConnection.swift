internal import LockLadder
internal import NIOCore
internal import NIOHTTP1

/// One client's connection: reads requests one at a time, answers each, and lets go of what the client no longer
/// waits for.
///
/// Nothing more is read from the client before it has taken the answer to what it asked already, so a client that
/// sends without reading costs one answer and one read buffer, however much it sends. Every state it can be in has a
/// time limit; the worker looks at them all once in a while.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    /// What the connection is waiting for.
    private enum Phase {
        /// A request's first byte.
        case idle
        /// A request's last byte.
        case receiving
        /// An answer that is still being made: its maker has a deadline of its own.
        case making
        /// The client, to take an answer.
        case answering
        /// The next event, for as long as it takes.
        case watching
        /// The client, to take an event.
        case sendingEvent
        /// The end.
        case closing
    }

    private let right: Right
    private let limits: ClientLimits
    private let clients: Clients
    private let worker: Worker
    private let answer: (LocalRequest) -> LocalAnswer
    private var context: ChannelHandlerContext?
    private var phase = Phase.idle
    /// When the phase began.
    private var since = MonotonicTime.now
    /// The request that is coming in.
    private var head: HTTPRequestHead?
    private var headerBytes = 0
    private var bodyBytes = 0
    /// Requests that came in one read, behind the one that is being answered: at most a read buffer's worth.
    private var waiting: [HTTPRequestHead] = []
    private var hasAnswered = false
    /// The client sends no more; it may still read.
    private var isInputClosed = false
    private var closesAfterAnswer = false
    private var isWatching = false
    private var abandon: (() -> Void)?

    init(
        right: Right,
        worker: Worker,
        clients: Clients,
        limits: ClientLimits,
        answer: @escaping (LocalRequest) -> LocalAnswer
    ) {
        self.right = right
        self.worker = worker
        self.clients = clients
        self.limits = limits
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        worker.connections.insert(self)
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        worker.connections.remove(self)
    }

    private func enter(_ next: Phase) {
        guard phase != .closing else { return }
        phase = next
        since = .now
    }

    /// The agent is about to stop. A client that has just connected is still answered: its request is on the way.
    func quiesce() {
        switch phase {
        case .idle where hasAnswered, .watching, .sendingEvent: close()
        default: break
        }
    }

    private func close() {
        phase = .closing
        context?.close(promise: nil)
    }

    // MARK: Limits

    /// Cuts the client off if it has let its time pass; sends a watcher a sign of life when it is due.
    func check(at now: MonotonicTime) {
        let spent = now.nanoseconds(since: since)
        switch phase {
        case .idle: if spent > limits.idle { cut(.idle) }
        case .receiving: if spent > limits.requestTime { refuseRequest(.requestTime) }
        case .answering: if spent > limits.answerTime { cut(.answerTime) }
        case .sendingEvent: if spent > limits.answerTime { cut(.watchTime) }
        case .watching: if spent > limits.heartbeat, let bytes = worker.watchers.heartbeat(for: self) { send(bytes) }
        case .making, .closing: break
        }
    }

    private func cut(_ limit: ClientLimit) {
        clients.noteCut(limit)
        close()
    }

    /// Says what is wrong with a request that never became whole, and closes.
    private func refuseRequest(_ limit: ClientLimit) {
        guard let context, phase == .idle || phase == .receiving else { return cut(limit) }
        clients.noteCut(limit)
        head = nil
        let response: LocalResponse =
            switch limit {
            case .headerSize:
                .error(
                    .requestHeaderFieldsTooLarge,
                    "header_too_large",
                    "the request's first line and headers are larger than \(limits.headerBytes) bytes"
                )
            case .bodySize:
                .error(
                    .payloadTooLarge,
                    "body_too_large",
                    "the request's body is larger than \(limits.bodyBytes) bytes; requests to the agent need none"
                )
            case .requestTime:
                .error(
                    .requestTimeout,
                    "request_timeout",
                    "the request was not complete within \(limits.requestTime / 1_000_000) ms"
                )
            default: .error(.badRequest, "malformed", "this is no HTTP/1.1 request")
            }
        closesAfterAnswer = true
        write(response, isHead: false, context)
        // What it still sends is not looked at.
        waiting = []
    }

    // MARK: Reading

    /// Told of bytes before they are taken apart.
    func bytesArrived() {
        if phase == .idle { enter(.receiving) }
    }

    /// Told when bytes have been taken apart.
    func bytesTaken(_ count: Int) {
        guard phase == .receiving, head == nil else {
            headerBytes = 0
            return
        }
        headerBytes += count
        if headerBytes > limits.headerBytes { refuseRequest(.headerSize) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .closing, !closesAfterAnswer else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyBytes = 0
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            // Answered before its end: an endless body is not read to the end.
            if bodyBytes > limits.bodyBytes, head != nil { refuseRequest(.bodySize) }
        case .end:
            guard let head else { return }
            self.head = nil
            // A watcher has nothing more to ask.
            if phase == .watching || phase == .sendingEvent { return close() }
            waiting.append(head)
            answerNext(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readOn(context)
        context.fireChannelReadComplete()
    }

    /// Asks for more bytes only when everything asked so far has been answered and taken. A watcher is read from only
    /// to learn that it is gone.
    private func readOn(_ context: ChannelHandlerContext) {
        switch phase {
        case .idle, .receiving, .watching, .sendingEvent: if waiting.isEmpty, !isInputClosed { context.read() }
        case .making, .answering, .closing: break
        }
    }

    // MARK: Answering

    private func answerNext(_ context: ChannelHandlerContext) {
        guard phase == .idle || phase == .receiving, !waiting.isEmpty else { return }
        let head = waiting.removeFirst()
        closesAfterAnswer = !head.isKeepAlive || head.version == .http1_0 || Self.leavesHTTP(head)
        if let answer = cachedAnswer(to: head) {
            enter(.answering)
            return flush(answer, context) { $0.answerWasTaken($1) }
        }
        guard let request = LocalRequest(head) else {
            let bad = LocalResponse.error(.badRequest, "bad_target", "the request's target is not a path")
            return write(bad, isHead: head.method == .HEAD, context)
        }
        switch answer(request) {
        case .now(let response):
            write(response, isHead: head.method == .HEAD, context, cacheAs: isCacheable(head) ? head.uri : nil)
        case .later(let future, let abandon):
            enter(.making)
            self.abandon = abandon
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            future.whenSuccess { response in
                let (handler, context) = bound.value
                handler.abandon = nil
                handler.write(response, isHead: head.method == .HEAD, context)
            }
        case .watch(let topic, let known):
            watch(topic, known, context)
        }
    }

    /// After a request for another protocol the parser understands no more, though nobody has agreed to one.
    private static func leavesHTTP(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "Upgrade")
    }

    /// Values are read again and again: most requests end here.
    private func cachedAnswer(to head: HTTPRequestHead) -> ByteBuffer? {
        isCacheable(head) ? worker.cachedAnswer(to: head.uri) : nil
    }

    private func isCacheable(_ head: HTTPRequestHead) -> Bool {
        right == .config && head.method == .GET && !closesAfterAnswer && !worker.connections.isQuiescing
            && !head.headers.contains(name: "If-None-Match")
    }

    private func write(
        _ response: LocalResponse,
        isHead: Bool,
        _ context: ChannelHandlerContext,
        cacheAs target: String? = nil
    ) {
        guard context.channel.isActive, phase != .closing else { return }
        enter(.answering)
        closesAfterAnswer = closesAfterAnswer || worker.connections.isQuiescing
        let bytes = ResponseBytes.whole(
            response,
            close: closesAfterAnswer,
            isHead: isHead,
            context.channel.allocator
        )
        if let target, let generation = response.ofGeneration {
            worker.cache(bytes, to: target, generation: generation)
        }
        if let body = response.sharedBody, !isHead {
            context.write(wrapOutboundOut(bytes), promise: nil)
            return flush(body, context) { $0.answerWasTaken($1) }
        }
        flush(bytes, context) { $0.answerWasTaken($1) }
    }

    private func flush(
        _ bytes: ByteBuffer,
        _ context: ChannelHandlerContext,
        then: @escaping (HTTPConnection, ChannelHandlerContext) -> Void
    ) {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // As a rule the kernel has taken it all by now, and nobody has to be told later.
        if context.channel.isActive, isAllTaken(context) { return then(self, context) }
        let taken = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context, then), eventLoop: context.eventLoop)
        taken.futureResult.whenSuccess { _ in
            let (handler, context, then) = bound.value
            then(handler, context)
        }
        // Fulfilled with the last of the bytes before it.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: taken)
    }

    private func isAllTaken(_ context: ChannelHandlerContext) -> Bool {
        guard let options = context.channel.syncOptions else { return false }
        do { return try options.getOption(.bufferedWritableBytes) == 0 } catch { return false }
    }

    /// The last byte of an answer has gone into the client's socket.
    private func answerWasTaken(_ context: ChannelHandlerContext) {
        hasAnswered = true
        let isLast = closesAfterAnswer || worker.connections.isQuiescing || (isInputClosed && waiting.isEmpty)
        if isLast { return close() }
        enter(head == nil ? .idle : .receiving)
        guard !waiting.isEmpty else { return readOn(context) }
        // By way of the loop: other connections have their turn between two pipelined requests.
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let (handler, context) = bound.value
            handler.answerNext(context)
        }
    }

    // MARK: Ends

    func channelInactive(context: ChannelHandlerContext) {
        phase = .closing
        waiting = []
        abandon?()
        abandon = nil
        stopWatching()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        // It may still read the answer to what it has asked. A watcher that closes its half is gone.
        isInputClosed = true
        switch phase {
        case .idle, .receiving, .watching, .sendingEvent: if waiting.isEmpty { close() }
        case .making, .answering, .closing: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow: refuseRequest(.headerSize)
        // The end came within a request: nobody is there to be told.
        case HTTPParserError.invalidEOFState: close()
        case is HTTPParserError: refuseRequest(.malformed)
        default: close()
        }
    }
}

// MARK: Watching

extension HTTPConnection: WatchStream {
    private func watch(_ topic: WatchTopic, _ known: UInt64?, _ context: ChannelHandlerContext) {
        if worker.connections.isQuiescing { return close() }
        clients.noteWatchers(1)
        isWatching = true
        // Events that a client has not read lie in the kernel: a few will do, later ones are told as one.
        _ = context.channel.setOption(.socketOption(.so_sndbuf), value: 32 << 10)
        worker.watchers.add(self, topic, known: known)
        // The head counts as the first event: the next one follows when the client has taken it.
        send(ResponseBytes.eventStreamHead(context.channel.allocator))
        readOn(context)
    }

    func send(_ bytes: ByteBuffer) {
        guard let context, phase != .closing else { return }
        enter(.sendingEvent)
        flush(bytes, context) { handler, _ in
            handler.enter(.watching)
            handler.worker.watchers.taken(handler)
        }
    }

    private func stopWatching() {
        guard isWatching else { return }
        isWatching = false
        clients.noteWatchers(-1)
        worker.watchers.remove(self)
    }
}

/// Sees a connection's bytes before and after they are taken apart.
final class ByteGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: HTTPConnection

    init(_ connection: HTTPConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let count = unwrapInboundIn(data).readableBytes
        connection.bytesArrived()
        context.fireChannelRead(data)
        connection.bytesTaken(count)
    }
}

internal import NIOCore
internal import NIOHTTP1

/// One client's connection: reads requests one at a time, answers each, and lets go of what the client no longer
/// waits for.
///
/// Nothing more is read from the client before it has taken the answer to what it asked already, so a client that
/// sends without reading costs one answer and one read buffer, however much it sends.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Requests to the agent have no bodies worth speaking of.
    private static let maxBodyBytes = 64 << 10

    private static let tooLarge = LocalResponse.error(
        .payloadTooLarge,
        "body_too_large",
        "the request's body is larger than \(maxBodyBytes) bytes; requests to the agent need none"
    )

    private let answer: (LocalRequest) -> LocalAnswer
    private let connections: ConnectionSet
    private var context: ChannelHandlerContext?
    /// The request that is coming in.
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    /// Requests that came in one read, behind the one that is being answered: at most a read buffer's worth.
    private var waiting: [HTTPRequestHead] = []
    /// Between a request's last byte and the moment its answer was taken.
    private var isAnswering = false
    private var hasAnswered = false
    private var isClosing = false
    private var abandon: (() -> Void)?

    init(connections: ConnectionSet, answer: @escaping (LocalRequest) -> LocalAnswer) {
        self.connections = connections
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connections.insert(self)
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connections.remove(self)
    }

    /// The agent is about to stop. A client that has just connected is still answered: its request is on the way.
    func quiesce() {
        if hasAnswered, !isAnswering { context?.close(promise: nil) }
    }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyBytes = 0
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > Self.maxBodyBytes, let head {
                // Answered before its end: an endless body is not read to the end.
                self.head = nil
                write(Self.tooLarge, to: head, close: true, context: context)
            }
        case .end:
            guard let head else { return }
            self.head = nil
            waiting.append(head)
            answerNext(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readOn(context)
        context.fireChannelReadComplete()
    }

    /// Asks for more bytes only when everything asked so far has been answered and taken.
    private func readOn(_ context: ChannelHandlerContext) {
        if !isAnswering, !isClosing, waiting.isEmpty { context.read() }
    }

    // MARK: Answering

    private func answerNext(_ context: ChannelHandlerContext) {
        guard !isAnswering, !isClosing, !waiting.isEmpty else { return }
        isAnswering = true
        let head = waiting.removeFirst()
        guard let request = LocalRequest(head) else {
            let bad = LocalResponse.error(.badRequest, "bad_target", "the request's target is not a path")
            return write(bad, to: head, close: !head.isKeepAlive, context: context)
        }
        switch answer(request) {
        case .now(let response):
            write(response, to: head, close: !head.isKeepAlive, context: context)
        case .later(let future, let abandon):
            self.abandon = abandon
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            future.whenSuccess { response in
                let (handler, context) = bound.value
                handler.abandon = nil
                handler.write(response, to: head, close: !head.isKeepAlive, context: context)
            }
        }
    }

    private func write(
        _ response: LocalResponse,
        to request: HTTPRequestHead,
        close: Bool,
        context: ChannelHandlerContext
    ) {
        guard context.channel.isActive else { return }
        isAnswering = true
        isClosing = close || connections.isQuiescing
        var headers = HTTPHeaders(response.headers)
        let hasBody = response.status != .notModified
        if hasBody {
            headers.add(name: "Content-Type", value: response.contentType)
            headers.add(name: "Content-Length", value: String(response.body.count))
        }
        if isClosing { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if hasBody, request.method != .HEAD {
            let buffer = context.channel.allocator.buffer(bytes: response.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
        }
        let taken = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        taken.futureResult.whenComplete { _ in
            let (handler, context) = bound.value
            handler.answerWasTaken(context)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: taken)
    }

    /// The last byte of an answer has gone into the client's socket.
    private func answerWasTaken(_ context: ChannelHandlerContext) {
        isAnswering = false
        hasAnswered = true
        if isClosing || connections.isQuiescing { return context.close(promise: nil) }
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
        isClosing = true
        waiting = []
        abandon?()
        abandon = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Nothing moved for long: nothing was asked, or nobody takes the answer.
        if event is IdleStateHandler.IdleStateEvent, abandon == nil { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A client that speaks no HTTP, or went away: nothing to tell it.
        context.close(promise: nil)
    }
}

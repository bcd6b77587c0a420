internal import NIOCore
internal import NIOHTTP1

/// One client's connection: reads requests one at a time, answers each, and lets go of what the client no longer
/// waits for.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Requests to the agent have no bodies worth speaking of.
    private static let maxBodyBytes = 64 << 10

    private let answer: (LocalRequest) -> LocalAnswer
    private let connections: ConnectionSet
    private var context: ChannelHandlerContext?
    /// Between the first byte of a request and the last one of its answer.
    private var isBusy = false
    private var hasAnswered = false
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    private var abandon: (() -> Void)?

    init(connections: ConnectionSet, answer: @escaping (LocalRequest) -> LocalAnswer) {
        self.connections = connections
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connections.insert(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connections.remove(self)
    }

    /// The agent is about to stop. A client that has just connected is still answered: its request is on the way.
    func quiesce() {
        if hasAnswered, !isBusy { context?.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            isBusy = true
            bodyBytes = 0
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > Self.maxBodyBytes, let head {
                // Answered before its end: an endless body is not read to the end. What still comes is ignored.
                self.head = nil
                write(Self.tooLarge, to: head, close: true, context: context)
            }
        case .end:
            guard let head else { return }
            self.head = nil
            respond(to: head, context: context)
        }
    }

    private static let tooLarge = LocalResponse.error(
        .payloadTooLarge,
        "body_too_large",
        "the request's body is larger than \(maxBodyBytes) bytes; requests to the agent need none"
    )

    private func respond(to head: HTTPRequestHead, context: ChannelHandlerContext) {
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
        let close = close || connections.isQuiescing
        isBusy = false
        hasAnswered = true
        var headers = HTTPHeaders(response.headers)
        let hasBody = response.status != .notModified
        if hasBody {
            headers.add(name: "Content-Type", value: response.contentType)
            headers.add(name: "Content-Length", value: String(response.body.count))
        }
        if close { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if hasBody, request.method != .HEAD {
            let buffer = context.channel.allocator.buffer(bytes: response.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: nil)
        }
        let done = context.eventLoop.makePromise(of: Void.self)
        if close {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            done.futureResult.whenComplete { _ in bound.value.close(promise: nil) }
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
    }

    func channelInactive(context: ChannelHandlerContext) {
        abandon?()
        abandon = nil
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent, abandon == nil { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A client that speaks no HTTP, or went away: nothing to tell it.
        context.close(promise: nil)
    }
}

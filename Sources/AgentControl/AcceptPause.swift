internal import Glibc
internal import NIOCore

/// Stops accepting for a moment when the process or the system has nothing left to accept with.
///
/// Whoever waits to be accepted keeps the listening socket readable, so that without a pause the worker would try
/// again and again, and burn its core.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(500)

    private let clients: Clients
    private let mayGoOn: @Sendable () -> Bool
    private var isPausing = false

    /// - Parameter mayGoOn: asked after a pause: a server that is stopping accepts no more.
    init(clients: Clients, mayGoOn: @escaping @Sendable () -> Bool) {
        self.clients = clients
        self.mayGoOn = mayGoOn
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
        guard let code = (error as? IOError)?.errnoCode, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code), !isPausing
        else { return }
        isPausing = true
        clients.noteCut(.descriptors)
        set(autoRead: false, context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.pause) {
            let (handler, context) = bound.value
            handler.isPausing = false
            if handler.mayGoOn() { handler.set(autoRead: true, context) }
        }
    }

    private func set(autoRead: Bool, _ context: ChannelHandlerContext) {
        // Fails only on a channel that is closed, which accepts nothing anyway.
        _ = context.channel.setOption(.autoRead, value: autoRead)
    }
}

internal import NIOCore

/// An answer that comes later, from one of several who may have it: the first one counts. Belongs to one event loop.
final class LateAnswer {
    private let promise: EventLoopPromise<LocalResponse>
    private var isKept = false

    init(_ loop: any EventLoop) { promise = loop.makePromise() }

    var future: EventLoopFuture<LocalResponse> { promise.futureResult }

    func keep(_ response: LocalResponse) {
        if isKept { return }
        isKept = true
        promise.succeed(response)
    }
}

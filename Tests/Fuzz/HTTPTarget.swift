internal import AgentAPI
internal import AgentTelemetry
internal import ConfigPublish
internal import Glibc
internal import LockLadder
internal import NIOCore
internal import NIOEmbedded
internal import NIOHTTP1

@testable import AgentControl
@testable import ConfigAgent
@testable import ConfigDecode
@testable import ConfigSnapshot

/// What a client sends to a local socket. The first byte says to which; what follows is sent piece by piece, parted by 0xFF
/// and a byte that says what happens in between. The client is answered, waited for or cut off, and at the end nothing is
/// left of it.
func fuzzHTTP(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let client = LocalClient(Surroundings.all[Int(first) % Surroundings.all.count])
    var rest = bytes.dropFirst()
    while !rest.isEmpty, client.isOpen {
        let piece = rest.prefix { $0 != 0xFF }
        rest = rest.dropFirst(piece.count)
        client.send(piece)
        guard rest.popFirst() != nil else { break }
        switch rest.popFirst() {
        case UInt8(ascii: "P"): Surroundings.publish()
        case UInt8(ascii: "T"): Surroundings.loop.advanceTime(by: .seconds(1))
        case UInt8(ascii: "A"): client.finishAnswers()
        case UInt8(ascii: "X"): client.vanish()
        default: break
        }
    }
    client.end()
    require(client.surroundings.clients.figures.watchers == 0, "a watcher is left over")
    // A request for heads has answers whose ends they do not tell themselves.
    if bytes.firstRange(of: Array("HEAD".utf8)) == nil { checkAnswers(client.received) }
}

/// An agent as its sockets see it, without threads: what would be answered by another thread is answered here.
private struct Surroundings {
    let right: Right
    let group: String?
    let worker: Worker
    let clients: Clients
    let reports: ReportBuilder

    static let loop = EmbeddedEventLoop()
    static let all: [Surroundings] = {
        let limits = ClientLimits()
        let clients = Dictionary(uniqueKeysWithValues: Right.allCases.map { ($0, Clients(limits: limits, rights: 3)) })
        let book = EventBook()
        let arrivals = Arrivals(workers: 1, onArrival: nil)
        let reports = ReportBuilder(
            agent: agent,
            journal: Journal(level: .error, warnWait: .max, reportInterval: .max),
            configFile: "/etc/agent",
            clients: clients,
            book: book,
            arrivals: arrivals
        )
        let worker = Worker(
            index: 1,
            loop: loop,
            publisher: agent.publisher,
            connections: ConnectionCount(),
            book: book,
            arrivals: arrivals,
            limits: limits
        )
        reports.use([worker])
        agent.publisher.observe { generation in
            book.clear()
            worker.published(generation)
        }
        publish()
        let rights: [(Right, String?)] = [(.status, nil), (.config, nil), (.control, nil), (.config, "web")]
        return rights.map { right, group in
            guard let ofRight = clients[right] else { fatalError("no clients of \(right)") }
            return Surroundings(right: right, group: group, worker: worker, clients: ofRight, reports: reports)
        }
    }()

    static let agent: Agent = {
        // Never started, so nothing is ever written there.
        let plan = AgentPlan(sources: [], stateDirectory: "/nonexistent")
        do { return try Agent(plan) { _ in } } catch { fatalError("no agent: \(error)") }
    }()

    // SAFETY: libFuzzer runs one input after the other, on one thread.
    nonisolated(unsafe) private static var generation: UInt64 = 0

    /// One of two configurations, in turns.
    static func publish() {
        generation += 1
        let text = generation % 2 == 1 ? #"{"a":{"b":1,"c":[1,{}]},"x.y":"é","z":null}"# : #"{"a":{"b":2},"n":{}}"#
        guard let table = Reading(Array(text.utf8), as: .json).table else { fatalError("not a document") }
        let revision = SourceRevision(
            source: SourceName("app") ?? { fatalError("not a name") }(),
            digest: table.contentDigest,
            validators: .none,
            fetchedAt: 0,
            traceID: ""
        )
        agent.publisher.publish(
            Snapshot(
                generation: generation,
                merged: LayerMerge([table]),
                digest: table.contentDigest,
                publishedAt: 1,
                sources: [revision]
            )
        )
        loop.run()
    }
}

/// Notes when a connection wants to read.
private final class ReadGate: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var isWanted = false

    func read(context: ChannelHandlerContext) { isWanted = true }
}

/// One client, at the other end of a connection that is made as the server makes it.
private final class LocalClient {
    let surroundings: Surroundings
    private let channel: EmbeddedChannel
    private let gate = ReadGate()
    /// Answers that another thread would be at.
    private var underWay: [EventLoopPromise<LocalResponse>] = []
    /// Whether an answer is waited for that only time brings.
    private var waitsForTime = false
    private(set) var received: [UInt8] = []

    init(_ surroundings: Surroundings) {
        self.surroundings = surroundings
        channel = EmbeddedChannel(loop: Surroundings.loop)
        let limits = ClientLimits()
        let connection = HTTPConnection(
            right: surroundings.right,
            worker: surroundings.worker,
            clients: surroundings.clients,
            limits: limits,
            answer: { [unowned self] in self.answer($0) }
        )
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderFieldSize = limits.headerBytes
        decoderLimits.maxHeaderListSize = limits.headerBytes
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes,
            informationalResponseStrategy: .drop,
            limitConfiguration: decoderLimits
        )
        do {
            try channel.pipeline.syncOperations.addHandlers(
                gate,
                ByteGate(connection),
                ByteToMessageHandler(decoder),
                connection
            )
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/nowhere")).wait()
        } catch { fatalError("no connection: \(error)") }
    }

    var isOpen: Bool { channel.isActive }

    private func answer(_ request: LocalRequest) -> LocalAnswer {
        let router = Router(
            right: surroundings.right,
            group: surroundings.group,
            worker: surroundings.worker,
            reports: surroundings.reports,
            agent: Surroundings.agent,
            peer: PeerProcess(of: channel),
            reload: nil
        )
        guard !needsThread(request) else {
            let promise = Surroundings.loop.makePromise(of: LocalResponse.self)
            underWay.append(promise)
            return .later(promise.futureResult, abandon: {})
        }
        let answer = router.answer(request)
        if case .later = answer { waitsForTime = true }
        return answer
    }

    /// Whether the router would begin a thread for it, which then came back to a loop that has none.
    private func needsThread(_ request: LocalRequest) -> Bool {
        let looks = [Routes.generations, Routes.diff, Routes.explain]
        switch surroundings.right {
        case .status: return request.path == Routes.history
        case .config: return looks.contains { request.path.utf8.starts(with: $0.utf8) }
        case .control: return request.method == .POST && request.path != Routes.reload
        }
    }

    func send(_ piece: ArraySlice<UInt8>) {
        guard isWanted(), isOpen else { return }
        gate.isWanted = false
        // What it finds wrong with the bytes is its own business.
        _ = try? channel.writeInbound(ByteBuffer(bytes: piece))
        settle()
    }

    /// Whether the connection wants more, once it has had the time to answer what it has.
    private func isWanted() -> Bool {
        settle()
        if gate.isWanted || !isOpen { return true }
        finishAnswers()
        require(gate.isWanted || !isOpen || waitsForTime, "it neither answers nor reads nor closes")
        return gate.isWanted
    }

    func finishAnswers() {
        while !underWay.isEmpty {
            underWay.removeFirst().succeed(LocalResponse(.ok, body: Array("{}\n".utf8)))
            settle()
        }
    }

    private func settle() {
        Surroundings.loop.run()
        while let bytes = try? channel.readOutbound(as: ByteBuffer.self) { received += Array(bytes.readableBytesView) }
    }

    /// The client is gone from one moment to the next.
    func vanish() {
        _ = try? channel.close().wait()
        settle()
    }

    /// It has sent all it has to say; and then it goes.
    func end() {
        if isWanted(), isOpen {
            channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            settle()
            finishAnswers()
            require(!isOpen || waitsForTime, "it stays open though nobody is there")
        }
        vanish()
        for promise in underWay { promise.succeed(LocalResponse(.ok, body: [])) }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        settle()
    }
}

/// Whole answers, one behind the other; the last may be a stream of events.
private func checkAnswers(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
        guard let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) else { fatalError("half an answer's head") }
        let head = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
        require(head.hasPrefix("HTTP/1.1 "), "not an answer: \(head)")
        rest = rest[end.upperBound...]
        if head.contains("text/event-stream") { return }
        let lines = head.split(separator: "\r\n").filter { $0.hasPrefix("Content-Length: ") }
        let isEmpty = head.hasPrefix("HTTP/1.1 304")
        require(lines.count == (isEmpty ? 0 : 1), "not one length: \(head)")
        let length = lines.first.flatMap { Int($0.dropFirst(16)) } ?? 0
        require(rest.count >= length, "half an answer's body")
        rest = rest.dropFirst(length)
    }
}

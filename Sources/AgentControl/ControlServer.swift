public import AgentAPI
public import AgentTelemetry
public import ConfigAgent
internal import ConfigPublish
internal import ConfigSnapshot
internal import Glibc
public import LockLadder
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

internal import struct Synchronization.Atomic

/// The local sockets and the workers behind them.
public final class ControlServer: Sendable {
    /// A socket that could not be opened.
    public struct BindError: Error, Sendable, CustomStringConvertible {
        public let path: String
        public let reason: String

        public var description: String { "cannot listen on \(path): \(reason)" }
    }

    /// Reloads the agent's own configuration, and tells once what came of it.
    public typealias Reload =
        @Sendable (_ deliver: @escaping @Sendable (Result<ReloadReport, ReloadRefusal>) -> Void) -> Void

    /// Why a configuration was not taken over. The old one goes on.
    public struct ReloadRefusal: Error, Sendable {
        public var error: ErrorDetail

        public init(_ error: ErrorDetail) { self.error = error }
    }

    /// Told when the last worker has taken a generation up, on that worker's thread. Must not wait.
    public typealias Arrived = @Sendable (_ generation: UInt64, _ at: MonotonicTime) -> Void

    public struct Options: Sendable {
        public var workers: Int
        public var paths: AgentPaths
        /// Sockets that systemd opened, by the name of their right.
        public var inherited: [String: Int32]
        /// Shown in status.
        public var configFile: String
        public var limits: ClientLimits
        /// `nil` where there is nothing to reload.
        public var reload: Reload?
        public var arrived: Arrived?

        public init(
            workers: Int,
            paths: AgentPaths,
            inherited: [String: Int32],
            configFile: String,
            limits: ClientLimits = ClientLimits(),
            reload: Reload? = nil,
            arrived: Arrived? = nil
        ) {
            self.arrived = arrived
            self.reload = reload
            self.limits = limits
            self.workers = workers
            self.paths = paths
            self.inherited = inherited
            self.configFile = configFile
        }
    }

    private let agent: Agent
    private let options: Options
    private let reports: ReportBuilder
    private let group: MultiThreadedEventLoopGroup
    private let channels = Mutex("control.channels", [any Channel]())
    /// The one for values, until they are served.
    private let valueChannel = Mutex<(any Channel)?>("control.values", nil)
    /// The groups that have a socket of their own.
    private let groups = Mutex("control.groups", Set<String>())
    /// When those are tried again that could not be opened.
    private let nextGroups = Mutex("control.group_retry", MonotonicTime(nanoseconds: 0))
    /// Why some have none, and since when.
    private let failedGroups = Mutex("control.failed_groups", [String: (message: String, since: Int64)]())
    private let currentWorkers = Mutex("control.all", [Worker]())
    private let journal: Journal
    private let connections = ConnectionCount()
    private let book = EventBook()
    private let clients: [Right: Clients]
    private let isStopping = StopFlag()
    private let boundPaths = Mutex("control.paths", [String]())
    private let locksSocket = Mutex<LocksSocket?>("control.locks", nil)

    public init(agent: Agent, journal: Journal, options: Options) {
        self.agent = agent
        self.options = options
        self.journal = journal
        let rights = Right.allCases
        clients = Dictionary(
            uniqueKeysWithValues: rights.map { ($0, Clients(limits: options.limits, rights: rights.count)) }
        )
        reports = ReportBuilder(
            agent: agent,
            journal: journal,
            configFile: options.configFile,
            clients: clients,
            book: book,
            arrivals: Arrivals(workers: options.workers, onArrival: options.arrived)
        )
        group = MultiThreadedEventLoopGroup(numberOfThreads: options.workers)
    }

    /// Starts the workers and opens the sockets. Blocks for as long as that takes. Values are served from
    /// ``serveValues()`` on: whoever comes earlier waits.
    public func start() throws {
        // First: it is for when the others do not answer.
        let locks = try LocksSocket(path: options.paths.locksSocket, since: WireTime(unixNanoseconds: agent.startedAt))
        locksSocket.withLock { $0 = locks }
        let publisher = agent.publisher
        let connections = connections
        let book = book
        let limits = options.limits
        let arrivals = reports.arrivals
        var workers: [Worker] = []
        for (index, loop) in group.makeIterator().enumerated() {
            workers.append(
                try loop.submit {
                    Worker(
                        index: index,
                        loop: loop,
                        publisher: publisher,
                        connections: connections,
                        book: book,
                        arrivals: arrivals,
                        limits: limits
                    )
                }.wait()
            )
        }
        reports.use(workers)
        let all = workers
        agent.publisher.observe { generation in
            book.clear()
            for worker in all { worker.published(generation) }
        }
        let documents = agent.documents
        documents.observe { [unowned documents] source in
            for worker in all { worker.dropped(source, of: documents) }
        }
        // Publications between the making of a reader and its registration are caught up with here.
        for worker in all { worker.published(agent.publisher.generation) }
        currentWorkers.withLock { $0 = all }
        for right in Right.allCases { try open(right, workers: all) }
        openGroupSockets()
    }

    /// Where the time of the last confirmation is to be told.
    public var confirmedFile: String { options.paths.confirmedFile }

    /// Opens a socket for each group that alone reads some document and has none yet. Blocks for a moment.
    public func openGroupSockets() {
        let readers = agent.readers
        let wanted = Set(readers.values)
        defer { tellGroups(readers) }
        guard MonotonicTime.now >= nextGroups.withLock({ $0 }) else { return }
        let new = groups.withLock { groups in
            defer { groups.formUnion(wanted) }
            return wanted.subtracting(groups)
        }
        for group in new.sorted() {
            do {
                try open(.config, of: group, workers: currentWorkers.withLock { $0 })
                failedGroups.withLock { $0[group] = nil }
            } catch {
                // The group may come to be, or to be ours: once a minute.
                groups.withLock { _ = $0.remove(group) }
                nextGroups.withLock { $0 = MonotonicTime.now.advanced(byNanoseconds: 60_000_000_000) }
                let message = "no socket for group \(group): \(error)"
                let isNews = failedGroups.withLock { failed in
                    let before = failed[group]
                    failed[group] = (message, before?.since ?? WallClock.nowNanoseconds)
                    return before?.message != message
                }
                if isNews {
                    let text = "\(message); nobody can read its documents; trying again each minute"
                    journal.log(JournalRecord(.error, nil, text, [("AGENT_EVENT", "socket_failed")]))
                }
            }
        }
    }

    /// Has health tell of the groups without a socket, as long as there are readers of that group.
    private func tellGroups(_ readers: [SourceName: String]) {
        let failed = failedGroups.withLock { failed in
            failed = failed.filter { readers.values.contains($0.key) }
            return failed
        }
        let reasons = readers.sorted { $0.key.text < $1.key.text }.compactMap { source, group in
            failed[group].map {
                Health.Reason("no_group_socket", source: source, "nobody can read it: \($0.message)", since: $0.since)
            }
        }
        agent.note(reasons, as: "no_group_socket")
    }

    /// Begins to serve values: once the stored copies are in use, so that nobody is turned away for want of them.
    public func serveValues() {
        let waiting = valueChannel.withLock { $0.take() }
        if let waiting { Self.wait(for: waiting.setOption(.autoRead, value: true)) }
    }

    /// - Parameter group: whose own socket it is to be, where it is one group's.
    private func open(_ right: Right, of ownGroup: String? = nil, workers: [Worker]) throws {
        let byLoop = Dictionary(uniqueKeysWithValues: workers.map { (ObjectIdentifier($0.loop), $0) })
        let reports = reports
        let agent = agent
        let limits = options.limits
        let reload = options.reload
        let isStopping = isStopping
        guard let clients = clients[right] else { return }
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.autoRead, value: right != .config || ownGroup != nil)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // Relaxed: set before the channels are told to stop, on whose loop this is read.
                    let pause = AcceptPause(clients: clients) { !isStopping.value.load(ordering: .relaxed) }
                    try channel.pipeline.syncOperations.addHandler(pause)
                }
            }
            // A connection asks for bytes itself, when it has answered what came before.
            .childChannelOption(.autoRead, value: false)
            // A client that has sent all it has to say may still want to read.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = PeerProcess(of: channel)
                    guard clients.take(peer: peer.pid) else { throw ChannelError.operationUnsupported }
                    channel.closeFuture.whenComplete { _ in clients.giveBack(peer: peer.pid) }
                    guard let worker = byLoop[ObjectIdentifier(channel.eventLoop)] else {
                        throw ChannelError.inappropriateOperationForState
                    }
                    let router = Router(
                        right: right,
                        group: ownGroup,
                        worker: worker,
                        reports: reports,
                        agent: agent,
                        peer: peer,
                        reload: reload
                    )
                    try Self.fill(
                        channel.pipeline.syncOperations,
                        HTTPConnection(
                            right: right,
                            worker: worker,
                            clients: clients,
                            limits: limits,
                            answer: router.answer
                        ),
                        limits
                    )
                }
            }
        let channel = try listen(right, of: ownGroup, bootstrap)
        channels.withLock { $0.append(channel) }
        if right == .config, ownGroup == nil { valueChannel.withLock { $0 = channel } }
    }

    private func listen(_ right: Right, of group: String?, _ bootstrap: ServerBootstrap) throws -> any Channel {
        if let group {
            let path = options.paths.configSocket(of: group)
            guard let id = getgrnam(group)?.pointee.gr_gid else {
                throw BindError(path: path, reason: "there is no group '\(group)' on this host")
            }
            let channel = try bind(path, bootstrap)
            do {
                try hand(over: path, to: group, id)
                return channel
            } catch {
                Self.wait(for: channel.close())
                unlink(path)
                boundPaths.withLock { paths in paths.removeAll { $0 == path } }
                throw error
            }
        }
        if let descriptor = options.inherited[right.rawValue] {
            return try bootstrap.withBoundSocket(descriptor).wait()
        }
        return try bind(right, bootstrap)
    }

    private static func fill(
        _ pipeline: ChannelPipeline.SynchronousOperations,
        _ connection: HTTPConnection,
        _ limits: ClientLimits
    ) throws {
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderFieldSize = limits.headerBytes
        decoderLimits.maxHeaderListSize = limits.headerBytes
        let decoder = HTTPRequestDecoder(
            leftOverBytesStrategy: .dropBytes,
            informationalResponseStrategy: .drop,
            limitConfiguration: decoderLimits
        )
        try pipeline.addHandlers(ByteGate(connection), ByteToMessageHandler(decoder), connection)
    }

    /// Lets the members of a group in, and where that cannot be done, nobody but ourselves.
    private func hand(over path: String, to group: String, _ id: gid_t) throws {
        guard chmod(path, 0o600) == 0 else { throw BindError(path: path, reason: String(cString: strerror(errno))) }
        guard chown(path, uid_t.max, id) == 0, chmod(path, 0o660) == 0 else {
            let reason = String(cString: strerror(errno))
            let advice = "add SupplementaryGroups=\(group) to the unit (systemctl edit agent)"
            throw BindError(path: path, reason: "it cannot be given to group '\(group)': \(reason); \(advice)")
        }
    }

    private func bind(_ path: String, _ bootstrap: ServerBootstrap) throws -> any Channel {
        // Nobody else's to write to, and so to connect to, until it is known whose it is to be: see `Process.prepare`.
        let channel = try bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).wait()
        boundPaths.withLock { $0.append(path) }
        return channel
    }

    private func bind(_ right: Right, _ bootstrap: ServerBootstrap) throws -> any Channel {
        let path = right.socketPath(in: options.paths)
        do {
            // The instance lock is held, so a socket that lies there already is nobody's.
            let channel = try bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).wait()
            boundPaths.withLock { $0.append(path) }
            // Where the group does not exist or is not ours to give, the socket stays with our own group.
            if let group = right.group, let id = getgrnam(group)?.pointee.gr_gid { chown(path, uid_t.max, id) }
            guard chmod(path, right.socketMode) == 0 else {
                throw BindError(path: path, reason: String(cString: strerror(errno)))
            }
            return channel
        } catch let error as BindError {
            throw error
        } catch let error as IOError {
            throw BindError(path: path, reason: String(cString: strerror(error.errnoCode)))
        } catch {
            throw BindError(path: path, reason: "\(error)")
        }
    }

    /// Stops listening, answers who is still to be answered, and ends the workers. Blocks until that is done.
    ///
    /// - Parameter deadline: connections that are still open then are cut off.
    public func stop(until deadline: MonotonicTime) {
        // On a thread of its own, so that a worker that is stuck is left to the end of the process.
        let stopping = NamedThread("agent-stop") { self.end(until: deadline) }
        _ = stopping?.join(until: deadline.advanced(byNanoseconds: 100_000_000))
        // Last, and from here: it tells of what a worker is stuck in.
        locksSocket.withLock { $0.take() }?.stop()
    }

    private func end(until deadline: MonotonicTime) {
        let listening = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        isStopping.value.store(true, ordering: .relaxed)
        // A listening socket of systemd's stays open there: whoever connects from now on waits for the next agent.
        for channel in listening { Self.wait(for: channel.setOption(.autoRead, value: false)) }
        let workers = reports.currentWorkers
        // A connection that was just accepted passes to and fro between two loops before it belongs to a worker. To
        // close the listener meanwhile would cut it off, so all loops turn a few times first.
        for _ in 1...4 {
            for worker in workers { Self.wait(for: worker.loop.submit {}) }
        }
        for worker in workers { Self.wait(for: worker.loop.submit { worker.connections.quiesce() }) }
        _ = connections.waitForNone(until: deadline)
        for channel in listening { Self.wait(for: channel.close()) }
        for path in boundPaths.withLock({ $0 }) { unlink(path) }
        do { try group.syncShutdownGracefully() } catch { return }
    }

    /// While stopping, a failure to close means closed already.
    private static func wait(for future: EventLoopFuture<Void>) {
        do { try future.wait() } catch { return }
    }

    /// A way to ask each worker for a sign of life: the closure given is run on its event loop.
    public var lifeSigns: [(thread: String, ask: @Sendable (@escaping @Sendable () -> Void) -> Void)] {
        reports.currentWorkers.map { worker in (worker.name, { worker.loop.execute($0) }) }
    }

    /// One line for `systemctl status`.
    public var summary: String {
        let health = reports.health()
        let generation = reports.generation
        let state = health.status == .ok ? "healthy" : health.status.rawValue
        let reason = health.reasons.first.map { ": \($0)" } ?? ""
        return "generation \(generation), \(state)\(reason)"
    }
}

private final class StopFlag: Sendable {
    let value = Atomic<Bool>(false)
}

internal import LockLadder
internal import NIOCore

internal import struct Synchronization.Atomic

/// The open connections of one worker. Belongs to its event loop.
final class ConnectionSet {
    private let loop: any EventLoop
    private var open: [ObjectIdentifier: HTTPConnection] = [:]
    private let total: ConnectionCount
    private let interval: TimeAmount
    private var isTicking = false
    private(set) var isQuiescing = false

    /// - Parameter limits: how often it has to be looked at the connections follows from these.
    init(loop: any EventLoop, total: ConnectionCount, limits: ClientLimits) {
        self.loop = loop
        self.total = total
        let shortest = min(limits.idle, limits.requestTime, limits.answerTime, limits.heartbeat)
        interval = .nanoseconds(Int64(clamping: min(1_000_000_000, max(1_000_000, shortest / 4))))
    }

    func insert(_ connection: HTTPConnection) {
        open[ObjectIdentifier(connection)] = connection
        total.rise()
        tickLater()
    }

    /// One timer for all, and none while there is nobody to look at.
    private func tickLater() {
        guard !isTicking, !open.isEmpty else { return }
        isTicking = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: interval) {
            bound.value.isTicking = false
            bound.value.tick()
        }
    }

    private func tick() {
        let now = MonotonicTime.now
        for connection in Array(open.values) { connection.check(at: now) }
        tickLater()
    }

    func remove(_ connection: HTTPConnection) {
        if open.removeValue(forKey: ObjectIdentifier(connection)) != nil { total.fall() }
    }

    /// From now on each connection closes once it has been answered; one that was answered already, and is idle,
    /// closes now.
    func quiesce() {
        isQuiescing = true
        for connection in Array(open.values) { connection.quiesce() }
    }
}

/// How many connections all workers have, for the one who waits for the last of them to end.
final class ConnectionCount: Sendable {
    // Relaxed: the signal orders what has to be ordered.
    private let count = Atomic<Int>(0)
    private let changed = WakeSignal()

    func rise() { count.add(1, ordering: .relaxed) }

    func fall() {
        if count.subtract(1, ordering: .relaxed).newValue == 0 { changed.raise() }
    }

    /// - Returns: whether all were gone before the deadline.
    func waitForNone(until deadline: MonotonicTime) -> Bool {
        while count.load(ordering: .relaxed) > 0 {
            guard changed.wait(until: deadline) else { return count.load(ordering: .relaxed) == 0 }
        }
        return true
    }
}

internal import LockLadder
internal import NIOCore
internal import Synchronization

/// The open connections of one worker. Belongs to its event loop.
final class ConnectionSet {
    private var open: [ObjectIdentifier: HTTPConnection] = [:]
    private let total: ConnectionCount
    private(set) var isQuiescing = false

    init(total: ConnectionCount) { self.total = total }

    func insert(_ connection: HTTPConnection) {
        open[ObjectIdentifier(connection)] = connection
        total.rise()
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

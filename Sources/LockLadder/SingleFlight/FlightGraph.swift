/// Which flights wait for which: the graph in which a wait that could never end is found before it begins.
///
/// Only calls out of a flight's work are entered, so callers outside of all flights, and flights that nobody nests,
/// never come here. Each wait is entered under one lock for the whole process, after the search whether it closes a
/// cycle: of two calls that would close one together the later is refused.
///
/// - A call with a deadline is refused too: that it would end some time makes the wait no less in vain.
/// - An unstructured task that the work of a task started counts as part of the work until the flight has landed. One
///   that the work of a thread started does not.
@usableFromInline
enum FlightGraph {
    /// A wait of `waiter`'s work for `target`, which in turn cannot begin before `behind` has ended.
    @usableFromInline
    struct Wait: Sendable {
        @usableFromInline let waiter: FlightNode
        @usableFromInline let target: FlightNode
        @usableFromInline let behind: FlightNode?

        @inlinable
        init(waiter: FlightNode, target: FlightNode, behind: FlightNode?) {
            self.waiter = waiter
            self.target = target
            self.behind = behind
        }
    }

    private static let lock = Mutex("flight.graph", ())

    /// Enters a wait, to be taken out with ``leave(_:)`` when it has ended.
    ///
    /// - Throws: ``SingleFlightError/cycle(path:)``; then nothing was entered.
    @usableFromInline
    static func enter(_ wait: Wait) throws(SingleFlightError) {
        let cycle = lock.withLock { _ -> [FlightNode]? in
            if let behind = wait.behind { wait.target.targets.append(behind) }
            // Nobody waits for a flight that is over, whatever its work still does; nor does it keep anybody waiting.
            if !wait.waiter.isOver, !wait.target.isOver, let path = path(from: wait.target, to: wait.waiter) {
                if let behind = wait.behind { remove(behind, from: wait.target) }
                return path + [wait.target]
            }
            wait.waiter.targets.append(wait.target)
            return nil
        }
        guard let cycle else { return }
        throw .cycle(path: labels(of: cycle))
    }

    @usableFromInline
    static func leave(_ wait: Wait) {
        lock.withLock { _ in
            remove(wait.target, from: wait.waiter)
            if let behind = wait.behind { remove(behind, from: wait.target) }
        }
    }

    private static func remove(_ target: FlightNode, from node: FlightNode) {
        guard let index = node.targets.firstIndex(where: { $0 === target }) else { return }
        node.targets.remove(at: index)
    }

    /// The flights from `start` to `goal`, both included, along waits that last. Each flight is looked at once.
    private static func path(from start: FlightNode, to goal: FlightNode) -> [FlightNode]? {
        var cameFrom: [ObjectIdentifier: FlightNode] = [:]
        var seen: Set = [ObjectIdentifier(start)]
        var open = [start]
        while let node = open.popLast() {
            if node === goal {
                var path = [node]
                while let previous = cameFrom[ObjectIdentifier(path[path.count - 1])] { path.append(previous) }
                return path.reversed()
            }
            for target in node.targets where !target.isOver && seen.insert(ObjectIdentifier(target)).inserted {
                cameFrom[ObjectIdentifier(target)] = node
                open.append(target)
            }
        }
        return nil
    }

    /// A rerun bears the name of the flight that it follows: the two are told as one.
    private static func labels(of path: [FlightNode]) -> [String] {
        var labels: [String] = []
        for label in path.map({ $0.label }) where labels.last != label { labels.append(label) }
        // One that waits for itself alone.
        if labels.count == 1 { labels += labels }
        return labels
    }

    /// The figures of the graph's own lock.
    static var statistics: LockStatistics { lock.statistics }
}

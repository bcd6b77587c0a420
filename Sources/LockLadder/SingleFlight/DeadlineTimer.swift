/// Tells callers in tasks that their deadline has passed: one thread and one heap for the whole process.
///
/// A cancelled sleep of a task leaves its timer with the system until it would have rung; with long deadlines and
/// short calls those pile up. Here an alarm that is not needed any more is gone at once.
@usableFromInline
final class DeadlineTimer: Sendable {
    @usableFromInline static let shared = DeadlineTimer()

    @usableFromInline
    final class Alarm: @unchecked Sendable {
        // SAFETY: `@unchecked Sendable`: `index` is touched under the timer's mutex only, the rest is immutable.
        let deadline: MonotonicTime
        fileprivate let ring: @Sendable () -> Void
        /// The place in the heap; -1: in none.
        fileprivate var index = -1

        /// - Parameter ring: called on the timer's thread, at most once; must not wait.
        @usableFromInline
        init(at deadline: MonotonicTime, _ ring: @escaping @Sendable () -> Void) {
            self.deadline = deadline
            self.ring = ring
        }
    }

    private struct State: Sendable {
        var heap: [Alarm] = []
        var hasThread = false
    }

    private let state = Mutex("flight.deadlines", State())
    private let isEarlier = WakeSignal()

    /// Alarms that are set now.
    var count: Int { state.withLock { $0.heap.count } }

    /// - Returns: `false` when the system has no thread for the timer.
    @usableFromInline
    func set(_ alarm: Alarm) -> Bool {
        let (isSet, isFirst) = state.withLock { state -> (Bool, Bool) in
            // Once in the life of the process, so it may be done under the lock.
            if !state.hasThread { state.hasThread = NamedThread("flight-timer") { self.run() } != nil }
            guard state.hasThread else { return (false, false) }
            alarm.index = state.heap.count
            state.heap.append(alarm)
            Self.rise(alarm.index, in: &state.heap)
            return (true, alarm.index == 0)
        }
        if isFirst { isEarlier.raise() }
        return isSet
    }

    /// Afterwards the alarm does not ring, unless it does so already.
    @usableFromInline
    func cancel(_ alarm: Alarm) {
        state.withLock { state in
            guard alarm.index >= 0 else { return }
            Self.remove(at: alarm.index, from: &state.heap)
        }
    }

    /// For as long as the process lives: without alarms it sleeps for good, and costs nothing but its stack.
    private func run() {
        while true { _ = isEarlier.wait(until: ringWhatIsDue()) }
    }

    /// On its own, so that nothing of what rang is kept during the sleep that follows.
    ///
    /// - Returns: when the next one is due.
    @inline(never)
    private func ringWhatIsDue() -> MonotonicTime? {
        let now = MonotonicTime.now
        let (due, next) = state.withLock { state -> ([Alarm], MonotonicTime?) in
            var due: [Alarm] = []
            while let first = state.heap.first, first.deadline <= now {
                Self.remove(at: 0, from: &state.heap)
                due.append(first)
            }
            return (due, state.heap.first?.deadline)
        }
        for alarm in due { alarm.ring() }
        return next
    }

    // MARK: The heap

    private static func remove(at index: Int, from heap: inout [Alarm]) {
        heap[index].index = -1
        let last = heap.removeLast()
        guard index < heap.count else { return }
        heap[index] = last
        last.index = index
        sink(index, in: &heap)
        rise(last.index, in: &heap)
    }

    private static func rise(_ start: Int, in heap: inout [Alarm]) {
        var index = start
        while index > 0, heap[index].deadline < heap[(index - 1) / 2].deadline {
            swap(index, (index - 1) / 2, in: &heap)
            index = (index - 1) / 2
        }
    }

    private static func sink(_ start: Int, in heap: inout [Alarm]) {
        var index = start
        while true {
            var least = index
            for child in (2 * index + 1)...(2 * index + 2) where child < heap.count {
                if heap[child].deadline < heap[least].deadline { least = child }
            }
            guard least != index else { return }
            swap(index, least, in: &heap)
            index = least
        }
    }

    private static func swap(_ left: Int, _ right: Int, in heap: inout [Alarm]) {
        heap.swapAt(left, right)
        heap[left].index = left
        heap[right].index = right
    }
}

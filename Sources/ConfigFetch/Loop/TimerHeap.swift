/// The next thing to do, by time: a binary heap with the earliest entry on top.
struct TimerHeap<Element> {
    private var entries: [(due: UInt64, element: Element)] = []

    var earliest: UInt64? { entries.first?.due }

    var count: Int { entries.count }

    /// Drops the entries for which `isWanted` does not hold.
    mutating func keep(_ isWanted: (Element) -> Bool) {
        // Sorted is a heap too.
        entries = entries.filter { isWanted($0.element) }.sorted { $0.due < $1.due }
    }

    mutating func insert(_ element: Element, due: UInt64) {
        entries.append((due, element))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].due < entries[parent].due else { break }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes out the earliest entry if it is due at `now`.
    mutating func pop(dueBy now: UInt64) -> Element? {
        guard let first = entries.first, first.due <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < entries.count else { break }
            let right = left + 1
            let child = right < entries.count && entries[right].due < entries[left].due ? right : left
            guard entries[child].due < entries[parent].due else { break }
            entries.swapAt(child, parent)
            parent = child
        }
        return first.element
    }
}

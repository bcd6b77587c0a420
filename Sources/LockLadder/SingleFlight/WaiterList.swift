/// Waiters in the order of their ids. Taking one out costs the search for it, whatever the number of the others, so
/// that a crowd that leaves at once does not cost the square of its size.
///
/// Not safe for several threads: it lies in what a group's mutex guards.
struct WaiterList<Waiter: Sendable>: Sendable {
    private struct Place: Sendable {
        let id: UInt64
        /// `nil` once taken out.
        var waiter: Waiter?
    }

    private var places: [Place] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// - Parameter id: higher than all before.
    mutating func append(_ waiter: Waiter, id: UInt64) {
        places.append(Place(id: id, waiter: waiter))
        count += 1
    }

    /// Takes out the waiter of this id, if it is here.
    mutating func take(_ id: UInt64) -> Waiter? {
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if places[middle].id < id { low = middle + 1 } else { high = middle }
        }
        guard low < places.count, places[low].id == id, let waiter = places[low].waiter.take() else { return nil }
        count -= 1
        // Half of them empty: each removal has paid for the one place that is moved here.
        if places.count > 2 * count + 8 { places.removeAll { $0.waiter == nil } }
        return waiter
    }

    /// Those who wait still, the longest wait first.
    var all: some Sequence<Waiter> { places.lazy.compactMap { $0.waiter } }
}

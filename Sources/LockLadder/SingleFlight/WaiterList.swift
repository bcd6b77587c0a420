/// Waiters in the order of their ids. Taking one out costs the search for it, whatever the number of the others, so
/// that a crowd that leaves at once does not cost the square of its size.
///
/// Not safe for several threads: it lies in what a group's mutex guards.
@usableFromInline
struct WaiterList<Waiter: Sendable>: Sendable {
    @usableFromInline
    struct Place: Sendable {
        @usableFromInline let id: UInt64
        /// `nil` once taken out.
        @usableFromInline var waiter: Waiter?

        @inlinable
        init(id: UInt64, waiter: Waiter?) {
            self.id = id
            self.waiter = waiter
        }
    }

    @usableFromInline var places: [Place] = []
    @usableFromInline var count = 0

    @inlinable
    var isEmpty: Bool { count == 0 }

    /// - Parameter id: higher than all before.
    @inlinable
    mutating func append(_ waiter: Waiter, id: UInt64) {
        places.append(Place(id: id, waiter: waiter))
        count += 1
    }

    /// Takes out the waiter of this id, if it is here.
    @inlinable
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
    @inlinable
    var all: some Sequence<Waiter> { places.lazy.compactMap { $0.waiter } }

    @inlinable
    init() {}
}

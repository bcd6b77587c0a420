/// Waiters in the order of their ids. Taking one out costs the search for it, whatever the number of the others, so
/// that a crowd that leaves at once does not cost the square of its size. The first one costs no memory of its own.
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

    /// The one that came into the empty list; `nil` when it has gone.
    @usableFromInline var first: Waiter?
    @usableFromInline var firstID: UInt64 = 0
    /// Those who came after it.
    @usableFromInline var places: [Place] = []
    @usableFromInline var count = 0

    @inlinable
    var isEmpty: Bool { count == 0 }

    /// - Parameter id: higher than all before.
    @inlinable
    mutating func append(_ waiter: Waiter, id: UInt64) {
        count += 1
        guard count > 1 || !places.isEmpty else {
            first = waiter
            firstID = id
            return
        }
        places.append(Place(id: id, waiter: waiter))
    }

    /// Takes out the waiter of this id, if it is here.
    @inlinable
    mutating func take(_ id: UInt64) -> Waiter? {
        guard id != firstID else {
            guard let waiter = first.take() else { return nil }
            count -= 1
            return waiter
        }
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

    /// Whether the first is here, and no other has ever come.
    @inlinable
    var isFirstAlone: Bool { count == 1 && places.isEmpty }

    /// Takes out the first, when it is alone.
    @inlinable
    mutating func clearFirst() {
        first = nil
        firstID = 0
        count = 0
    }

    /// Those who wait still, the longest wait first.
    @inlinable
    var all: [Waiter] {
        var all: [Waiter] = []
        all.reserveCapacity(count)
        if let first { all.append(first) }
        for place in places { if let waiter = place.waiter { all.append(waiter) } }
        return all
    }

    @inlinable
    init() {}
}

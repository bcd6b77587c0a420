/// Who may set out: so many at once in all, and so many to one host. Hosts take turns, so that one with a thousand sources
/// keeps no other waiting; at one host it is first come, first served.
///
/// Nor do many hosts that do not answer: those that have failed last share a room of their own, and whoever has been under
/// way for long makes room for another, as long as there are not too many of those.
///
/// Those who wait are not on the wire, so that a transfer's time limit counts its own time only.
struct Admission<Item> {
    /// How many may be under way at once.
    struct Room {
        /// Those who have set out lately, to hosts that answer or have not been asked yet.
        var lately: Int
        var toOneHost: Int
        /// Those who set out longer ago.
        var long: Int
        /// To hosts that have failed last.
        var suspect: Int
    }

    /// What somebody under way takes up.
    struct Slot: Hashable {
        fileprivate enum Kind { case lately, long, suspect }

        let host: String
        fileprivate var kind: Kind
        fileprivate var countsAtHost = true
    }

    private struct Host {
        var waiting = Line<Item>()
        var underWay = 0
        /// Other than ``Room/toOneHost``.
        var room: Int?
        var isSuspect = false
        /// Whether it stands in line for its turn.
        var isInLine = false
    }

    let room: Room
    private var count: [Slot.Kind: Int] = [:]
    private var hosts: [String: Host] = [:]
    /// Hosts that have somebody waiting and room for one.
    private var turns = Line<String>()
    private var suspectTurns = Line<String>()

    init(_ room: Room) { self.room = room }

    /// How many have set out and not come back.
    var underWay: Int { count.values.reduce(0, +) }

    private func has(room most: Int, for kind: Slot.Kind) -> Bool { count[kind, default: 0] < most }

    /// Whether somebody may set out.
    var isReady: Bool {
        (!turns.isEmpty && has(room: room.lately, for: .lately))
            || (!suspectTurns.isEmpty && has(room: room.suspect, for: .suspect))
    }

    /// Whether somebody waits who might set out if those who have been under way for long made room.
    func isHeldUp(atHost name: String) -> Bool {
        if !turns.isEmpty, !has(room: room.lately, for: .lately) { return true }
        guard let host = hosts[name] else { return false }
        return !host.waiting.isEmpty && host.underWay >= host.room ?? room.toOneHost
    }

    /// From now on so many may be under way to `host` at once; `nil` for as many as to any.
    mutating func setRoom(_ room: Int?, for host: String) {
        guard hosts[host] != nil || room != nil else { return }
        hosts[host, default: Host()].room = room
        standInLine(host)
        forgetIfIdle(host)
    }

    /// Whether `host` has failed last.
    mutating func setSuspect(_ isSuspect: Bool, _ host: String) {
        guard isSuspect != hosts[host]?.isSuspect ?? false else { return }
        hosts[host, default: Host()].isSuspect = isSuspect
        if hosts[host]?.isInLine == true {
            // It stands in the other line from now on.
            turns.removeAll { $0 == host }
            suspectTurns.removeAll { $0 == host }
            hosts[host]?.isInLine = false
            standInLine(host)
        }
        forgetIfIdle(host)
    }

    mutating func wait(_ item: Item, for host: String) {
        hosts[host, default: Host()].waiting.append(item)
        standInLine(host)
    }

    /// The next to set out, who counts from now on until ``comeBack(_:)``.
    mutating func next() -> (item: Item, slot: Slot)? {
        if has(room: room.lately, for: .lately), let next = pop(from: \.turns, suspect: false) { return next }
        if has(room: room.suspect, for: .suspect), let next = pop(from: \.suspectTurns, suspect: true) { return next }
        return nil
    }

    private mutating func pop(
        from line: WritableKeyPath<Self, Line<String>>,
        suspect: Bool
    ) -> (item: Item, slot: Slot)? {
        while let name = self[keyPath: line].popFirst() {
            hosts[name]?.isInLine = false
            guard let item = hosts[name]?.waiting.popFirst() else {
                // Whoever it stood in line for has left.
                forgetIfIdle(name)
                continue
            }
            let slot = Slot(host: name, kind: suspect ? .suspect : .lately)
            hosts[name]?.underWay += 1
            count[slot.kind, default: 0] += 1
            standInLine(name)
            return (item, slot)
        }
        return nil
    }

    /// Whoever has been under way for long makes room for another, if there is any for those like it.
    ///
    /// - Parameter atHost: whether it makes room at its host, too.
    mutating func makeRoom(_ slot: inout Slot, atHost: Bool) {
        guard slot.kind == .lately, has(room: room.long, for: .long) else { return }
        count[.lately, default: 0] -= 1
        count[.long, default: 0] += 1
        slot.kind = .long
        guard atHost else { return }
        slot.countsAtHost = false
        hosts[slot.host]?.underWay -= 1
        standInLine(slot.host)
    }

    mutating func comeBack(_ slot: Slot) {
        count[slot.kind, default: 0] -= 1
        guard slot.countsAtHost else { return }
        hosts[slot.host]?.underWay -= 1
        standInLine(slot.host)
        forgetIfIdle(slot.host)
    }

    /// Lets those go who wait for `host` and for whom `isUnwanted` holds.
    mutating func remove(for host: String, where isUnwanted: (Item) -> Bool) {
        hosts[host]?.waiting.removeAll(where: isUnwanted)
        if hosts[host]?.isInLine == false { forgetIfIdle(host) }
    }

    private mutating func standInLine(_ name: String) {
        guard let host = hosts[name], !host.isInLine, !host.waiting.isEmpty,
            host.underWay < host.room ?? room.toOneHost
        else { return }
        hosts[name]?.isInLine = true
        if host.isSuspect { suspectTurns.append(name) } else { turns.append(name) }
    }

    private mutating func forgetIfIdle(_ name: String) {
        if let host = hosts[name], host.underWay == 0, host.waiting.isEmpty, !host.isInLine, host.room == nil,
            !host.isSuspect
        {
            hosts[name] = nil
        }
    }
}

/// First in, first out. Taking out moves an index; what was taken is dropped when it is the larger half.
private struct Line<Item> {
    private var items: [Item?] = []
    private var first = 0

    var isEmpty: Bool { first == items.count }

    mutating func append(_ item: Item) { items.append(item) }

    mutating func popFirst() -> Item? {
        guard first < items.count, let item = items[first] else { return nil }
        items[first] = nil
        first += 1
        if first > 32, 2 * first > items.count {
            items.removeFirst(first)
            first = 0
        }
        return item
    }

    mutating func removeAll(where isUnwanted: (Item) -> Bool) {
        items = items[first...].filter { $0.map { !isUnwanted($0) } ?? false }
        first = 0
    }
}

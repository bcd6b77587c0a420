/// Who may set out: so many at once in all, and so many to one host. Hosts take turns, so that one with a thousand sources,
/// or one that answers slowly, keeps no other waiting; at one host it is first come, first served.
///
/// Those who wait are not on the wire, so that a transfer's time limit counts its own time only.
struct Admission<Item> {
    private struct Host {
        var waiting = Line<Item>()
        var underWay = 0
        /// Other than ``Admission/mostToOneHost``.
        var room: Int?
        /// Whether it stands in line for its turn.
        var isInLine = false
    }

    let mostInAll: Int
    let mostToOneHost: Int
    /// How many have set out and not come back.
    private(set) var underWay = 0
    private var hosts: [String: Host] = [:]
    /// Hosts that have somebody waiting and room for one.
    private var turns = Line<String>()

    init(inAll: Int, toOneHost: Int) {
        mostInAll = inAll
        mostToOneHost = toOneHost
    }

    /// Whether somebody may set out.
    var isReady: Bool { underWay < mostInAll && !turns.isEmpty }

    /// From now on so many may be under way to `host` at once; `nil` for as many as to any.
    mutating func setRoom(_ room: Int?, for host: String) {
        guard hosts[host] != nil || room != nil else { return }
        hosts[host, default: Host()].room = room
        standInLine(host)
        forgetIfIdle(host)
    }

    mutating func wait(_ item: Item, for host: String) {
        hosts[host, default: Host()].waiting.append(item)
        standInLine(host)
    }

    /// The next to set out, who counts from now on until ``comeBack(from:)``.
    mutating func next() -> (item: Item, host: String)? {
        guard underWay < mostInAll else { return nil }
        while let name = turns.popFirst() {
            hosts[name]?.isInLine = false
            guard let item = hosts[name]?.waiting.popFirst() else {
                // Whoever it stood in line for has left.
                forgetIfIdle(name)
                continue
            }
            hosts[name]?.underWay += 1
            underWay += 1
            standInLine(name)
            return (item, name)
        }
        return nil
    }

    mutating func comeBack(from host: String) {
        guard let count = hosts[host]?.underWay, count > 0 else { return }
        hosts[host]?.underWay = count - 1
        underWay -= 1
        standInLine(host)
        forgetIfIdle(host)
    }

    /// Lets those go who wait for `host` and for whom `isUnwanted` holds.
    mutating func remove(for host: String, where isUnwanted: (Item) -> Bool) {
        hosts[host]?.waiting.removeAll(where: isUnwanted)
        if hosts[host]?.isInLine == false { forgetIfIdle(host) }
    }

    private mutating func standInLine(_ name: String) {
        guard let host = hosts[name], !host.isInLine, !host.waiting.isEmpty, host.underWay < host.room ?? mostToOneHost
        else {
            return
        }
        hosts[name]?.isInLine = true
        turns.append(name)
    }

    private mutating func forgetIfIdle(_ name: String) {
        if let host = hosts[name], host.underWay == 0, host.waiting.isEmpty, !host.isInLine, host.room == nil {
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

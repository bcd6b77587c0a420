internal import ConfigPublish
internal import ConfigSnapshot

/// What a watcher wants to know about.
struct WatchTopic: Hashable, Sendable {
    enum Form: Hashable, Sendable {
        /// The value at the key, whole.
        case value
        /// The keys at or below the key that were set or removed.
        case changes
    }

    let form: Form
    /// The bytes of a dotted key; none for the whole configuration. Not text: keys compare by bytes.
    let key: [UInt8]

    var keyText: String { String(decoding: key, as: UTF8.self) }
}

extension WatchTopic {
    /// What a watcher has to be told.
    enum News: Hashable, Sendable {
        case nothing
        /// The value at the key is another one.
        case value
        /// These changed since that generation.
        case changes(since: UInt64)
        /// Everything anew.
        case all
    }

    /// What a watcher who knows `generation` (`nil`: nothing) has to be told to know `last`.
    func news(since generation: UInt64?, through last: UInt64, _ history: History) -> News {
        guard let generation, let changed = history.changes(after: generation, through: last, atOrBelow: key) else {
            return .all
        }
        if changed.isEmpty { return .nothing }
        return form == .value ? .value : .changes(since: generation)
    }

    /// The event with these news, out of the snapshot that they lead to, as the bytes of its server-sent form. None
    /// where there is nothing to tell.
    func event(_ news: News, _ snapshot: borrowing Snapshot, _ history: History) -> [UInt8] {
        let now = snapshot.generation
        switch news {
        case .nothing: return []
        case .all: return Self.event("reset", now, data(all: snapshot))
        case .value: return Self.event("change", now, value(in: snapshot))
        case .changes(let generation):
            guard let changed = history.changes(after: generation, through: now, atOrBelow: key) else {
                return Self.event("reset", now, data(all: snapshot))
            }
            return Self.event("change", now, data(changed, in: snapshot))
        }
    }

    private static func event(_ name: String, _ generation: UInt64, _ data: [UInt8]) -> [UInt8] {
        var bytes = Array("id: \(generation)\nevent: \(name)\ndata: {\"generation\":\(generation),".utf8)
        // Compact JSON holds no line breaks, so the data is one line.
        bytes += data
        bytes += Array("}\n\n".utf8)
        return bytes
    }

    private func data(all snapshot: borrowing Snapshot) -> [UInt8] {
        guard form == .changes else { return value(in: snapshot) }
        let table = snapshot.table
        var data = Array("\"set\":{".utf8)
        var isFirst = true
        func add(_ position: Int) {
            if !isFirst { data.append(UInt8(ascii: ",")) }
            isFirst = false
            Self.append(table.bytes[table.leaves[position].key], table.value(table.leaves[position]), to: &data)
        }
        if !key.isEmpty, let leaf = snapshot.leafIndex(of: keyText) { add(leaf) }
        for position in snapshot.subtree(of: keyText) { add(position) }
        data += Array("},\"removed\":[]".utf8)
        return data
    }

    private func value(in snapshot: borrowing Snapshot) -> [UInt8] {
        guard let value = snapshot.value(at: keyText) else { return Array("\"exists\":false".utf8) }
        return Array("\"exists\":true,\"value\":".utf8) + value.json
    }

    private func data(_ changed: [[UInt8]], in snapshot: borrowing Snapshot) -> [UInt8] {
        let table = snapshot.table
        var data = Array("\"set\":{".utf8)
        var removed: [[UInt8]] = []
        var isFirst = true
        for key in changed {
            guard let position = snapshot.leafIndex(of: String(decoding: key, as: UTF8.self)) else {
                removed.append(key)
                continue
            }
            if !isFirst { data.append(UInt8(ascii: ",")) }
            isFirst = false
            Self.append(key[...], table.value(table.leaves[position]), to: &data)
        }
        data += Array("},\"removed\":[".utf8)
        for (index, key) in removed.enumerated() {
            if index > 0 { data.append(UInt8(ascii: ",")) }
            JSONText.appendString(key[...], to: &data)
        }
        data.append(UInt8(ascii: "]"))
        return data
    }

    private static func append(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>, to data: inout [UInt8]) {
        JSONText.appendString(key, to: &data)
        data.append(UInt8(ascii: ":"))
        data += value
    }
}

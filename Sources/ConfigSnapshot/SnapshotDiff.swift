/// In what two snapshots differ, with the values, as far as an answer may hold it.
public struct SnapshotDiff: Sendable {
    public struct Change: Sendable, Hashable {
        public var key: String
        /// The text of its JSON; `nil` where it was not there.
        public var old: String?
        /// The text of its JSON; `nil` where it is not there any more.
        public var new: String?
    }

    /// In key order.
    public let changes: [Change]
    /// How many keys differ; `nil` where there are too many to count.
    public let total: Int?

    /// - Parameters:
    ///   - most: how many changes are listed.
    ///   - bytes: how much of keys and values.
    public init(from old: Snapshot, to new: Snapshot, most: Int = 10_000, bytes: Int = 4 << 20) {
        let changed = ChangedKeys(from: old.table, to: new.table, most: most)
        var changes: [Change] = []
        var size = 0
        for key in changed.keys(atOrBelow: []) {
            let key = String(decoding: key, as: UTF8.self)
            let change = Change(key: key, old: Self.text(old, key), new: Self.text(new, key))
            size += key.utf8.count + (change.old?.utf8.count ?? 0) + (change.new?.utf8.count ?? 0)
            guard size <= bytes else { break }
            changes.append(change)
        }
        self.changes = changes
        total = changed.isWhole ? changed.count : nil
    }

    private static func text(_ snapshot: Snapshot, _ key: String) -> String? {
        snapshot.leafIndex(of: key).map { index in
            String(decoding: snapshot.table.value(snapshot.table.leaves[index]), as: UTF8.self)
        }
    }
}

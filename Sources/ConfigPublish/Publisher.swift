public import ConfigSnapshot
public import LockLadder

/// The publish stage: holds the newest snapshot and hands it to readers.
///
/// One thread publishes (the pipeline); any thread may make readers.
public final class Publisher: Sendable {
    /// Holds a snapshot of generation 0 without content until the first one is published.
    public let cell: SnapshotCell<Snapshot>
    public let history = History()
    private let observers = Mutex("publish.observers", [@Sendable (UInt64) -> Void]())

    public init() {
        cell = SnapshotCell(
            "publish.snapshot",
            Snapshot(
                generation: 0,
                merged: LayerMerge([.empty]),
                digest: LeafTable.empty.contentDigest,
                publishedAt: 0,
                sources: []
            )
        )
    }

    /// The newest generation; 0 when there is none. Makes a reader of its own: for reports, not for reading often.
    public var generation: UInt64 {
        var reader = cell.makeReader()
        return reader.withSnapshot { $0.generation }
    }

    /// The digest of the newest snapshot.
    public var digest: ContentDigest {
        var reader = cell.makeReader()
        return reader.withSnapshot { $0.digest }
    }

    /// Has `observer` called after each publication with the new generation, on the publishing thread. It must not
    /// wait. Observers stay for good.
    public func observe(_ observer: @escaping @Sendable (UInt64) -> Void) {
        observers.withLock { $0.append(observer) }
    }

    /// The newest snapshot. Makes a reader of its own, and keeps the snapshot alive: for whoever looks at all of it.
    public var snapshot: Snapshot {
        var reader = cell.makeReader()
        return reader.strongCopy()
    }

    /// Swaps `snapshot` in: every read that begins from now on sees it whole.
    public func publish(_ snapshot: Snapshot) {
        let previous = self.snapshot
        cell.publish(snapshot)
        // After the swap: readers need not wait for what only watchers want to know.
        history.note(
            History.Change(
                generation: snapshot.generation,
                // Of what was there before the first one of this run nobody knows here.
                keys: previous.generation == 0 ? nil : ChangedKeys(from: previous.table, to: snapshot.table)
            )
        )
        let told = observers.withLock { $0 }
        for observer in told { observer(snapshot.generation) }
    }
}

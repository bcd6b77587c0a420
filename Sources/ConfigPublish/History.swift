internal import ConfigSnapshot
internal import LockLadder

/// What changed in each of the latest publications, so that a watcher who missed some can be told of just these.
public final class History: Sendable {
    /// One publication.
    struct Change: Sendable {
        let generation: UInt64
        /// `nil`: too many to list.
        let keys: ChangedKeys?
    }

    /// Bounded both ways; what goes past a bound is forgotten, oldest first.
    static let longest = 1_024
    static let largest = 1 << 20

    private struct State {
        var changes: [Change] = []
        var size = 0
    }

    private let state = Mutex("publish.history", State())

    init() {}

    func note(_ change: Change) {
        state.withLock { state in
            state.changes.append(change)
            state.size += change.keys?.size ?? 0
            var surplus = max(0, state.changes.count - Self.longest)
            state.size -= state.changes[..<surplus].reduce(0) { $0 + ($1.keys?.size ?? 0) }
            while state.size > Self.largest, surplus < state.changes.count - 1 {
                state.size -= state.changes[surplus].keys?.size ?? 0
                surplus += 1
            }
            state.changes.removeFirst(surplus)
        }
    }

    /// The keys at or below `ancestor` that changed after `generation` and up to `last`, each once.
    ///
    /// - Returns: `nil` when that is no longer, or not yet, known: then only the whole value tells.
    public func changes(after generation: UInt64, through last: UInt64, atOrBelow ancestor: [UInt8]) -> [[UInt8]]? {
        guard generation <= last else { return nil }
        if generation == last { return [] }
        let known = state.withLock { $0.changes }
        // The list is whole if both ends are in it: the generation itself, and the last one.
        guard let first = known.firstIndex(where: { $0.generation == generation }),
            let end = known.firstIndex(where: { $0.generation == last })
        else { return nil }
        let wanted = known[(first + 1)...end]
        // By bytes: as text, two keys in different Unicode forms would be one.
        var keys: Set<[UInt8]> = []
        for change in wanted {
            guard let listed = change.keys else { return nil }
            keys.formUnion(listed.keys(atOrBelow: ancestor))
        }
        return keys.sorted { $0.lexicographicallyPrecedes($1) }
    }
}

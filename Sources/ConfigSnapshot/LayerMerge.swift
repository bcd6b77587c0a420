/// Several documents merged into one, later ones winning key by key.
///
/// A scalar replaces a whole object of an earlier layer and the other way round; arrays are replaced whole; `null` is
/// a value like any other; `{}` merged into an object changes nothing.
public struct LayerMerge: Sendable {
    public let table: LeafTable
    /// For each leaf of `table`, the index of the layer that gave it.
    public let owners: [UInt16]

    private struct Candidate {
        var layer: Int
        var leaf: LeafTable.Leaf
        var isEmptyObject: Bool
    }

    /// - Parameter layers: the documents, first one first; at most 65,535.
    public init(_ layers: [LeafTable]) {
        if layers.count == 1 {
            self.init(table: layers[0], owners: [UInt16](repeating: 0, count: layers[0].count))
            return
        }
        var candidates: [Candidate] = []
        candidates.reserveCapacity(layers.reduce(0) { $0 + $1.count })
        for (layer, table) in layers.enumerated() {
            for leaf in table.leaves {
                let isEmptyObject = table.value(leaf).elementsEqual("{}".utf8)
                candidates.append(Candidate(layer: layer, leaf: leaf, isEmptyObject: isEmptyObject))
            }
        }
        candidates.sort { left, right in
            let order = Self.compare(left, right, in: layers)
            return order != 0 ? order < 0 : left.layer < right.layer
        }
        self.init(kept: Self.resolve(candidates, in: layers), of: layers)
    }

    private static func withKeys<R>(
        _ left: Candidate,
        _ right: Candidate,
        in layers: [LeafTable],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> R
    ) -> R {
        layers[left.layer].bytes.withUnsafeBytes { l in
            layers[right.layer].bytes.withUnsafeBytes { r in
                body(.init(rebasing: l[left.leaf.key]), .init(rebasing: r[right.leaf.key]))
            }
        }
    }

    private static func compare(_ left: Candidate, _ right: Candidate, in layers: [LeafTable]) -> Int {
        withKeys(left, right, in: layers, DottedKey.compare)
    }

    private static func isBelow(_ key: Candidate, _ ancestor: Candidate, in layers: [LeafTable]) -> Bool {
        withKeys(key, ancestor, in: layers, DottedKey.isBelow)
    }

    /// Drops what a later layer overrides. Candidates are in key order, equal keys in layer order.
    private static func resolve(_ candidates: [Candidate], in layers: [LeafTable]) -> [Candidate] {
        var kept: [Candidate] = []
        kept.reserveCapacity(candidates.count)
        var position = 0
        while position < candidates.count {
            // The key's own leaves, newest last, stand directly before all that lies below the key.
            var newest = candidates[position]
            var barrier = newest.isEmptyObject ? -1 : newest.layer
            var next = position + 1
            while next < candidates.count, compare(newest, candidates[next], in: layers) == 0 {
                newest = candidates[next]
                if !newest.isEmptyObject { barrier = newest.layer }
                next += 1
            }
            var end = next
            while end < candidates.count, isBelow(candidates[end], newest, in: layers) { end += 1 }
            // The newest scalar hides all that is older below it. `{}` hides nothing: merged into an object it adds
            // nothing, and it stays only where nothing else is left.
            let survivors = candidates[next..<end].filter { $0.layer > barrier }
            if survivors.isEmpty {
                kept.append(newest)
            } else {
                kept.append(contentsOf: resolve(survivors, in: layers))
            }
            position = end
        }
        return kept
    }

    private init(kept: [Candidate], of layers: [LeafTable]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(kept.reduce(0) { $0 + $1.leaf.key.count + $1.leaf.value.count })
        var leaves: [LeafTable.Leaf] = []
        leaves.reserveCapacity(kept.count)
        for candidate in kept {
            let source = layers[candidate.layer].bytes
            let keyStart = bytes.count
            bytes.append(contentsOf: source[candidate.leaf.key])
            let valueStart = bytes.count
            bytes.append(contentsOf: source[candidate.leaf.value])
            leaves.append(
                LeafTable.Leaf(
                    keyStart: keyStart,
                    keyLength: valueStart - keyStart,
                    valueStart: valueStart,
                    valueLength: bytes.count - valueStart
                )
            )
        }
        self.init(table: LeafTable(bytes: bytes, unsortedLeaves: leaves), owners: kept.map { UInt16($0.layer) })
    }

    private init(table: LeafTable, owners: [UInt16]) {
        self.table = table
        self.owners = owners
    }
}

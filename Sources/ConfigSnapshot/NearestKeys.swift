/// Finds names that somebody may have meant.
public enum NearestKeys {
    /// The keys of `table`, and the objects above them, that are most like `wanted`.
    static func find(_ wanted: String, in table: LeafTable, limit: Int) -> [String] {
        // A message, not a search engine: look at no more than this many keys.
        var considered: [String] = []
        var above: Set<String> = []
        for leaf in table.leaves.prefix(5_000) {
            let key = table.key(leaf)
            considered.append(key)
            guard var names = DottedKey.split(key.utf8) else { continue }
            names.removeLast()
            // Neighbours share most of what is above them: stop at the first ancestor already known.
            while !names.isEmpty, above.insert(DottedKey.join(names)).inserted { names.removeLast() }
        }
        return nearest(to: wanted, among: considered + above, limit: limit)
    }

    /// Those of `candidates` within an edit distance of a third of the length of `wanted`, nearest first. Of a short one
    /// that is one letter: what shares fewer was hardly meant.
    public static func nearest(to wanted: String, among candidates: [String], limit: Int) -> [String] {
        let target = Array(wanted.utf8.prefix(128))
        let reach = target.count < 5 ? 1 : max(2, target.count / 3)
        var ranked: [(distance: Int, key: String)] = []
        // A message must not hold up a worker: no more than a few milliseconds of comparing.
        var budget = 1_000_000
        for candidate in candidates {
            guard budget > 0 else { break }
            let bytes = Array(candidate.utf8.prefix(128))
            guard abs(bytes.count - target.count) <= reach else { continue }
            budget -= (bytes.count + 1) * (target.count + 1)
            let distance = editDistance(target, bytes)
            if distance <= reach { ranked.append((distance, candidate)) }
        }
        ranked.sort { $0.distance != $1.distance ? $0.distance < $1.distance : $0.key < $1.key }
        return ranked.prefix(limit).map(\.key)
    }

    /// How many letters have to be replaced, put in, taken out, or swapped with their neighbours.
    private static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: right.count + 1)
        var last = Array(0...right.count)
        for i in left.indices {
            var row = [i + 1]
            row.reserveCapacity(right.count + 1)
            for j in right.indices {
                var distance = min(last[j] + (left[i] == right[j] ? 0 : 1), row[j] + 1, last[j + 1] + 1)
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    distance = min(distance, beforeLast[j - 1] + 1)
                }
                row.append(distance)
            }
            (beforeLast, last) = (last, row)
        }
        return last[right.count]
    }
}

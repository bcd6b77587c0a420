/// Times in buckets of equal width within each power of two of picoseconds: 16 of them, so that a bucket is never wider
/// than a sixteenth of what is in it.
struct Histogram: Sendable {
    private var counts = [UInt64](repeating: 0, count: 61 * 16)
    private var total: UInt64 = 0

    private static func bucket(of picoseconds: UInt64) -> Int {
        guard picoseconds >= 16 else { return Int(picoseconds) }
        let exponent = 63 - picoseconds.leadingZeroBitCount
        return (exponent - 3) * 16 + Int(picoseconds >> UInt64(exponent - 4)) & 15
    }

    /// The first time beyond the bucket, in nanoseconds.
    private static func end(of bucket: Int) -> Double {
        let next = bucket + 1
        guard next >= 32 else { return Double(next) / 1_000 }
        return Double(16 + next % 16) * Double(UInt64(1) << UInt64(next / 16 - 1)) / 1_000
    }

    // Not inlined: the loops that are measured have it on a way that is hardly ever taken.
    @inline(never)
    mutating func record(picoseconds: UInt64) {
        counts[Self.bucket(of: picoseconds)] += 1
        total += 1
    }

    mutating func record(nanoseconds: UInt64) { record(picoseconds: nanoseconds &* 1_000) }

    mutating func add(_ other: Histogram) {
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        total += other.total
    }

    /// The time in nanoseconds, to the width of a bucket, that `share` of all do not exceed; 0 when there is none.
    func percentile(_ share: Double) -> Double {
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() where count > 0 {
            seen += count
            if Double(seen) >= share * Double(total) { return Self.end(of: bucket) }
        }
        return 0
    }

    /// The buckets that hold something, as `[[end in nanoseconds, count], …]`.
    var json: String {
        let pairs = counts.enumerated().filter { $0.element > 0 }
        return "[" + pairs.map { "[\(Self.end(of: $0.offset)), \($0.element)]" }.joined(separator: ", ") + "]"
    }
}

internal import AgentAPI

/// A histogram in one line: a character for each doubling, the higher the more waits, between the range's ends.
enum HistogramLine {
    private static let blocks: [Character] = ["▁", "▂", "▃", "▅", "▇"]
    private static let plain: [Character] = [".", ":", "-", "=", "#"]

    /// - Returns: `8us ▂▁▇ 64us`; `nil` when nobody waited.
    static func render(_ lock: LockStatus, style: TextStyle) -> String? {
        var below: UInt64 = 0
        var counts: [(octave: Int, count: UInt64)] = []
        for bucket in lock.waitHistogram {
            let count = bucket.count >= below ? bucket.count - below : 0
            below = max(below, bucket.count)
            guard count > 0 else { continue }
            let octave = octave(of: bucket.upToMicroseconds)
            if let last = counts.indices.last, counts[last].octave == octave {
                counts[last].count += count
            } else {
                counts.append((octave, count))
            }
        }
        // What is longer than the last bound.
        if lock.waitCount > below {
            let known = counts.last?.octave ?? 0
            counts.append((max(octave(of: lock.waitMaxMicroseconds), known + 1), lock.waitCount - below))
        }
        guard let first = counts.first, let last = counts.last else { return nil }
        let most = counts.map(\.count).max() ?? 1
        let marks = style.blocks ? blocks : plain
        // Bounded: no octave of 64 bits is above 64.
        var line = [Character](repeating: " ", count: last.octave - first.octave + 1)
        for (octave, count) in counts {
            let height = Int(Double(count) / Double(most) * Double(marks.count - 1))
            line[octave - first.octave] = marks[min(marks.count - 1, height)]
        }
        let low = first.octave == 0 ? 0 : UInt64(1) << UInt64(first.octave - 1)
        let high = last.octave >= 63 ? lock.waitMaxMicroseconds : UInt64(1) << UInt64(last.octave)
        return "\(Durations.microseconds(low)) \(String(line)) \(Durations.microseconds(high))"
    }

    /// The number of the doubling: 0 up to 1 µs, then (2ⁿ⁻¹, 2ⁿ].
    private static func octave(of microseconds: UInt64) -> Int {
        microseconds <= 1 ? 0 : 64 - (microseconds - 1).leadingZeroBitCount
    }
}

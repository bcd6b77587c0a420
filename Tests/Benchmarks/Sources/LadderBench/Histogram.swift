import Foundation

/// How long single operations took, as bars.
enum Histogram {
    /// Several runs' counts in one.
    static func merged(_ histograms: [[[Double]]]) -> [[Double]] {
        var counts: [Double: Double] = [:]
        for histogram in histograms {
            for bucket in histogram where bucket.count == 2 { counts[bucket[0], default: 0] += bucket[1] }
        }
        return counts.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
    }

    /// One line for each power of two in which anything fell.
    static func powersOfTwo(_ histogram: [[Double]]) -> [(below: Double, share: Double)] {
        let total = histogram.reduce(0) { $0 + $1[1] }
        guard total > 0 else { return [] }
        var shares: [Double: Double] = [:]
        for bucket in histogram {
            shares[exp2(Foundation.log2(max(bucket[0], 1)).rounded(.up)), default: 0] += bucket[1]
        }
        return shares.sorted { $0.key < $1.key }.map { ($0.key, $0.value / total) }
    }

    static func text(_ histograms: [String: [[Double]]]) -> String {
        var lines: [String] = []
        for (subject, histogram) in histograms.sorted(by: { $0.key < $1.key }) {
            lines.append("\(subject): single reads beside a writer at 1 kHz")
            for (below, share) in powersOfTwo(histogram) {
                // Logarithmic: one read in a million is what one looks for.
                let length = max(1, Int(((Foundation.log10(share) + 7) * 6).rounded()))
                let bar = String(repeating: "#", count: length)
                lines.append(String(format: "  ≤ %10.0f ns %9.5f %% ", below, share * 100) + bar)
            }
        }
        return lines.joined(separator: "\n")
    }
}

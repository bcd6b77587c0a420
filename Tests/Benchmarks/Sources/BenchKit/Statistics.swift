/// What is said of several rounds.
public enum Statistics {
    /// 0 for none.
    public static func median(_ samples: [Double]) -> Double {
        let sorted = samples.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    public static func quantile(_ part: Double, of samples: [Double]) -> Double {
        guard !samples.isEmpty else { return 0 }
        return samples.sorted()[min(samples.count - 1, Int((Double(samples.count) * part).rounded(.down)))]
    }

    /// Between which two samples the median of what they were drawn from lies, with a confidence of 95 % or more, by
    /// the binomial distribution of how many samples lie below it. All of them when they are too few for that.
    public static func medianInterval(_ samples: [Double]) -> [Double] {
        let sorted = samples.sorted()
        guard let lowest = sorted.first, let highest = sorted.last else { return [] }
        var probability = 1.0
        for _ in sorted { probability /= 2 }
        // The chance that no more than `rank` samples lie below the median.
        var tail = probability
        var rank = 0
        while tail + probability * Double(sorted.count - rank) / Double(rank + 1) <= 0.025 {
            probability *= Double(sorted.count - rank) / Double(rank + 1)
            tail += probability
            rank += 1
        }
        return tail > 0.025 ? [lowest, highest] : [sorted[rank], sorted[sorted.count - 1 - rank]]
    }
}

import BenchKit

/// One line of the results.
struct Row: Codable {
    /// The measure and its condition.
    var `case`: String
    var subject: String
    var threads: Int
    /// Nanoseconds per operation and thread, the median of the rounds; none for what is no time.
    var ns: Double?
    var p50: Double?
    var p99: Double?
    var p999: Double?
    /// With several threads: the operations of the one that got the fewest, over those of the one that got the most.
    var fairness: Double?
    var anchor: String?
    var anchorNs: Double?
    /// The median of the rounds' own ratios of `figure` to the anchor's: what disturbs a round disturbs both.
    var ratio: Double?
    /// Where the median lies with 95 % confidence.
    var ratioInterval: [Double]?
    /// Limits the ratio, or `value` where there is no anchor.
    var goal: Double?
    var goalId: String?
    /// `at_most` or `at_least`.
    var goalKind: String?
    var met: Bool?
    /// What is compared: `ns` if it is the time itself.
    var figure: Figure
    var value: Double?
    var anchorValue: Double?
    var rounds: Int
    /// The lowest and the highest of the rounds.
    var spread: [Double]

    enum CodingKeys: String, CodingKey {
        case `case`, subject, threads, ns, fairness, anchor, ratio, goal, met, figure, value, rounds, spread
        case p50 = "p50_ns"
        case p99 = "p99_ns"
        case p999 = "p999_ns"
        case anchorNs = "anchor_ns"
        case anchorValue = "anchor_value"
        case ratioInterval = "ratio_interval"
        case goalId = "goal_id"
        case goalKind = "goal_kind"
    }

    /// With all keys in each row: what there is not is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.case, forKey: .case)
        try container.encode(subject, forKey: .subject)
        try container.encode(threads, forKey: .threads)
        try container.encode(ns, forKey: .ns)
        try container.encode(p50, forKey: .p50)
        try container.encode(p99, forKey: .p99)
        try container.encode(p999, forKey: .p999)
        try container.encode(fairness, forKey: .fairness)
        try container.encode(anchor, forKey: .anchor)
        try container.encode(anchorNs, forKey: .anchorNs)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(ratioInterval, forKey: .ratioInterval)
        try container.encode(goal, forKey: .goal)
        try container.encode(goalId, forKey: .goalId)
        try container.encode(goalKind, forKey: .goalKind)
        try container.encode(met, forKey: .met)
        try container.encode(figure, forKey: .figure)
        try container.encode(value, forKey: .value)
        try container.encode(anchorValue, forKey: .anchorValue)
        try container.encode(rounds, forKey: .rounds)
        try container.encode(spread, forKey: .spread)
    }

    /// What makes two rows of different runs comparable.
    var key: String { "\(self.case)|\(subject)|\(threads)|\(anchor ?? "")|\(figure.rawValue)" }

    init(_ contest: Contest, _ comparison: Comparison, _ samples: [Sample], _ anchorSamples: [Sample]?) {
        let figure = comparison.figure
        let values = samples.compactMap { figure.value(in: $0) }
        self.case = contest.name
        subject = comparison.subject.label
        threads = comparison.subject.threads ?? contest.threads
        ns = Statistics.median(samples.map(\.ns))
        p50 = Self.median(samples, \.p50)
        p99 = Self.median(samples, \.p99)
        p999 = Self.median(samples, \.p999)
        if threads > 1 {
            let shares = samples.compactMap { Figure.fairness.value(in: $0) }
            fairness = shares.isEmpty ? nil : Statistics.median(shares)
        }
        self.figure = figure
        value = values.isEmpty ? nil : Statistics.median(values)
        rounds = samples.count
        spread = [values.min() ?? 0, values.max() ?? 0]
        if let anchor = comparison.anchor, let anchorSamples {
            let theirs = anchorSamples.compactMap { figure.value(in: $0) }
            let ratios = zip(values, theirs).map { $0 / $1 }
            self.anchor = anchor.label
            anchorNs = Statistics.median(anchorSamples.map(\.ns))
            anchorValue = theirs.isEmpty ? nil : Statistics.median(theirs)
            // What was not measured has no ratio, and so meets no goal.
            if !ratios.isEmpty {
                ratio = Statistics.median(ratios)
                ratioInterval = Statistics.medianInterval(ratios)
            }
        }
        if let goal = comparison.goal { hold(against: goal, isRatio: comparison.anchor != nil) }
    }

    /// A row for a figure that comes from no sample.
    init(
        _ name: String,
        _ subject: String,
        _ figure: Figure,
        _ value: Double,
        against anchor: (String, Double)?,
        _ goal: Goal?
    ) {
        self.case = name
        self.subject = subject
        threads = 1
        self.figure = figure
        self.value = value
        rounds = 1
        spread = [value, value]
        if let anchor {
            self.anchor = anchor.0
            anchorValue = anchor.1
            ratio = value / anchor.1
        }
        if let goal { hold(against: goal, isRatio: anchor != nil) }
    }

    private mutating func hold(against goal: Goal, isRatio: Bool) {
        self.goal = goal.limit
        goalId = goal.id
        goalKind = goal.isCeiling ? "at_most" : "at_least"
        // What was not measured does not meet a goal.
        met = (isRatio ? ratio : value).map { goal.isMet(by: $0) } ?? false
    }

    private static func median(_ samples: [Sample], _ figure: KeyPath<Sample, Double?>) -> Double? {
        let values = samples.compactMap { $0[keyPath: figure] }
        return values.isEmpty ? nil : Statistics.median(values)
    }
}

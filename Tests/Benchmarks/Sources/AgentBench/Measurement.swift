import BenchKit
import Foundation

/// One figure, as it is printed and written: against its goal, and against an anchor where there is one.
struct Measurement: Codable {
    enum Goal {
        case none
        case atMost(Double)
        case atLeast(Double)
    }

    var name: String
    var subject: String
    /// The median of the rounds.
    var value: Double
    var lowest: Double
    var highest: Double
    var unit: String
    var rounds: Int
    var anchor: String?
    var anchorValue: Double?
    /// The median of the rounds' own ratios to the anchor: what disturbs a round disturbs both of its halves.
    var ratio: Double?
    /// The middle half of these ratios lies between the two.
    var ratioSpread: [Double]?
    /// For the ratio where there is one, else for the value. None for a figure that is only reported.
    var goal: Double?
    /// `at_most` or `at_least`.
    var goalKind: String?
    var met: Bool
    /// What came one after the other, for a figure that is the largest of many.
    var series: [Int]?

    enum CodingKeys: String, CodingKey {
        case name = "case"
        case subject, value, lowest, highest, unit, rounds, anchor
        case anchorValue = "anchor_value"
        case ratio
        case ratioSpread = "ratio_spread"
        case goal
        case goalKind = "goal_kind"
        case met, series
    }

    /// - Parameter samples: one for each round.
    init(_ name: String, _ subject: String, _ samples: [Double], unit: String, _ goal: Goal) {
        self.name = name
        self.subject = subject
        self.unit = unit
        value = Statistics.median(samples)
        lowest = samples.min() ?? 0
        highest = samples.max() ?? 0
        rounds = samples.count
        met = true
        set(goal, for: value)
    }

    /// - Parameters:
    ///   - anchorSamples: each measured right beside the sample of the same number.
    ///   - goal: for the ratio.
    init(
        _ name: String,
        _ subject: String,
        _ samples: [Double],
        against anchor: String,
        _ anchorSamples: [Double],
        unit: String,
        _ goal: Goal
    ) {
        self.init(name, subject, samples, unit: unit, .none)
        self.anchor = anchor
        anchorValue = Statistics.median(anchorSamples)
        let ratios = zip(samples, anchorSamples).map { $0 / $1 }
        let ratio = Statistics.median(ratios)
        self.ratio = ratio
        ratioSpread = [Statistics.quantile(0.25, of: ratios), Statistics.quantile(0.75, of: ratios)]
        set(goal, for: ratio)
    }

    private mutating func set(_ goal: Goal, for figure: Double) {
        switch goal {
        case .none: break
        case .atMost(let limit):
            (self.goal, goalKind, met) = (limit, "at_most", figure <= limit)
        case .atLeast(let limit):
            (self.goal, goalKind, met) = (limit, "at_least", figure >= limit)
        }
    }

    var line: String {
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        func round(_ number: Double) -> String { String(format: abs(number) < 100 ? "%.2f" : "%.0f", number) }
        let sign = goalKind == "at_least" ? "≥" : "≤"
        let verdict = goal.map { "goal \(sign) \(round($0)) \(ratio == nil ? unit : "")" } ?? "reported"
        var text = pad(name, 46) + pad("\(round(value)) \(unit)", 18)
        if let anchor, let anchorValue, let ratio {
            let spread = (ratioSpread ?? []).map(round).joined(separator: "–")
            text += pad("\(anchor) \(round(anchorValue))", 22) + pad("ratio \(round(ratio)) [\(spread)]", 26)
        } else {
            text += pad(rounds > 1 ? "[\(round(lowest))–\(round(highest))]" : "", 48)
        }
        text += verdict
        return goal == nil ? text : text + (met ? "  ok" : "  MISSED")
    }
}

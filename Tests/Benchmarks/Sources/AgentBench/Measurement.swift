import Foundation

/// One figure, as it is printed and written: against its goal, and against an anchor where there is one.
struct Measurement: Codable {
    var name: String
    var subject: String
    var value: Double
    var worst: Double
    var unit: String
    var rounds: Int
    var anchor: String?
    var anchorValue: Double?
    /// `value` over `anchorValue`.
    var ratio: Double?
    var goal: Double
    var met: Bool

    enum CodingKeys: String, CodingKey {
        case name = "case"
        case subject, value, worst, unit, rounds, anchor
        case anchorValue = "anchor_value"
        case ratio, goal, met
    }

    /// - Parameter samples: one for each round.
    init(_ name: String, _ subject: String, _ samples: [Double], unit: String, atMost goal: Double) {
        self.name = name
        self.subject = subject
        self.unit = unit
        self.goal = goal
        value = Self.median(samples)
        worst = samples.max() ?? 0
        rounds = samples.count
        met = value <= goal
    }

    /// - Parameter goal: for the ratio of the medians.
    init(
        _ name: String,
        _ subject: String,
        _ samples: [Double],
        against anchor: String,
        _ anchorSamples: [Double],
        unit: String,
        atMost goal: Double
    ) {
        self.init(name, subject, samples, unit: unit, atMost: goal)
        let other = Self.median(anchorSamples)
        self.anchor = anchor
        anchorValue = other
        ratio = value / other
        met = value / other <= goal
    }

    static func median(_ samples: [Double]) -> Double {
        let sorted = samples.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    var line: String {
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        func round(_ number: Double) -> String { String(format: number < 100 ? "%.2f" : "%.0f", number) }
        var text = pad(name, 30) + pad("\(round(value)) \(unit)", 14) + pad("worst \(round(worst))", 14)
        if let anchor, let anchorValue, let ratio {
            text += pad("\(anchor) \(round(anchorValue)) \(unit)", 30) + "ratio \(round(ratio)) (goal \(round(goal)))"
        } else {
            text += pad("", 30) + "goal \(round(goal)) \(unit)"
        }
        return text + (met ? "" : "   MISSED")
    }
}

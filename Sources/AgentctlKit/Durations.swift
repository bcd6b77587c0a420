public import AgentAPI

/// Lengths of time as people read and write them.
public enum Durations {
    /// In the two largest units that matter: `3s`, `3m 12s`, `2h 5m`, `3d 4h`.
    public static func compact(_ seconds: Double) -> String {
        parts(seconds).map { "\($0.amount)\($0.unit.short)" }.joined(separator: " ")
    }

    /// The same for sentences: `3 s`, `3 min 12 s`.
    public static func spaced(_ seconds: Double) -> String {
        parts(seconds).map { "\($0.amount) \($0.unit.long)" }.joined(separator: " ")
    }

    /// `3s ago`; a moment that is not over counts as now.
    public static func ago(_ moment: WireTime, now: WireTime) -> String {
        compact(now.seconds(since: moment)) + " ago"
    }

    /// `in 12s`, or `due` once the moment is over.
    public static func until(_ moment: WireTime, now: WireTime) -> String {
        let left = moment.seconds(since: now)
        return left < 0 ? "due" : "in " + compact(left)
    }

    /// `33us`, `1.2ms`, `3.4s`, and from a minute on as ``compact(_:)``.
    public static func microseconds(_ count: UInt64) -> String {
        switch count {
        case ..<1000: "\(count)us"
        case ..<1_000_000: oneDecimal(Double(count) / 1000) + "ms"
        case ..<60_000_000: oneDecimal(Double(count) / 1_000_000) + "s"
        default: compact(Double(count) / 1_000_000)
        }
    }

    /// A time limit, exact where it is short: `300 ms`, `1 min 30 s`.
    public static func limit(milliseconds: Int) -> String {
        milliseconds < 1000 ? "\(milliseconds) ms" : spaced(Double(milliseconds) / 1000)
    }

    /// Reads `45`, `45s`, `500ms`, `1m` or `1h`.
    ///
    /// - Returns: milliseconds; `nil` for anything else, for zero and for more than a week.
    public static func parseMilliseconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let amount = Int(digits), let factor = milliseconds[String(text.dropFirst(digits.count))] else {
            return nil
        }
        let (product, overflow) = amount.multipliedReportingOverflow(by: factor)
        return !overflow && (1...604_800_000).contains(product) ? product : nil
    }

    private static let milliseconds = ["": 1000, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]

    /// Reads `90s`, `15m`, `12h` or `30d`.
    ///
    /// - Returns: seconds; `nil` for anything else, for zero and for more than ten years.
    public static func parseSeconds(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let amount = Int64(digits), let factor = seconds[String(text.dropFirst(digits.count))] else { return nil }
        let (product, overflow) = amount.multipliedReportingOverflow(by: factor)
        return !overflow && (1...315_360_000).contains(product) ? product : nil
    }

    private static let seconds: [String: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]

    static func oneDecimal(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private enum Unit: Int, CaseIterable {
        case day = 86_400
        case hour = 3600
        case minute = 60
        case second = 1

        var short: String {
            switch self {
            case .day: "d"
            case .hour: "h"
            case .minute: "m"
            case .second: "s"
            }
        }

        var long: String { self == .minute ? "min" : short }
    }

    private static func parts(_ seconds: Double) -> [(amount: Int, unit: Unit)] {
        var rest = Int(max(0, min(seconds, 1e12)))
        guard let first = Unit.allCases.firstIndex(where: { rest >= $0.rawValue }) else { return [(0, .second)] }
        var parts: [(amount: Int, unit: Unit)] = []
        for unit in Unit.allCases[first...].prefix(2) {
            let amount = rest / unit.rawValue
            rest %= unit.rawValue
            if amount > 0 { parts.append((amount, unit)) }
        }
        return parts
    }
}

extension WireTime {
    /// `2026-11-22 14:03:07 UTC`.
    public var forPeople: String {
        let text = description
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8)) UTC"
    }
}

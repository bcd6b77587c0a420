/// Metrics in Prometheus' text form, version 0.0.4.
public struct PrometheusText {
    public enum Kind: String {
        case counter, gauge, histogram
        /// Without quantiles: a sum and a count.
        case summary
    }

    /// As HTTP names it.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    public private(set) var text = ""

    public init() {}

    /// Begins a metric. Its samples follow directly.
    public mutating func metric(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    public mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: Double) {
        let isWhole = value == value.rounded() && abs(value) < 1e15
        line(name, labels, isWhole ? String(Int64(value)) : String(value))
    }

    public mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: UInt64) {
        line(name, labels, String(value))
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    /// The samples of one histogram.
    ///
    /// - Parameters:
    ///   - buckets: counts, not cumulative, in rising order of their upper bounds in seconds; `nil` for the last.
    public mutating func histogram(
        _ name: String,
        _ labels: [(String, String)],
        buckets: [(upperBound: Double?, count: UInt64)],
        sum: Double
    ) {
        var total: UInt64 = 0
        for bucket in buckets {
            total += bucket.count
            if let bound = bucket.upperBound { sample("\(name)_bucket", labels + [("le", String(bound))], total) }
        }
        sample("\(name)_bucket", labels + [("le", "+Inf")], total)
        sample("\(name)_sum", labels, sum)
        sample("\(name)_count", labels, total)
    }

    private static func escaped(_ value: String) -> String {
        var out = ""
        // By scalars: a character may hold more than the one that has to be escaped.
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}

/// The result of one round, as it is printed.
struct Report {
    var threads = 1
    /// Of each operation and thread.
    var nanoseconds = 0.0
    var operations: UInt64 = 0
    /// Of single operations, or the means of batches.
    var samples = Histogram()
    /// The fewest and the most operations of one thread.
    var least: UInt64 = 0
    var most: UInt64 = 0
    var checksum: UInt64 = 0
    /// Names with values that are JSON already.
    var extra: [(name: String, json: String)] = []

    init() {}

    /// - Parameter tallies: one of each thread.
    init(_ tallies: [Tally]) {
        threads = tallies.count
        var elapsed: UInt64 = 0
        for tally in tallies {
            operations += tally.operations
            elapsed += tally.nanoseconds
            samples.add(tally.samples)
            checksum &+= tally.checksum
        }
        nanoseconds = operations == 0 ? 0 : Double(elapsed) / Double(operations)
        least = tallies.map(\.operations).min() ?? 0
        most = tallies.map(\.operations).max() ?? 0
    }

    func json(_ name: String, _ subject: String) -> String {
        var fields: [(name: String, json: String)] = [
            ("case", "\"\(name)\""), ("subject", "\"\(subject)\""), ("threads", "\(threads)"),
            ("ns", Self.text(nanoseconds)), ("ops", "\(operations)"),
            ("p50_ns", Self.text(samples.percentile(0.5))), ("p99_ns", Self.text(samples.percentile(0.99))),
            ("p999_ns", Self.text(samples.percentile(0.999))),
            ("least", "\(least)"), ("most", "\(most)"), ("checksum", "\(checksum)"),
        ]
        if !extra.isEmpty { fields.append(("extra", Self.object(extra))) }
        return Self.object(fields)
    }

    private static func object(_ fields: [(name: String, json: String)]) -> String {
        "{" + fields.map { "\"\($0.name)\": \($0.json)" }.joined(separator: ", ") + "}"
    }

    /// To a ten-thousandth.
    private static func text(_ number: Double) -> String { "\((number * 10_000).rounded() / 10_000)" }
}

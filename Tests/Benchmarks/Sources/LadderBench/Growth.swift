import BenchKit
import Foundation

/// How the time of an operation grows with the threads that compete, and which formula tells it best.
///
/// The source document says: latency in proportion to the logarithm of the concurrency, base 2, times an overhead. Held
/// against it: two straight lines that meet where the threads outnumber the processors, below which threads run side by
/// side and above which they take turns.
struct Growth: Codable {
    struct Fit: Codable {
        let formula: String
        /// The root of the mean square of the relative errors.
        let error: Double
    }

    let rung: String
    let threads: [Int]
    /// Nanoseconds per operation and thread.
    let ns: [Double]
    let documents: Fit
    let better: Fit

    init(rung: String, threads: [Int], ns: [Double], processors: Int) {
        self.rung = rung
        self.threads = threads
        self.ns = ns
        let counts = threads.map(Double.init)
        let logarithm = Self.fit(counts.map { Foundation.log2($0 + 1) }, ns)
        documents = Fit(
            formula: "\(Self.text(logarithm.factors[0])) × log₂(threads + 1)",
            error: logarithm.error
        )
        let shares = counts.map { max(1, $0 / Double(processors)) }
        let alone = ns.first ?? 0
        // One factor for the first step, from one thread to as many as there are processors; turns multiply what comes.
        let together = zip(zip(counts, shares), ns).filter { $0.0.0 >= Double(processors) }.map { $0.1 / $0.0.1 }
        let perTurn = Statistics.median(together)
        let predicted = zip(counts, shares).map { $0 < Double(processors) ? alone : perTurn * $1 }
        better = Fit(
            formula:
                "\(Self.text(alone)) alone, else \(Self.text(perTurn)) × max(1, threads / \(processors))",
            error: Self.error(predicted, ns)
        )
    }

    /// Least squares of the relative errors, for a single factor.
    private static func fit(_ shape: [Double], _ values: [Double]) -> (factors: [Double], error: Double) {
        var upper = 0.0
        var lower = 0.0
        for (x, y) in zip(shape, values) where y > 0 {
            upper += x / y
            lower += (x / y) * (x / y)
        }
        let factor = lower > 0 ? upper / lower : 0
        return ([factor], error(shape.map { $0 * factor }, values))
    }

    private static func error(_ predicted: [Double], _ values: [Double]) -> Double {
        let squares = zip(predicted, values).map { predicted, value in
            let relative = (predicted - value) / value
            return relative * relative
        }
        guard !squares.isEmpty else { return 0 }
        return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }

    private static func text(_ nanoseconds: Double) -> String {
        String(format: nanoseconds < 10 ? "%.2f ns" : "%.0f ns", nanoseconds)
    }

    /// So long that each thread gets its turn several times: a turn is some three milliseconds.
    static func milliseconds(_ threads: Int) -> Int { max(60, 8 * threads) }

    static func measure(_ arena: Arena) throws -> [Growth] {
        try Plan.growth.map { rung, contests in
            let ns = try contests.map { contest in
                let samples = try arena.run(contest).values.flatMap { $0 }
                // By the clock of all, and not by the threads' own: one that waits for its first turn does not know it.
                let length = Double(milliseconds(contest.threads)) * 1_000_000 * Double(contest.threads)
                return Statistics.median(samples.compactMap { sample in sample.ops.map { length / max($0, 1) } })
            }
            return Growth(
                rung: rung,
                threads: contests.map(\.threads),
                ns: ns,
                processors: ProcessInfo.processInfo.activeProcessorCount
            )
        }
    }
}

import BenchKit
import Foundation

/// All that came of a soak, as it is written and printed.
struct Report: Codable {
    struct Kept: Codable {
        let promise: String
        let checked: Int
        let broken: Int
    }

    struct Latency: Codable {
        let source: String
        let changes: Int
        let medianMilliseconds: Double
        let p99Milliseconds: Double
    }

    let version: String
    let seconds: Double
    let processors: Int
    let isGood: Bool
    /// What was not as it should be, in words.
    let findings: [String]
    let promises: [Kept]
    let violations: [Promises.Violation]
    let excused: [String: Int]
    let longestMachineStallMilliseconds: Double
    let flatness: [Judge.Flatness]
    let exercises: [Judge.Exercise]
    let latencies: [Latency]
    let reads: Int
    let events: Int
    let publications: UInt64
    let cutOffClients: Int
    let snapshotsBy: String
    let faults: [Chaos.Mark]
    let verbs: [Operator.Mark]
    let ends: [Lives.Mark]
    let samples: [Sampler.Sample]

    static let mostSamples = 600

    static func thinned(_ samples: [Sampler.Sample]) -> [Sampler.Sample] {
        let step = max(1, (samples.count + mostSamples - 1) / mostSamples)
        return stride(from: 0, to: samples.count, by: step).map { samples[$0] }
    }

    static func latencies(_ found: [String: [Double]]) -> [Latency] {
        found.sorted { $0.key < $1.key }.map { source, times in
            Latency(
                source: source,
                changes: times.count,
                medianMilliseconds: Statistics.median(times),
                p99Milliseconds: Statistics.quantile(0.99, of: times)
            )
        }
    }

    func write(_ json: URL, _ picture: URL) throws {
        try FileManager.default.createDirectory(at: json.deletingLastPathComponent(), withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        try encoder.encode(self).write(to: json)
        try Picture.draw(self).write(to: picture, atomically: true, encoding: .utf8)
    }

    // MARK: In words

    func tell() {
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        func round(_ number: Double) -> String { String(format: abs(number) < 100 ? "%.1f" : "%.0f", number) }
        for promise in promises {
            let verdict = promise.broken == 0 && promise.checked > 0 ? "PASS" : "FAIL"
            print("\(verdict)  \(pad(promise.promise, 62))\(promise.checked) times, \(promise.broken) broken")
        }
        for figure in flatness {
            let growth = "\(round(figure.first)) -> \(round(figure.last)) \(figure.unit)"
            let rest =
                "trend \(round(figure.trend)), at most \(round(figure.highest)), tolerated \(round(figure.tolerance))"
            print("\(figure.isFlat ? "PASS" : "FAIL")  \(pad(figure.name, 26))\(pad(growth, 28))\(rest)")
        }
        for latency in latencies {
            let times = "median \(round(latency.medianMilliseconds)) ms, p99 \(round(latency.p99Milliseconds)) ms"
            print("      \(pad("a change of \(latency.source) is read after", 40))\(times), \(latency.changes) changes")
        }
        let kinds = Set(faults.map(\.kind)).count
        print(
            "      \(reads) reads, \(events) events, \(publications) publications, \(faults.count) faults of \(kinds) kinds, "
                + "\(verbs.count) verbs, \(ends.count) restarts, \(cutOffClients) clients cut off"
        )
        for (what, count) in excused { print("      not counted: \(what): \(count)") }
        for finding in findings { print("FAIL  \(finding)") }
        print(isGood ? "PASS" : "FAIL")
    }
}

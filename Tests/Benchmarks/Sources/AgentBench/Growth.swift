import BenchKit
import Foundation

/// What a key costs from the bytes of its document to readers that see it, in documents of a hundred to a million keys: by
/// the agent's own times for the stages, decoding and publishing.
struct Growth {
    private static let sizes: [(keys: Int, rounds: Int)] = [(100, 100), (10_000, 40), (1_000_000, 5)]

    let binaries: URL

    func measure() throws -> [Measurement] {
        var rows: [Measurement] = []
        var smallest: [Double] = []
        for (keys, rounds) in Self.sizes {
            let samples = try self.samples(keys, rounds)
            let name = "a key's way from bytes to readers, \(keys) keys"
            if smallest.isEmpty {
                smallest = samples
                rows.append(Measurement(name, "agentd", samples, unit: "ns", .none))
            } else {
                // Of other rounds than these: so by their medians.
                let anchor = Array(repeating: Statistics.median(smallest), count: samples.count)
                rows.append(
                    Measurement(name, "agentd", samples, against: "100 keys", anchor, unit: "ns", .atMost(2))
                )
            }
        }
        return rows
    }

    /// Nanoseconds for each key, once for each round.
    private func samples(_ keys: Int, _ rounds: Int) throws -> [Double] {
        let source = "{url: \"file://PATH\", poll: 1h, watch: false, guard: {max_bytes: 1GiB, max_keys: 10000000}}"
        let agent = try Agent(binaries: binaries, keys: keys, workers: 1, source: source)
        defer { agent.end() }
        try agent.prepare()
        _ = try agent.start()
        var samples: [Double] = []
        // The first ones warm it up.
        for round in -2..<rounds {
            try agent.writeDocument()
            let arguments = ["--runtime-dir", agent.file("run").path, "-o", "json"]
            _ = try Tools.run(binaries.appending(path: "agentctl"), ["refresh"] + arguments)
            let report = try Tools.run(binaries.appending(path: "agentctl"), ["sources"] + arguments)
            let json = try JSONSerialization.jsonObject(with: report) as? [String: Any]
            let source = (json?["sources"] as? [[String: Any]])?.first
            guard let trace = (source?["status"] as? [String: Any] ?? source)?["trace"] as? [String: Any],
                let decoded = trace["verified_to_decoded_us"] as? Double,
                let published = trace["decoded_to_published_us"] as? Double
            else { throw Agent.Failure(description: "no times of stages: \(String(decoding: report, as: UTF8.self))") }
            if round >= 0 { samples.append((decoded + published) * 1_000 / Double(keys)) }
        }
        return samples
    }
}

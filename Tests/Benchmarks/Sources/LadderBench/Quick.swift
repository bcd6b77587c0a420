import BenchKit
import Foundation

/// A subset for every change: the same ratios as those stored, or a complaint.
struct Quick {
    /// What was measured once and shall not get worse.
    struct Stored: Codable {
        /// Ratios of other processors say nothing of this one's.
        let processor: String
        let ratios: [String: Double]
    }

    /// A ratio that is 15 % worse must not pass, whatever the noise of a round: so less than that is too much.
    static let tolerance = 1.10
    private static let tries = 4

    private let arena: Arena
    private let stored: URL
    private let isStoring: Bool
    private let contests: [Contest]

    /// - Parameter words: `--store`, and how the names of the wanted contests begin; all without any.
    init(_ arena: Arena, stored: URL, only words: [String]) {
        self.arena = arena
        self.stored = stored
        isStoring = words.contains("--store")
        let wanted = words.filter { $0 != "--store" }
        contests = Plan.quick.filter { contest in wanted.isEmpty || wanted.contains { contest.name.hasPrefix($0) } }
    }

    func run() throws -> Bool {
        let machine = try Machine()
        if isStoring { return try store(machine) }
        let stored = try JSONDecoder().decode(Stored.self, from: Data(contentsOf: stored))
        guard stored.processor == machine.processor else {
            print("The stored ratios are of \(stored.processor), this is \(machine.processor): only reported.")
            for contest in contests {
                print(Text.table(arena.rows(contest, try arena.run(contest)), titled: contest.name))
            }
            return true
        }
        var isGood = true
        for contest in contests { isGood = try hold(contest, against: stored.ratios) && isGood }
        print(
            isGood ? "No ratio got worse." : "A ratio got worse; if that is meant, run `make bench-store` and say why."
        )
        return isGood
    }

    private func store(_ machine: Machine) throws -> Bool {
        var ratios: [String: Double] = [:]
        for contest in contests {
            for row in arena.rows(contest, try arena.run(contest)) {
                if let ratio = row.ratio { ratios[row.key] = (ratio * 10_000).rounded() / 10_000 }
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(Stored(processor: machine.processor, ratios: ratios)).write(to: stored)
        print("stored \(ratios.count) ratios in \(stored.path)")
        return true
    }

    /// A disturbed round passes at the next try; a slowdown stays.
    private func hold(_ contest: Contest, against stored: [String: Double]) throws -> Bool {
        var worse: [Row] = []
        for attempt in 1...Self.tries {
            let rows = arena.rows(contest, try arena.run(contest))
            worse = rows.filter { row in
                guard let ratio = row.ratio else { return false }
                guard let old = stored[row.key] else { return true }
                return ratio > old * Self.tolerance
            }
            if worse.isEmpty || attempt == Self.tries {
                print(Text.table(rows, titled: "\(contest.name), \(contest.threads) threads"))
                break
            }
        }
        for row in worse {
            let old = stored[row.key].map { String(format: "%.3f", $0) } ?? "nothing: store it"
            print("WORSE: \(row.key): ratio \(String(format: "%.3f", row.ratio ?? 0)), stored is \(old)")
        }
        return worse.isEmpty
    }
}

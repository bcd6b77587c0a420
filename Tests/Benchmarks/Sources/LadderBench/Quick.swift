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
    private static let tolerance = 1.10
    /// For all but the mutex: on a machine that others use too, their ratios differ by a tenth from hour to hour.
    private static let wideTolerance = 1.30
    /// What is no worse than this needs no second look.
    private static let clearlyFine = 1.05
    /// How often a contest is run at most. All its rounds are judged together: to take the best of several runs would let
    /// a slowdown pass as soon as one of them is lucky.
    private static let runs = 5

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
            var samples: [String: [Sample]] = [:]
            for _ in 1...Self.runs { samples.merge(try arena.run(contest), uniquingKeysWith: +) }
            for row in arena.rows(contest, samples) {
                if let ratio = row.ratio { ratios[row.key] = (ratio * 10_000).rounded() / 10_000 }
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(Stored(processor: machine.processor, ratios: ratios)).write(to: stored)
        print("stored \(ratios.count) ratios in \(stored.path)")
        return true
    }

    private func hold(_ contest: Contest, against stored: [String: Double]) throws -> Bool {
        var samples: [String: [Sample]] = [:]
        var rows: [Row] = []
        func worse(than factor: Double) -> [Row] {
            rows.filter { row in
                guard let ratio = row.ratio else { return false }
                return stored[row.key].map { ratio > $0 * factor } ?? true
            }
        }
        for _ in 1...Self.runs {
            samples.merge(try arena.run(contest), uniquingKeysWith: +)
            rows = arena.rows(contest, samples)
            if worse(than: Self.clearlyFine).isEmpty { break }
        }
        print(Text.table(rows, titled: "\(contest.name), \(contest.threads) threads"))
        let found = worse(than: contest.measure == "mutex" ? Self.tolerance : Self.wideTolerance)
        for row in found {
            let old = stored[row.key].map { String(format: "%.3f", $0) } ?? "nothing: store it"
            print("WORSE: \(row.key): ratio \(String(format: "%.3f", row.ratio ?? 0)), stored is \(old)")
        }
        return found.isEmpty
    }
}

import BenchKit
import Foundation

/// A subset for every change: the same ratios as those stored, or a complaint.
struct Quick {
    /// What was measured once and shall not get worse.
    struct Stored: Codable {
        /// Ratios of other processors say nothing of this one's.
        let processor: String
        /// Nanoseconds of the calibrating loop when nobody disturbs.
        let calibration: Double
        let ratios: [String: Double]
    }

    /// A slowdown of 15 % must not pass, whatever the noise of a round: so less than that is too much. Not much less:
    /// another machine with the same processor gives unchanged code ratios that are up to 8 % lower.
    private static let tolerance = 1.10
    /// What is no worse than this needs no further look, and what is worse than the other only a few.
    private static let clear = (fine: 1.03, worse: 1.10)
    /// How often everything undecided is run, in turn, so that a contest is not judged by one moment: at least before
    /// something is called as good as before, before it is called worse, and at most.
    private static let passes = (toHold: 2, toFail: 4, most: 8)

    /// Whoever shares the processor's core makes loops slower that compute, and hardly those that wait for memory: by up to
    /// a quarter the ratio of the two moves with the neighbours. So a loop is timed between the rounds that is the first
    /// thing to suffer, and a round counts only where that is as fast as it can be, give or take this.
    private static let disturbed = 1.06
    /// With fewer rounds than this, or when most were disturbed, a ratio is held only to the other tolerance: where
    /// disturbances are the rule, the rounds between two quiet moments had them too.
    private static let fewest = 6
    private static let wideTolerance = 1.50

    private let arena: Arena
    private let stored: URL
    private let isStoring: Bool
    /// Where what this run measures is written, as if it were to be stored.
    private let now: URL?
    private let contests: [Contest]

    /// - Parameter words: `--store`, `--now=FILE`, and how the names of the wanted contests begin; all without any.
    init(_ arena: Arena, stored: URL, only words: [String]) {
        self.arena = arena
        self.stored = stored
        isStoring = words.contains("--store")
        now = words.first { $0.hasPrefix("--now=") }.map { URL(filePath: String($0.dropFirst("--now=".count))) }
        let wanted = words.filter { !$0.hasPrefix("--") }
        contests = Plan.quick.filter { contest in wanted.isEmpty || wanted.contains { contest.name.hasPrefix($0) } }
    }

    func run() throws -> Bool {
        let machine = try Machine()
        if isStoring { return try store(machine) }
        let stored = try JSONDecoder().decode(Stored.self, from: Data(contentsOf: stored))
        guard stored.processor == machine.processor else {
            print("The stored ratios are of \(stored.processor), this is \(machine.processor): only reported.")
            let calibration = try quietCalibration()
            var runs = contests.map { Run($0) }
            for _ in 1...Self.passes.toFail {
                for index in runs.indices { try add(&runs[index], calibration) }
            }
            for run in runs {
                print(Text.table(arena.rows(run.contest, run.usable), titled: run.contest.name))
            }
            try writeNow(runs, machine, calibration)
            return true
        }
        let (runs, isGood) = try hold(against: stored)
        try writeNow(runs, machine, stored.calibration)
        print(
            isGood ? "No ratio got worse." : "A ratio got worse; if that is meant, run `make bench-store` and say why."
        )
        return isGood
    }

    /// Stores the ratios of the wanted contests, beside those that are there of others.
    private func store(_ machine: Machine) throws -> Bool {
        guard arena.planted == nil else {
            print("BENCH_PLANTED is set: a planted slowdown is not to be stored")
            return false
        }
        let before = try? JSONDecoder().decode(Stored.self, from: Data(contentsOf: stored))
        let isPart = contests.count < Plan.quick.count && before?.processor == machine.processor
        let measured = try quietCalibration()
        // The other ratios were taken beside the one that is stored.
        let calibration = isPart ? before?.calibration ?? measured : measured
        var runs = contests.map { Run($0) }
        for _ in 1...Self.passes.most {
            for index in runs.indices { try add(&runs[index], calibration) }
        }
        var ratios = isPart ? before?.ratios ?? [:] : [:]
        for run in runs {
            guard run.quiet >= 3 * Self.fewest else {
                print("\(run.contest.name): only \(run.quiet) rounds were undisturbed; store when the machine is quiet")
                return false
            }
            ratios.merge(rounded(run)) { $1 }
        }
        try write(Stored(processor: machine.processor, calibration: calibration, ratios: ratios), to: stored)
        print("stored \(ratios.count) ratios in \(stored.path)")
        return true
    }

    /// The ratios that this machine has now, of the contests that nobody disturbed: what a planted slowdown is held
    /// against, so that it is that alone which is seen.
    private func writeNow(_ runs: [Run], _ machine: Machine, _ calibration: Double) throws {
        guard let now, arena.planted == nil else { return }
        var ratios: [String: Double] = [:]
        for run in runs where run.isQuiet { ratios.merge(rounded(run)) { $1 } }
        try write(Stored(processor: machine.processor, calibration: calibration, ratios: ratios), to: now)
    }

    private func rounded(_ run: Run) -> [String: Double] {
        Dictionary(
            compared(run).map { ($0.row.key, ($0.ratio * 10_000).rounded() / 10_000) },
            uniquingKeysWith: { $1 }
        )
    }

    private func write(_ ratios: Stored, to file: URL) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(ratios).write(to: file)
    }

    /// A contest's rounds so far.
    private struct Run {
        let contest: Contest
        var samples: [String: [Sample]] = [:]
        var rounds = 0
        /// Those of them that nobody disturbed, and the others' samples in case that there are too few.
        var quiet = 0
        var disturbed: [String: [Sample]] = [:]

        init(_ contest: Contest) { self.contest = contest }

        var isQuiet: Bool { quiet >= Quick.fewest && quiet * 2 >= rounds }

        var usable: [String: [Sample]] { isQuiet ? samples : disturbed }
    }

    /// What the calibrating loop takes here while nobody disturbs.
    private func quietCalibration() throws -> Double { try (1...60).map { _ in try calibrate() }.sorted()[6] }

    private func calibrate() throws -> Double {
        try arena.measure(
            Subject("", .c, "c-acquire"),
            Contest("snapshot-read", "", ["writer=none", "ms=20"], [], [])
        ).ns
    }

    /// Some more rounds.
    private func add(_ run: inout Run, _ calibration: Double) throws {
        var before = try calibrate()
        for _ in 0..<arena.rounds {
            let samples = try arena.round(run.rounds, of: run.contest)
            let after = try calibrate()
            run.rounds += 1
            if max(before, after) <= calibration * Self.disturbed {
                run.quiet += 1
                for (label, sample) in samples { run.samples[label, default: []].append(sample) }
            } else {
                for (label, sample) in samples { run.disturbed[label, default: []].append(sample) }
            }
            before = after
        }
    }

    private func hold(against stored: Stored) throws -> ([Run], isGood: Bool) {
        var undecided = contests.map { Run($0) }
        var decided: [Run] = []
        var isGood = true
        for pass in 1...Self.passes.most {
            for index in undecided.indices { try add(&undecided[index], stored.calibration) }
            undecided = undecided.filter { run in
                let slowdowns = slowdowns(run, stored.ratios)
                let isDecided =
                    pass == Self.passes.most
                    || run.isQuiet
                        && slowdowns.allSatisfy {
                            (pass >= Self.passes.toHold && $0.factor <= Self.clear.fine)
                                || (pass >= Self.passes.toFail && $0.factor > Self.clear.worse)
                        }
                if isDecided {
                    isGood = judge(run, slowdowns) && isGood
                    decided.append(run)
                }
                return !isDecided
            }
        }
        return (decided, isGood)
    }

    private func judge(_ run: Run, _ slowdowns: [(subject: String, factor: Double)]) -> Bool {
        let name = "\(run.contest.name), \(run.contest.threads) threads"
        print(Text.table(arena.rows(run.contest, run.usable), titled: name))
        var isGood = true
        for (subject, factor) in slowdowns {
            let isWorse = factor > (run.isQuiet ? Self.tolerance : Self.wideTolerance)
            let verdict = isWorse ? "WORSE" : run.isQuiet ? "held" : "disturbed, held loosely"
            let amount = factor.isFinite ? String(format: "%+.0f %%", (factor - 1) * 100) : "nothing stored"
            print("\(verdict): \(name), \(subject): \(amount) (\(run.quiet) of \(run.rounds) rounds undisturbed)")
            if isWorse { isGood = false }
        }
        return isGood
    }

    /// By which factor each subject has become slower than when its ratios were stored. Something of ours that becomes
    /// slower does so against every anchor; where one of them alone says so, that anchor has become faster, or the machine
    /// has moods. So the anchor that sees the least has the word.
    private func slowdowns(_ run: Run, _ stored: [String: Double]) -> [(subject: String, factor: Double)] {
        var subjects: [String] = []
        var least: [String: Double] = [:]
        // One ratio without a stored one would decide nothing, and nobody would see that.
        var missing: Set<String> = []
        for (row, ratio) in compared(run) {
            if !subjects.contains(row.subject) { subjects.append(row.subject) }
            guard let old = stored[row.key] else {
                missing.insert(row.subject)
                continue
            }
            least[row.subject] = min(least[row.subject] ?? .infinity, ratio / old)
        }
        return subjects.map { ($0, missing.contains($0) ? .infinity : least[$0] ?? .infinity) }
    }

    /// The rows that compare, with the median of the rounds' ratios.
    private func compared(_ run: Run) -> [(row: Row, ratio: Double)] {
        arena.rows(run.contest, run.usable)
            .compactMap { row in row.ratio.map { (row, $0) } }
    }
}

import BenchKit
import Foundation

/// Holds the ladder against the best of their kinds.
///
/// Exit status: 0 when all goals are met, 1 when one is missed or a stored ratio got worse, 2 when something broke, 64
/// when it was called wrongly.
@main
struct Main {
    static let usage = """
        usage: LadderBench measure PROGRAMS RESULTS [MEASURE...]
                   all, or only the contests whose names begin with one of these; figures into RESULTS
               LadderBench quick PROGRAMS STORED [--store] [--now=FILE] [MEASURE...]
                   a subset, held against the ratios in STORED, or written to it; FILE gets those of this run
               LadderBench figures RESULTS ROOT [--check]
                   pictures and tables of the documentation below ROOT, made from a run's results, or compared

        BENCH_PLANTED=15 makes everything of ours 15 % slower, to see whether that is noticed.
        """

    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            guard arguments.count >= 3 else { throw Misuse() }
            let first = URL(filePath: arguments[1])
            let second = URL(filePath: arguments[2])
            let rest = Array(arguments.dropFirst(3))
            let isGood =
                switch arguments[0] {
                case "measure": try measure(first, second, only: rest)
                case "quick": try Quick(arena(first, rounds: 9, milliseconds: 60), stored: second, only: rest).run()
                case "figures":
                    try Figures.make(from: Results(from: first), below: second, onlyChecking: rest == ["--check"])
                default: throw Misuse()
                }
            exit(isGood ? 0 : 1)
        } catch is Misuse {
            FileHandle.standardError.write(Data("\(usage)\n".utf8))
            exit(64)
        } catch {
            FileHandle.standardError.write(Data("LadderBench: \(error)\n".utf8))
            exit(2)
        }
    }

    private struct Misuse: Error {}

    static func programs(in directory: URL) -> [Program: URL] {
        Dictionary(uniqueKeysWithValues: Program.allCases.map { ($0, directory.appending(path: $0.rawValue)) })
    }

    private static func arena(_ programs: URL, rounds: Int, milliseconds: Int) -> Arena {
        let planted = ProcessInfo.processInfo.environment["BENCH_PLANTED"]
        return Arena(
            programs: Main.programs(in: programs),
            rounds: rounds,
            milliseconds: milliseconds,
            planted: planted
        )
    }

    private static func measure(_ programs: URL, _ directory: URL, only wanted: [String]) throws -> Bool {
        let arena = arena(programs, rounds: 7, milliseconds: 120)
        if arena.planted != nil { print("PLANTED: these figures are not the ladder's") }
        var results = Results(machine: try Machine())
        var wrong = 0
        func isWanted(_ name: String) -> Bool { wanted.isEmpty || wanted.contains { name.hasPrefix($0) } }
        guard Plan.full.contains(where: { isWanted($0.name) }) || isWanted("growth") || isWanted("accounting") else {
            print("no contest's name begins with any of: \(wanted.joined(separator: " "))")
            throw Misuse()
        }
        for contest in Plan.full where isWanted(contest.name) {
            let samples: [String: [Sample]]
            do {
                samples = try arena.run(contest)
            } catch {
                // The others' figures are not lost with this one's.
                print("WRONG: \(contest.name), \(contest.threads) threads: \(error)")
                wrong += 1
                continue
            }
            let rows = arena.rows(contest, samples)
            results.rows += rows
            print(Text.table(rows, titled: "\(contest.name), \(contest.threads) threads"))
            if contest.measure == "counter" {
                if let misses = try CacheMisses.row(arena) {
                    results.rows.append(misses)
                    print(Text.table([misses], titled: misses.case))
                } else {
                    print("cache misses: perf cannot count them here")
                }
            }
            if contest.name == "rw-read 1khz" && contest.threads == 1 {
                for (label, samples) in samples {
                    results.histograms[label] = Histogram.merged(samples.compactMap { $0.extra?.histogram })
                }
                print(Histogram.text(results.histograms))
            }
        }
        if isWanted("growth") {
            results.growth = try Growth.measure(Main.arena(programs, rounds: 5, milliseconds: 60))
            print(Text.growth(results.growth))
        }
        if isWanted("accounting") {
            results.rows += try Plan.countedInPairs.flatMap { arena.rows($0, try arena.run($0)) }
            do { results.rows += try Counting.rows(arena) } catch {
                print("WRONG: instruction counts: \(error)")
                wrong += 1
            }
            let counted = results.rows.filter { $0.goalId == "P9" || $0.figure == .instructions }
            print(Text.table(counted, titled: "what counting costs"))
        }
        try results.write(to: directory)
        print(Text.ladder(results))
        print(Text.verdict(results.rows))
        if wrong > 0 { throw Arena.Broken(description: "\(wrong) contests did not come to an end") }
        return results.rows.allSatisfy { $0.met != false }
    }
}

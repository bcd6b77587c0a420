import BenchKit
import Foundation

/// Runs the subjects of a contest in turn, each in a process of its own.
struct Arena {
    var programs: [Program: URL]
    let rounds: Int
    /// How long one measured phase takes.
    let milliseconds: Int
    /// Given to what is compared with others alone: a slowdown that the bench has to notice.
    var planted: String?

    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    /// The samples of each subject by label; those of the same number were taken right after each other.
    func run(_ contest: Contest) throws -> [String: [Sample]] {
        var samples: [String: [Sample]] = [:]
        let count = contest.rounds.map { max($0, rounds) } ?? rounds
        for round in 0..<count {
            for (label, sample) in try self.round(round, of: contest) { samples[label, default: []].append(sample) }
        }
        return samples
    }

    /// One sample of each subject, by label.
    func round(_ number: Int, of contest: Contest) throws -> [String: Sample] {
        var samples: [String: Sample] = [:]
        // Who comes first changes: it may pay for what the one before it left behind.
        for index in contest.subjects.indices {
            let subject = contest.subjects[(index + number) % contest.subjects.count]
            samples[subject.label] = try measure(subject, contest)
        }
        return samples
    }

    func measure(_ subject: Subject, _ contest: Contest) throws -> Sample {
        guard let program = programs[subject.program] else {
            throw Broken(description: "no \(subject.program.rawValue)")
        }
        var arguments = [contest.measure, subject.name, "threads=\(subject.threads ?? contest.threads)"]
        if !contest.options.contains(where: { $0.hasPrefix("ms=") }) { arguments.append("ms=\(milliseconds)") }
        arguments += contest.options + subject.options
        if let planted, contest.comparisons.contains(where: { $0.subject == subject }) {
            arguments.append("planted=\(planted)")
        }
        let output = try Tools.run(program, arguments)
        do {
            return try JSONDecoder().decode(Sample.self, from: output)
        } catch {
            let command = ([program.path] + arguments).joined(separator: " ")
            throw Broken(description: "\(command)\nprinted no result: \(String(decoding: output, as: UTF8.self))")
        }
    }

    /// The rows of a contest: one for each comparison, and one for each subject that none of them is about.
    func rows(_ contest: Contest, _ samples: [String: [Sample]]) -> [Row] {
        var rows = contest.comparisons.compactMap { comparison -> Row? in
            guard let ours = samples[comparison.subject.label] else { return nil }
            return Row(contest, comparison, ours, comparison.anchor.flatMap { samples[$0.label] })
        }
        let compared = Set(contest.comparisons.map(\.subject))
        for subject in contest.subjects where !compared.contains(subject) {
            guard let own = samples[subject.label] else { continue }
            rows.append(Row(contest, Comparison(subject), own, nil))
        }
        return rows
    }
}

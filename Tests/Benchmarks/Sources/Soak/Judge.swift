import BenchKit
import Foundation

/// Says whether a figure stays where it is, and whether anything was done at all.
struct Judge {
    /// One figure over the first life, from its warm-up on.
    struct Flatness: Codable {
        let name: String
        let unit: String
        let samples: Int
        /// Seconds over which it was looked at.
        let seconds: Double
        /// Of the first third and of the last one.
        let first: Double
        let last: Double
        let highest: Double
        /// By Theil and Sen: the median of the slopes between all pairs, as growth over the whole time.
        let trend: Double
        let tolerance: Double
        let isFlat: Bool
    }

    struct Exercise: Codable {
        let what: String
        let count: Int
        let minimum: Int
        var isEnough: Bool { count >= minimum }
    }

    let plan: Plan

    // MARK: Flatness

    func flatness(_ samples: [Sampler.Sample]) -> [Flatness] {
        let window = window(samples)
        let memory = plan.memoryTolerance
        func judge(
            _ name: String,
            _ unit: String,
            _ least: Double,
            _ share: Double,
            _ part: Double,
            _ figure: (Sampler.Sample) -> Double
        ) -> Flatness {
            flatness(name, unit, window.map { ($0.at, figure($0)) }, least: least, share: share, part: part)
        }
        return [
            judge("memory, anonymous", "MiB", memory.megabytes, memory.share, 0.5, \.anonymous),
            judge("memory, resident", "MiB", memory.megabytes, memory.share, 0.5, \.resident),
            // Those of clients that come in crowds are left out by looking at the quieter samples.
            judge("descriptors", "", 6, 0.1, 0.25, \.descriptors),
            judge("threads", "", 2, 0, 0.5, \.threads),
            judge("snapshots in memory", "", 2, 0, 0.5, \.snapshots),
            judge("state directory", "KiB", 512, 0.3, 0.5, \.stored),
        ]
    }

    /// The first life, once it is warm.
    func window(_ samples: [Sampler.Sample]) -> [Sampler.Sample] {
        let life = samples.filter { $0.life == 1 }
        let isWarm = life.first { $0.generation >= plan.warmUpGenerations }?.at ?? .infinity
        let begin = min(max(isWarm, plan.warmUp.lowerBound), plan.warmUp.upperBound)
        return life.filter { $0.at >= begin && $0.at < plan.firstLife }
    }

    /// - Parameters:
    ///   - part: which part of the samples of a third lies below the value that stands for it.
    ///   - share: of the first third's value, tolerated where it is more than `least`.
    private func flatness(
        _ name: String,
        _ unit: String,
        _ points: [(at: Double, value: Double)],
        least: Double,
        share: Double,
        part: Double
    ) -> Flatness {
        let third = points.count / 3
        let values = points.map(\.value)
        let first = Statistics.quantile(part, of: Array(values.prefix(third)))
        let last = Statistics.quantile(part, of: Array(values.suffix(third)))
        let seconds = (points.last?.at ?? 0) - (points.first?.at ?? 0)
        let trend = Self.slope(points) * seconds
        let tolerance = max(least, share * first)
        // Something that leaks shows in both; a burst at the wrong time in one.
        let isFlat = points.count >= 8 && (last - first <= tolerance || trend <= tolerance)
        return Flatness(
            name: name,
            unit: unit,
            samples: points.count,
            seconds: seconds,
            first: first,
            last: last,
            highest: values.max() ?? 0,
            trend: trend,
            tolerance: tolerance,
            isFlat: isFlat
        )
    }

    private static func slope(_ points: [(at: Double, value: Double)]) -> Double {
        // Of many points every so-manieth will do: pairs grow with the square.
        let step = max(1, points.count / 400)
        let some = stride(from: 0, to: points.count, by: step).map { points[$0] }
        var slopes: [Double] = []
        for (index, left) in some.enumerated() {
            for right in some[(index + 1)...] where right.at > left.at {
                slopes.append((right.value - left.value) / (right.at - left.at))
            }
        }
        return Statistics.median(slopes)
    }

    // MARK: Exercise

    func exercises(
        faults: [Chaos.Mark],
        verbs: [Operator.Mark],
        ends: [Lives.Mark],
        hasEtcd: Bool,
        counters: Counters
    ) -> [Exercise] {
        var all: [Exercise] = []
        for kind in FaultKind.allCases where hasEtcd || kind != .away {
            let count = faults.count { $0.kind == kind.rawValue }
            all.append(Exercise(what: "fault \(kind.rawValue)", count: count, minimum: plan.minimum))
        }
        for verb in Operator.verbs {
            all.append(Exercise(what: verb, count: verbs.count { $0.verb == verb }, minimum: plan.minimum))
        }
        for how in ["killed", "stopped"] {
            all.append(Exercise(what: how, count: ends.count { $0.how == how }, minimum: plan.minimum))
        }
        let seconds = Int(plan.seconds)
        return all + [
            Exercise(what: "reads", count: counters.reads.load(ordering: .relaxed), minimum: seconds * 20),
            Exercise(what: "events to watchers", count: counters.events.load(ordering: .relaxed), minimum: seconds),
            Exercise(
                what: "documents on demand",
                count: counters.documents.load(ordering: .relaxed),
                minimum: seconds / 2
            ),
            Exercise(what: "looks at status", count: counters.scrapes.load(ordering: .relaxed), minimum: seconds),
            Exercise(
                what: "hostile crowds",
                count: counters.hostilities.load(ordering: .relaxed),
                minimum: max(1, seconds / 60)
            ),
        ]
    }

    /// A promise that was never looked at holds for nobody.
    func exercises(_ promises: Promises) -> [Exercise] {
        Promise.allCases.map {
            Exercise(what: "checked: \($0.rawValue)", count: promises.count($0).checked, minimum: 1)
        }
    }
}

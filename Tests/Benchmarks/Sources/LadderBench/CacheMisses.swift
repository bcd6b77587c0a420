import BenchKit
import Foundation

/// What false sharing does to the caches, where `perf` can count that: few virtual machines let it.
enum CacheMisses {
    /// Of each hundred operations on counters side by side, and on counters with lines of their own, how many miss.
    ///
    /// - Returns: `nil` where the processor's counters are out of reach.
    static func row(_ arena: Arena) throws -> Row? {
        guard let adjacent = try misses(arena, layout: "adjacent"), let padded = try misses(arena, layout: "padded")
        else { return nil }
        return Row(
            "counter cache misses",
            "adjacent",
            .cacheMisses,
            adjacent,
            against: ("ladder, padded", padded),
            nil
        )
    }

    private static func misses(_ arena: Arena, layout: String) throws -> Double? {
        guard let program = arena.programs[.swift]?.path else { throw Arena.Broken(description: "no ladder-subjects") }
        let file = FileManager.default.temporaryDirectory.appending(path: "misses.\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let perf = ["stat", "-x", ",", "-e", "cache-misses", "-o", file.path, program]
        let counter = ["counter", "ladder", "threads=2", "layout=\(layout)", "ms=200"]
        let output = try? Tools.run(URL(filePath: "/usr/bin/perf"), perf + counter)
        guard let output, let sample = try? JSONDecoder().decode(Sample.self, from: output), let ops = sample.ops else {
            return nil
        }
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        // `<not supported>` is no number.
        guard let line = lines.first(where: { $0.contains("cache-misses") }),
            let count = line.split(separator: ",").first.flatMap({ Double($0) })
        else { return nil }
        return 100 * count / ops
    }
}

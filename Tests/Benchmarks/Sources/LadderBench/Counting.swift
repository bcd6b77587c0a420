import BenchKit
import Foundation

/// Instructions: what the accounting costs, and the snapshot read beside a plain load. Counted by callgrind, and so the
/// same whoever else uses the machine, but for what a program does before and after its loop.
enum Counting {
    static func rows(_ arena: Arena) throws -> [Row] {
        let directory = FileManager.default.temporaryDirectory.appending(path: "counting-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        var arena = arena
        for (program, path) in arena.programs where [.swift, .swiftNotCounting, .c].contains(program) {
            // Debian's valgrind does not understand how Swift describes its programs to debuggers.
            let stripped = directory.appending(path: program.rawValue)
            _ = try Tools.run(URL(filePath: "/usr/bin/strip"), ["-g", "-o", stripped.path, path.path])
            arena.programs[program] = stripped
        }
        let read = Row(
            "snapshot-read instructions",
            "ladder, reader handle",
            .instructions,
            try instructions(arena, .swift, ["snapshot-read", "handle"]),
            against: ("C acquire load", try instructions(arena, .c, ["snapshot-read", "c-acquire"])),
            nil
        )
        let paths = try Plan.countedPaths.map { measure, name, options in
            let on = try instructions(arena, .swift, [measure, name] + options)
            let off = try instructions(arena, .swiftNotCounting, [measure, name] + options)
            return Row(
                "\(measure) instructions",
                "counting \(name)",
                .instructions,
                on,
                against: ("accounting compiled out", off),
                .atMost(1.02, "P9")
            )
        }
        return [read] + paths
    }

    /// Instructions per operation: twice as many operations take that many more. A few thousand are exact enough, as
    /// nothing here is left to chance, and many would take longer than the programs give themselves.
    private static func instructions(_ arena: Arena, _ program: Program, _ arguments: [String]) throws -> Double {
        let few = try count(arena, program, arguments, operations: 2_048)
        let many = try count(arena, program, arguments, operations: 4_096)
        return (many - few) / 2_048
    }

    private static func count(_ arena: Arena, _ program: Program, _ arguments: [String], operations: Int) throws
        -> Double
    {
        guard let path = arena.programs[program]?.path else {
            throw Arena.Broken(description: "no \(program.rawValue)")
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "callgrind.\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let valgrind = [
            "--tool=callgrind", "--quiet", "--callgrind-out-file=\(file.path)", path,
        ]
        _ = try Tools.run(URL(filePath: "/usr/bin/valgrind"), valgrind + arguments + ["count=\(operations)"])
        let text = try String(contentsOf: file, encoding: .utf8)
        for line in text.split(separator: "\n") where line.hasPrefix("summary:") || line.hasPrefix("totals:") {
            if let total = line.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) { return total }
        }
        throw Arena.Broken(description: "callgrind wrote no total for \(arguments.joined(separator: " "))")
    }
}

import BenchKit
import Foundation

/// What a run was measured on.
struct Machine: Codable, Equatable {
    let processor: String
    let processors: Int
    let kernel: String
    let swift: String
    /// The revision that was measured, and the day.
    let revision: String
    let day: String

    init() throws {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        func field(_ name: String) -> String {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
            return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "?"
        }
        processor = "\(field("model name")) (family \(field("cpu family")), model \(field("model")))"
        processors = ProcessInfo.processInfo.activeProcessorCount
        kernel = Self.said(by: ["uname", "-r"])
        swift = Self.said(by: ["swift", "--version"]).split(separator: "\n").first.map(String.init) ?? "?"
        revision = Self.said(by: ["git", "describe", "--always", "--dirty"])
        day = Self.said(by: ["date", "-u", "+%Y-%m-%d"])
    }

    private static func said(by command: [String]) -> String {
        let output = try? Tools.run(URL(filePath: "/usr/bin/env"), command)
        return String(decoding: output ?? Data(), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// A run's files, side by side: `ladder.json` holds the rows, the others what a table or a picture needs besides.
struct Results {
    var rows: [Row] = []
    var growth: [Growth] = []
    /// Single reads of the read-write locks under a mixed load, by subject: nanoseconds up to, and how many.
    var histograms: [String: [[Double]]] = [:]
    var machine: Machine

    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return encoder
    }()

    func write(to directory: URL) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Self.encoder.encode(rows).write(to: directory.appending(path: "ladder.json"))
        try Self.encoder.encode(growth).write(to: directory.appending(path: "growth.json"))
        try Self.encoder.encode(histograms).write(to: directory.appending(path: "histograms.json"))
        try Self.encoder.encode(machine).write(to: directory.appending(path: "machine.json"))
    }

    init(machine: Machine) { self.machine = machine }

    init(from directory: URL) throws {
        func read<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(contentsOf: directory.appending(path: name)))
        }
        rows = try read("ladder.json", as: [Row].self)
        growth = try read("growth.json", as: [Growth].self)
        histograms = try read("histograms.json", as: [String: [[Double]]].self)
        machine = try read("machine.json", as: Machine.self)
    }
}

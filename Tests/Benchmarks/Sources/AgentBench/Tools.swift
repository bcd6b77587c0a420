import BenchKit
import Foundation

extension Tools {
    /// Milliseconds from start to end.
    static func timed(_ program: URL, _ arguments: [String]) throws -> Double {
        let begin = Figures.now
        _ = try run(program, arguments)
        return Double(Figures.now - begin) / 1e6
    }

    /// Requests per second that h2load gets from a Unix socket over 8 kept connections.
    static func load(socket: String, path: String, requests: Int) throws -> Double {
        let output = try run(
            URL(filePath: "/usr/bin/h2load"),
            ["-n", "\(requests)", "-c8", "-t1", "--h1", "--base-uri=unix:\(socket)", "http://localhost\(path)"]
        )
        let text = String(decoding: output, as: UTF8.self)
        guard text.contains(" \(requests) succeeded, 0 failed") else {
            throw Agent.Failure(description: "not every request succeeded:\n\(text)")
        }
        let line = text.split(separator: "\n").first { $0.hasPrefix("finished in") } ?? ""
        let words = line.split(separator: " ")
        guard let unit = words.firstIndex(of: "req/s,"), let rate = Double(words[unit - 1]) else {
            throw Agent.Failure(description: "h2load does not tell its rate:\n\(text)")
        }
        return rate
    }
}

import Foundation

/// Programs run for what they print.
enum Tools {
    /// Not by Foundation's Process: it takes tens of milliseconds to see that a program has ended, whatever program.
    static func run(_ program: URL, _ arguments: [String]) throws -> Data {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Agent.Failure(description: "no pipe") }
        let output = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        let words: [UnsafeMutablePointer<CChar>?] = ([program.path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let started = posix_spawn(&pid, program.path, &actions, nil, words, environ)
        close(ends[1])
        guard started == 0 else { throw Agent.Failure(description: "cannot start \(program.path)") }
        let data = try output.readToEnd() ?? Data()
        var status: Int32 = 0
        guard waitpid(pid, &status, 0) == pid, status == 0 else {
            throw Agent.Failure(description: "\(program.lastPathComponent) ended with \(status >> 8)")
        }
        return data
    }

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

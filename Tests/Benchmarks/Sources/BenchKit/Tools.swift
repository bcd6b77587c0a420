import Foundation

/// Programs run for what they print.
public enum Tools {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }

    /// Not by Foundation's Process: it takes tens of milliseconds to see that a program has ended, whatever program.
    public static func run(_ program: URL, _ arguments: [String]) throws -> Data {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe") }
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
        guard started == 0 else { throw Failure(description: "cannot start \(program.path)") }
        let data = try output.readToEnd() ?? Data()
        var status: Int32 = 0
        guard waitpid(pid, &status, 0) == pid, status == 0 else {
            throw Failure(description: "\(program.lastPathComponent) ended with \(status >> 8)")
        }
        return data
    }
}

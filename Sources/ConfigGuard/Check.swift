internal import Glibc

/// A command that looks at a source's documents, in a sandbox, and says whether they may be used.
package struct Check: Sendable, Hashable {
    /// Stands for the path by which the command can open the document; it has it on its standard input, too.
    package static let staged = "{staged}"
    /// What stands in its place.
    package static let stagedPath = "/proc/self/fd/0"

    /// The program, by its whole path, and its arguments.
    package var command: [String]
    /// How long it may take. A command that takes longer is killed, and has said no.
    package var timeoutMilliseconds: Int

    package init(command: [String], timeoutMilliseconds: Int = 10_000) {
        self.command = command
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Bytes of private memory that each of its processes may have, and how many they may be.
    package static let memory = 256 << 20
    package static let tasks = 32
    /// For the longest command line, and the most of what it says that anybody reads.
    package static let longestCommand = 16 << 10
    package static let longestOutput = 8 << 10

    /// What is wrong with the program as far as its name in the file system says; `nil` where nothing is. Whoever runs
    /// it may see less of the system than whoever asks.
    package var problem: String? {
        guard let program = command.first else { return "names no program" }
        var facts = stat()
        guard stat(program, &facts) == 0 else { return "\(program): \(String(cString: strerror(errno)))" }
        if Self.isDirectory(program) { return "\(program) is a directory" }
        return facts.st_mode & 0o111 == 0 ? "\(program) may be executed by nobody: chmod a+rx it" : nil
    }

    package static func isDirectory(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }
}

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
}

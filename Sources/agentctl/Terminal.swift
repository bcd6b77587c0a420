internal import AgentctlKit
internal import ArgumentParser
internal import Glibc

/// Where output goes.
enum Terminal {
    /// The variable's value; `nil` when it is unset or empty.
    static func environment(_ name: String) -> String? {
        // SAFETY: copied at once, in a program of one thread that never changes its environment.
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// The style for standard output.
    static var style: TextStyle {
        var size = winsize()
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let isSized = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return TextStyle(
            columns: isTerminal ? (isSized ? Int(size.ws_col) : 80) : nil,
            noColour: environment("NO_COLOR"),
            terminal: environment("TERM")
        )
    }

    static func print(_ text: String) throws { try print(Array(text.utf8)) }

    /// Writes all of `bytes` to standard output.
    static func print(_ bytes: [UInt8]) throws {
        guard write(bytes, to: STDOUT_FILENO) else {
            throw Problem("cannot write to standard output: \(SystemError.text(errno))", exit: .unknown)
        }
    }

    /// Says what is wrong, and ends with the exit status that goes with it.
    static func exitCode(for problem: Problem) -> ExitCode {
        _ = write(Array((problem.text + "\n").utf8), to: STDERR_FILENO)
        return ExitCode(problem.exit.rawValue)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            // SAFETY: the pointer is used only during the call, for as many bytes as there are.
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}

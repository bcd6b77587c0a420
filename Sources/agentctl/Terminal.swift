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

    /// The size of the terminal that standard output is; `nil` when it is none.
    static var size: (columns: Int, rows: Int)? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
        return (
            isKnown && size.ws_col > 0 ? Int(size.ws_col) : 80, isKnown && size.ws_row > 0 ? Int(size.ws_row) : 24
        )
    }

    /// The style for standard output.
    static var style: TextStyle {
        TextStyle(
            columns: size?.columns,
            noColour: environment("NO_COLOR"),
            terminal: environment("TERM"),
            locale: environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG")
        )
    }

    static func print(_ text: String) throws { try print(Array(text.utf8)) }

    /// Writes all of `bytes` to standard output.
    static func print(_ bytes: [UInt8]) throws {
        guard write(bytes, to: STDOUT_FILENO) else {
            throw Problem("cannot write to standard output: \(SystemError.text(errno))", exit: .unknown)
        }
    }

    /// Writes JSON and one newline, whether it ends with some already or not: an answer of the agent's does.
    static func print(json: [UInt8]) throws {
        let newline = UInt8(ascii: "\n")
        let end = json.lastIndex { $0 != newline }.map { $0 + 1 } ?? 0
        try print(json[..<end] + [newline])
    }

    /// Says something beside the output.
    static func note(_ text: String) { _ = write(Array((text + "\n").utf8), to: STDERR_FILENO) }

    /// Says what is wrong, and ends with the exit status that goes with it.
    static func exitCode(for problem: Problem) -> ExitCode {
        note(problem.text)
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

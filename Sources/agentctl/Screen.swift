internal import Glibc

/// The terminal's second screen, which leaves the first as it was.
///
/// Signals that end the program, and the one that stops it, give the terminal back first.
enum Screen {
    static func enter() {
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            _ = Glibc.signal(signal) { number in
                Screen.send(Screen.leaving)
                // As if nobody had caught it: whoever waits for this program sees what ended it.
                _ = Glibc.signal(number, SIG_DFL)
                _ = raise(number)
            }
        }
        _ = Glibc.signal(SIGTSTP) { _ in
            Screen.send(Screen.leaving)
            _ = raise(SIGSTOP)
            // Here it goes on, in the foreground again.
            Screen.send(Screen.entering)
        }
        send(entering)
    }

    static func leave() { send(leaving) }

    /// Replaces what is shown. Lines that do not fit are cut off at the right and at the bottom.
    static func show(_ text: String) throws {
        let rows = Terminal.size?.rows ?? 24
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows)
        // Each line overwrites the old one and clears its rest; then all below is cleared. Nothing flickers.
        let cleared = lines.map { "\($0)\u{1B}[K" }.joined(separator: "\n")
        try Terminal.print("\u{1B}[H\(cleared)\u{1B}[J")
    }

    // Literals, so that a signal handler may use them: nothing is made when they are read.

    /// The second screen, without a cursor and without wrapping lines.
    private static var entering: StaticString { "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l" }
    private static var leaving: StaticString { "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l" }

    private static func send(_ sequence: StaticString) {
        // Whether it succeeds makes no difference: a terminal that is gone needs nothing.
        _ = write(STDOUT_FILENO, sequence.utf8Start, sequence.utf8CodeUnitCount)
    }
}

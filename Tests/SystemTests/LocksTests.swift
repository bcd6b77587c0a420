internal import Foundation
import TestSupport
import Testing

@Suite("Locks laid open")
struct LocksTests {
    private func agent() throws -> AgentProcess {
        let directory = try TemporaryDirectory()
        let file = try directory.write("app.json", document(1))
        return try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(file)")]))
    }

    private func watch(_ agent: AgentProcess, _ arguments: String...) -> [String] {
        [AgentProcess.path(of: "agentctl"), "--runtime-dir", agent.runtimeDirectory, "locks"] + arguments
    }

    // MARK: Watching

    @Test("Into a pipe: a table each time, with its time, apart by an empty line; no escape sequence")
    func tables() throws {
        let agent = try agent()
        let text = try Program.check(watch(agent, "--watch=100ms", "--count", "3"))
        #expect(!text.contains("\u{1B}"))
        let tables = text.components(separatedBy: "\n\n")
        #expect(tables.count == 3)
        let time = #/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  .+/#
        for table in tables {
            let first = try #require(table.split(separator: "\n").first)
            #expect(first.wholeMatch(of: time) != nil, "\(first)")
        }
        #expect(tables[0].contains("ACQUIRED ") && tables[1].contains("ACQUIRED/S") && tables[2].contains("PARKS/S"))
        // Asking takes locks itself.
        #expect(tables[2].contains("contention.registry"))
    }

    @Test("As JSON: a document a line, each as the schema says")
    func documents() throws {
        let agent = try agent()
        let text = try Program.check(watch(agent, "-o", "json", "--watch=100ms", "--count", "3"))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 4 && lines.last?.isEmpty == true)
        for line in lines.dropLast() {
            let report = try JSONValue(parsing: String(line))
            #expect(report["accounting"].bool == true)
            #expect(report["locks"].array.isEmpty == false)
        }
    }

    @Test("A restart of the agent is told, and the watch goes on")
    func restart() throws {
        let agent = try agent()
        let watch = try Program(watch(agent, "--watch=100ms"))
        defer { watch.stop() }
        func isTold(_ words: String) -> Bool { watch.standardOutput.contains(words) }
        try waitUntil("changes") { isTold("ACQUIRED/S") }
        agent.program.stop()
        try waitUntil("the absence") { isTold("the agent does not answer, asking again: ") }
        let next = try AgentProcess(after: agent)
        try next.waitUntilReady()
        try waitUntil("the restart") { isTold("the agent has restarted and counts from the start\nLOCK") }
        let lines = watch.standardOutput.components(separatedBy: "\n")
        let above = lines.prefix { !$0.hasPrefix("the agent has restarted") }.last
        #expect(above?.contains(" UTC  totals since ") == true, "\(above ?? "")")
        let length = watch.standardOutput.count
        try waitUntil("more changes") { watch.standardOutput.dropFirst(length).contains("ACQUIRED/S") }
        #expect(watch.isRunning)
        #expect(watch.standardOutput.components(separatedBy: "does not answer").count == 2, "told once")
    }

    @Test("What makes no sense together is refused")
    func refused() throws {
        let agent = try agent()
        for arguments in [
            ["--watch=1ms"], ["--watch=soon"], ["--watch="], ["--count", "1"], ["--watch", "--histogram"],
        ] {
            #expect(try Program.run(watch(agent) + arguments).code == 64, "\(arguments)")
        }
        agent.program.stop()
        #expect(try Program.run(watch(agent, "--watch")).code == 3, "an agent that never was there is not waited for")
    }

    /// Runs a command in a terminal of its own, of 80 columns and 24 lines, until it has drawn for the third time; then
    /// sends the character that is given. Prints how the command ended, and then what it had written.
    private static let terminal = """
        import fcntl, os, pty, select, struct, sys, termios, time
        key, command = sys.argv[1].encode().decode("unicode_escape").encode(), sys.argv[2:]
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(command[0], command)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        written, is_sent, end = b"", False, time.monotonic() + 30
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                written += data
            if not is_sent and written.count(b"\\x1b[H") >= 3:
                os.write(terminal, key)
                is_sent = True
        else:
            os.kill(pid, 9)
        status = os.waitpid(pid, 0)[1]
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)
        sys.stdout.buffer.write(written)
        """

    @Test("On a terminal one page is drawn again and again, and Ctrl-C leaves no trace of it")
    func screen() throws {
        let agent = try agent()
        let output = try Program.run(
            ["/usr/bin/python3", "-c", Self.terminal, "\\x03"] + watch(agent, "--watch=100ms"),
            environment: ["TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": ""]
        )
        let parts = output.standardOutput.split(separator: "\n", maxSplits: 1)
        #expect(parts.first == "\(SIGINT)", "\(output)")
        let written = try #require(parts.last.map(String.init))
        let entered = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l"
        let left = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"
        // Nothing before the second screen, nothing after it; the cursor is there again, lines wrap again.
        #expect(written.hasPrefix(entered))
        #expect(written.hasSuffix(left))
        #expect(written.components(separatedBy: "\u{1B}[?1049h").count == 2)
        let frames = written.components(separatedBy: "\u{1B}[H").dropFirst()
        #expect(frames.count >= 3)
        for frame in frames.dropLast() {
            #expect(frame.hasSuffix("\u{1B}[J"))
            let lines = frame.components(separatedBy: "\r\n")
            #expect(lines.count <= 24, "no more than the terminal shows")
            #expect(lines.dropLast().allSatisfy { $0.hasSuffix("\u{1B}[K") }, "nothing of an older line stays")
        }
        #expect(frames.dropFirst().first?.contains("ACQUIRED/S") == true)
    }

    // MARK: Probes

    @Test(
        "Programs have the static probes with their arguments",
        arguments: [AgentProcess.path(of: "agentd"), "\(Workspace.root)/.build/release/agentd"]
    )
    func probes(program: String) throws {
        // Whoever runs these tests by hand may not have built the release.
        guard Workspace.isContinuousIntegration || FileManager.default.fileExists(atPath: program) else { return }
        let notes = try Program.check(["readelf", "-n", "--wide", program])
        var arguments: [String: Int] = [:]
        for note in notes.components(separatedBy: "Provider: lockladder\n").dropFirst() {
            let match = try #require(note.firstMatch(of: #/Name: (\w+)\n.*\n *Arguments: (.*)/#), "\(note)")
            arguments[String(match.1)] = match.2.split(separator: " ").count
        }
        #expect(arguments == ["wait_begin": 4, "wait_end": 5, "wake": 1])
    }

    @Test("The script for bpftrace uses the probes there are, and no others")
    func script() throws {
        let script = readText("\(Workspace.root)/packaging/bpftrace/lock-waits.bt")
        let probes = script.matches(of: #/(?m)^usdt:\*:lockladder:(\w+)$/#).map { String($0.1) }
        #expect(probes.sorted() == ["wait_begin", "wait_end", "wake"])
        let makefile = readText("\(Workspace.root)/Makefile")
        #expect(makefile.contains("packaging/bpftrace/lock-waits.bt"))
    }
}

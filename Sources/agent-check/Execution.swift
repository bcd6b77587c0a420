internal import CSandbox
internal import ConfigGuard
internal import ConfigSnapshot
internal import Glibc

/// One command at work on one document, with an end to everything.
struct Execution {
    let question: CheckQuestion
    /// Of the document, for reading.
    let document: Int32
    /// Whoever asked; once nobody is there any more, the command is of no use.
    let connection: Int32
    /// Directories that it must not see, where the sandbox is ours to make.
    let hidden: [String]?

    private enum End {
        case exited(Int32)
        case late
        case tooLarge
        case unwanted
    }

    private static let turnMilliseconds = 20
    /// `POLLRDHUP`, which Glibc does not show.
    private static let hangUp: Int16 = 0x2000

    func run() -> CheckAnswer {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return .notRun("no descriptors left") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        var failure = cs_failure()
        let pid = start(output: ends[1], &failure)
        close(ends[1])
        defer { close(ends[0]) }
        guard pid > 0 else { return NotStarted(failure, program: question.check.command[0]).answer }
        var output: [UInt8] = []
        let end = watch(pid, ends[0], &output)
        let said = CheckAnswer.reasons(in: output)
        let limit = question.check.timeoutMilliseconds
        return switch end {
        case .exited(0): .passed
        case .exited(let status): .refused(said.isEmpty ? [Self.text(status)] : said)
        case .late: .refused(["its check did not end within \(limit) ms and was killed"] + said)
        case .tooLarge: .refused(["its check took more than \(Check.memory >> 20) MiB"] + said)
        case .unwanted: .notRun("nobody waits for the answer")
        }
    }

    private func start(output: Int32, _ failure: inout cs_failure) -> pid_t {
        let words = question.check.command.map { $0.replacing(Check.staged, with: Check.stagedPath) }
        let variables = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
            "AGENT_SOURCE=\(question.source)", "AGENT_FORMAT=\(question.format.rawValue)",
        ]
        // SAFETY: the copies live until the call is over; the program has its own by then.
        let lists = [words, variables, hidden ?? []].map { $0.map { UnsafePointer(strdup($0)) } + [nil] }
        defer { for pointer in lists.joined() { free(UnsafeMutablePointer(mutating: pointer)) } }
        return lists[0].withUnsafeBufferPointer { arguments in
            lists[1].withUnsafeBufferPointer { environment in
                lists[2].withUnsafeBufferPointer { hiding in
                    // None of the lists is empty, for each ends with `nil`.
                    guard let words = arguments.baseAddress, let variables = environment.baseAddress,
                        let directories = hiding.baseAddress
                    else { return -1 }
                    var command = cs_command(
                        arguments: words,
                        environment: variables,
                        input: document,
                        output: output,
                        memory: UInt64(Check.memory),
                        processor: UInt64(question.check.timeoutMilliseconds / 1_000 + 1),
                        tasks: UInt64(Check.tasks),
                        isolates: hidden == nil ? 0 : 1,
                        hidden: directories
                    )
                    return cs_start(&command, &failure)
                }
            }
        }
    }

    /// Waits until it has ended, and sees to it that it does.
    private func watch(_ pid: pid_t, _ pipe: Int32, _ output: inout [UInt8]) -> End {
        let deadline = Self.now + question.check.timeoutMilliseconds
        var isOpen = true
        var forced: End?
        while true {
            var status: Int32 = 0
            var used = rusage()
            let ended = wait4(pid, &status, WNOHANG, &used)
            if ended == pid || (ended < 0 && errno != EINTR) {
                // Those that it has left behind, where no namespace ends with it.
                kill(-pid, SIGKILL)
                take(from: pipe, &output)
                // What one of them had at most is known, also where nobody looked just then.
                if hidden != nil, used.ru_maxrss > Check.memory >> 10 { return forced ?? .tooLarge }
                return forced ?? .exited(ended == pid ? Self.code(status) : 127)
            }
            if forced == nil, let end = reason(pid, deadline) {
                forced = end
                kill(pid, SIGKILL)
                kill(-pid, SIGKILL)
            }
            var polled = pollfd(fd: isOpen ? pipe : -1, events: Int16(POLLIN), revents: 0)
            if poll(&polled, 1, Int32(Self.turnMilliseconds)) > 0 { isOpen = take(from: pipe, &output) }
            // What has closed its output ends at once, most often.
            if !isOpen { usleep(1_000) }
        }
    }

    /// Why it has to end now.
    private func reason(_ pid: pid_t, _ deadline: Int) -> End? {
        if Self.now >= deadline { return .late }
        var polled = pollfd(fd: connection, events: Self.hangUp, revents: 0)
        if poll(&polled, 1, 0) > 0 { return .unwanted }
        // A unit bounds all its processes together by itself.
        if hidden != nil, ProcessTree.bytes(below: pid) > Check.memory { return .tooLarge }
        return nil
    }

    /// - Returns: whether there may be more.
    @discardableResult
    private func take(from pipe: Int32, _ output: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        // Bounded: who writes without end is heard again in the next turn, or never.
        for _ in 0..<64 {
            let count = read(pipe, &chunk, chunk.count)
            if count == 0 { return false }
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            output += chunk[..<min(count, Check.longestOutput - output.count)]
        }
        return true
    }

    private static func code(_ status: Int32) -> Int32 {
        status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    private static func text(_ status: Int32) -> String {
        status > 128 ? "its check was ended by signal \(status - 128)" : "its check ended with status \(status)"
    }

    /// The monotonic clock in milliseconds.
    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    }
}

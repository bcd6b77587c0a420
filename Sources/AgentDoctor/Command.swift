internal import CHost
internal import Glibc

/// A program of this host, run with nothing on its input, a small environment, a time limit and a limit of its output.
struct Command {
    /// What it left.
    struct Output: Sendable {
        /// The exit status; `nil` when a signal or the time limit ended it.
        var status: Int32?
        var bytes: [UInt8]
        /// Whether there was more than was taken.
        var isCut = false

        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    /// Where it may be; the first one that can be run is.
    var candidates: [String]
    var arguments: [String]
    var timeoutMilliseconds = 5_000
    var maxBytes = 1 << 20
    /// Whether what it says to standard error is part of its output.
    var takesErrors = false

    init(_ candidates: [String], _ arguments: [String]) {
        self.candidates = candidates
        self.arguments = arguments
    }

    /// - Returns: `nil` when there is no such program, or it cannot be started.
    func run() -> Output? {
        guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else { return nil }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let started = start(path, output: ends[1])
        close(ends[1])
        defer { close(ends[0]) }
        guard let pid = started else { return nil }
        return collect(from: ends[0], pid)
    }

    /// Nothing of what the caller has in its environment: it may hold anything.
    private static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "SYSTEMD_COLORS=0"]

    private func start(_ path: String, output: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        if takesErrors {
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        guard chost_close_from(&actions, 3) == 0 else { return nil }
        var pid: pid_t = 0
        // SAFETY: the copies live until the call is over; the kernel has its own by then.
        let words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = Self.environment.map { strdup($0) } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        return posix_spawn(&pid, path, &actions, nil, words, variables) == 0 ? pid : nil
    }

    private func collect(from descriptor: Int32, _ pid: pid_t) -> Output {
        let deadline = Self.now + timeoutMilliseconds
        var output = Output(status: nil, bytes: [])
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var isOpen = true
        while isOpen, Self.now < deadline {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, Int32(clamping: max(1, deadline - Self.now))) > 0 else { continue }
            // SAFETY: `read` writes no more than the buffer holds.
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            isOpen = count > 0
            guard isOpen else { break }
            output.isCut = output.isCut || output.bytes.count + count > maxBytes
            output.bytes.append(contentsOf: chunk[..<min(count, maxBytes - output.bytes.count)])
            // More than is wanted: what else it has to say would only take time.
            if output.isCut { break }
        }
        output.status = end(of: pid, by: deadline, isDone: !isOpen)
        return output
    }

    /// Waits until it has ended; one that does not is killed. It may have closed its output long before.
    private func end(of pid: pid_t, by deadline: Int, isDone: Bool) -> Int32? {
        var status: Int32 = 0
        while isDone, Self.now < deadline {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { return status & 0x7F == 0 ? (status >> 8) & 0xFF : nil }
            if ended < 0 && errno != EINTR { return nil }
            usleep(2_000)
        }
        kill(pid, SIGKILL)
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return nil
    }

    /// The monotonic clock in milliseconds.
    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    }
}

public import ConfigAgent
internal import ConfigGuard
internal import Glibc

/// Where there is no systemd to run checks: a program that does, beside this one. For one thread.
public final class CheckHelper {
    /// Why it cannot be had.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public var description: String
    }

    private static let program = "agent-check"
    private static let startMilliseconds: Int32 = 10_000
    private let socket: String
    private var pid: pid_t

    /// Starts it and waits until it listens.
    ///
    /// - Parameters:
    ///   - socket: where it listens; replaced where it is there.
    ///   - directories: what commands must not see.
    public init(socket: String, hiding directories: [String]) throws(Failure) {
        self.socket = socket
        pid = 0
        guard let path = Self.path else {
            throw Failure(description: "\(Self.program), which runs checks, is not beside this program")
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(description: "no descriptors left") }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // Neither others' sockets nor others' terminals.
        let hidden = ["/run", "/dev/pts"] + directories
        let started = Self.start(path, ["--listen", socket] + hidden.flatMap { ["--hide", $0] }, output: ends[1])
        close(ends[1])
        guard let started else { throw Failure(description: "cannot start \(path)") }
        pid = started
        var polled = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
        var byte: UInt8 = 0
        guard poll(&polled, 1, Self.startMilliseconds) > 0, read(ends[0], &byte, 1) == 1 else {
            stop()
            throw Failure(description: "\(path) does not listen at \(socket)")
        }
    }

    deinit { stop() }

    /// What runs the checks of a plan that is not the agent's own: whoever does it for the agent, where somebody listens
    /// there, or else one that is started for it.
    ///
    /// - Parameters:
    ///   - directory: where its socket lies; it is not seen by commands.
    ///   - directories: what they must not see besides.
    /// - Returns: the one that was started.
    public static func serve(
        _ plan: inout AgentPlan,
        in directory: String,
        hiding directories: [String]
    ) throws(Failure) -> CheckHelper? {
        guard plan.hasChecks else { return nil }
        if let socket = plan.checkSocket, CheckClient.isServed(socket) { return nil }
        let socket = directory + "/check.sock"
        plan.checkSocket = socket
        return try CheckHelper(socket: socket, hiding: [directory] + directories)
    }

    /// Whether it is still there. Notices its end.
    public var isRunning: Bool {
        if pid > 0, waitpid(pid, nil, WNOHANG) != 0 { pid = 0 }
        return pid > 0
    }

    /// Ends it, and with it what it runs.
    public func stop() {
        guard isRunning else { return }
        kill(pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
        pid = 0
        unlink(socket)
    }

    /// Beside this program, as it was built, or where it is installed.
    private static var path: String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let own = String(decoding: buffer[..<count], as: UTF8.self)
        let directory = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let candidates = ["\(directory)/\(program)", "\(directory)/../lib/config-agent/\(program)"]
        return candidates.first { access($0, X_OK) == 0 }
    }

    private static func start(_ path: String, _ arguments: [String], output: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        // Signals that this program has blocked to read them are nobody else's.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        // SAFETY: the copies live until the call is over; the kernel has its own by then.
        let words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in words { free(pointer) } }
        // Nothing of what this program has in its environment: it may hold anything.
        let variables: [UnsafeMutablePointer<CChar>?] = [nil]
        return posix_spawn(&pid, path, &actions, &attributes, words, variables) == 0 ? pid : nil
    }
}

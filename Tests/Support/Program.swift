public import Foundation

// glibc shows this only to _GNU_SOURCE. A descriptor that leaks into a child would keep a port or a pipe open.
@_silgen_name("posix_spawn_file_actions_addclosefrom_np")
private func addCloseFrom(_ actions: UnsafeMutablePointer<posix_spawn_file_actions_t>, _ first: Int32) -> Int32

// The same: start in a session of its own.
private let spawnInOwnSession: Int16 = 0x80

/// A system call that failed.
public struct SystemCallError: Error, CustomStringConvertible {
    public var description: String

    init(_ operation: String, _ code: Int32 = errno) {
        description = "\(operation): \(String(cString: strerror(code)))"
    }
}

/// How a program ended.
public enum ExitStatus: Sendable, Hashable {
    case exited(Int32)
    case signalled(Int32)

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7f
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signalled(signal)
    }
}

/// What a program that has ended left.
public struct ProgramOutput: Sendable, CustomStringConvertible {
    public var status: ExitStatus
    public var standardOutput: String
    public var standardError: String

    /// The exit status; -1 when a signal ended it.
    public var code: Int32 {
        if case .exited(let code) = status { code } else { -1 }
    }

    public var description: String {
        "\(status)\n--- stdout\n\(standardOutput)\n--- stderr\n\(standardError)"
    }
}

/// A program started by a test and stopped by its kept process id, whatever becomes of the test.
public final class Program: @unchecked Sendable {
    /// Its process id, also that of its process group.
    public let pid: pid_t
    /// The file with what it wrote to standard output.
    public let outputPath: String
    /// The file with what it wrote to standard error; the same one unless they were to be kept apart.
    public let errorPath: String

    private let name: String
    private let directory: TemporaryDirectory?
    private let lock = NSLock()
    private var status: ExitStatus?

    /// Starts a program in a process group of its own, with nothing on standard input.
    ///
    /// - Parameters:
    ///   - environment: Variables beside those of the test; an empty value removes one.
    ///   - log: The file for both of its outputs; by default each goes to a temporary file of its own.
    public init(_ command: [String], environment: [String: String] = [:], log: String? = nil) throws {
        name = command.joined(separator: " ")
        if let log {
            directory = nil
            outputPath = log
            errorPath = log
        } else {
            let own = try TemporaryDirectory()
            directory = own
            outputPath = own.path("stdout")
            errorPath = own.path("stderr")
        }
        pid = try Self.spawn(command, environment: environment, output: outputPath, error: errorPath)
        Undertaker.shared.watch(pid)
    }

    deinit {
        stop()
    }

    private static func spawn(
        _ command: [String],
        environment: [String: String],
        output: String,
        error: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        if error == output {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, error, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        }
        _ = addCloseFrom(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var variables = ProcessInfo.processInfo.environment
        for (name, value) in environment { variables[name] = value.isEmpty ? nil : value }
        let arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        let settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in arguments + settings { free(pointer) } }

        var pid: pid_t = 0
        let result = posix_spawnp(&pid, command[0], &actions, &attributes, arguments, settings)
        guard result == 0 else { throw SystemCallError("start \(command[0])", result) }
        return pid
    }

    /// How it ended; `nil` while it runs.
    public var exitStatus: ExitStatus? {
        lock.withLock {
            if let status { return status }
            var wait: Int32 = 0
            guard waitpid(pid, &wait, WNOHANG) == pid else { return nil }
            status = ExitStatus(waitStatus: wait)
            Undertaker.shared.forget(pid)
            return status
        }
    }

    /// Whether it has not ended yet.
    public var isRunning: Bool { exitStatus == nil }

    /// Sends it a signal, if it still runs.
    public func signal(_ number: Int32) {
        // As long as nobody has waited for it, the number is still its own.
        if isRunning { kill(pid, number) }
    }

    /// Waits for its end.
    @discardableResult
    public func waitForExit(deadline: Duration = .seconds(10)) throws -> ExitStatus {
        try waitFor("\(name) to end", deadline: deadline, every: .milliseconds(2)) { exitStatus }
    }

    /// Ends it: kindly first, by force after the deadline. Force also reaches what it has started in its group.
    @discardableResult
    public func stop(signal number: Int32 = SIGTERM, deadline: Duration = .seconds(5)) -> ExitStatus? {
        guard isRunning else { return exitStatus }
        if number != SIGKILL {
            kill(pid, number)
            if let status = try? waitForExit(deadline: deadline) { return status }
        }
        killAll()
        _ = try? waitForExit(deadline: .seconds(5))
        return exitStatus
    }

    /// Kills the children first. The process 1 of a container survives its nspawn; and what entered a container has to
    /// be reaped by its parent out here, or the container waits for this machine's process 1 to do it.
    private func killAll() {
        for child in readText("/proc/\(pid)/task/\(pid)/children").split(separator: " ") {
            if let child = pid_t(child) { kill(child, SIGKILL) }
        }
        try? waitUntil("\(name) to end with its children", deadline: .milliseconds(500), every: .milliseconds(2)) {
            // Looks without reaping: as long as its number is its own, so is the number of its group.
            var information = siginfo_t()
            return waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) != 0
                || information.si_signo == SIGCHLD
        }
        kill(-pid, SIGKILL)
    }

    /// What it has written to standard output so far.
    public var standardOutput: String { readText(outputPath) }
    /// What it has written to standard error so far.
    public var standardError: String { readText(errorPath) }

    /// Runs a program to its end.
    ///
    /// - Throws: ``TimedOut`` when it does not end in time; it is killed then.
    @discardableResult
    public static func run(
        _ command: [String],
        environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) throws -> ProgramOutput {
        let program = try Program(command, environment: environment)
        defer { program.stop(signal: SIGKILL) }
        let status = try program.waitForExit(deadline: timeout)
        return ProgramOutput(
            status: status,
            standardOutput: program.standardOutput,
            standardError: program.standardError
        )
    }

    /// The same for a program that must succeed: its standard output.
    @discardableResult
    public static func check(
        _ command: [String],
        environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) throws -> String {
        let output = try run(command, environment: environment, timeout: timeout)
        guard output.code == 0 else {
            throw ProgramFailed(description: "\(command.joined(separator: " ")): \(output)")
        }
        return output.standardOutput
    }
}

/// A program that should have succeeded and did not.
public struct ProgramFailed: Error, CustomStringConvertible {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}

/// Kills what is left when the test process ends in a way that runs no clean-up, such as a crash or a timeout.
///
/// It is a shell at the other end of a pipe: it learns which processes live, and the end of the pipe is the sign.
private final class Undertaker: @unchecked Sendable {
    static let shared = Undertaker()

    private let pipeEnd: Int32
    private let lock = NSLock()

    private init() {
        let script = """
            alive=" "
            trap '' INT TERM HUP
            while read -r change pid; do
                case $change in
                +) alive="$alive$pid " ;;
                -) alive="${alive%% $pid *} ${alive#* $pid }" ;;
                esac
            done
            for pid in $alive; do
                kill -s KILL -- $(cat "/proc/$pid/task/$pid/children") "-$pid"
            done
            """
        var ends: [Int32] = [-1, -1]
        let made = pipe(&ends)
        precondition(made == 0, "cannot make a pipe")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        _ = addCloseFrom(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, spawnInOwnSession)
        let words: [String] = ["sh", "-c", script]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in arguments { free(pointer) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, "sh", &actions, &attributes, arguments, environ)
        precondition(result == 0, "cannot start a shell")
        close(ends[0])
        pipeEnd = ends[1]
    }

    func watch(_ pid: pid_t) { tell("+ \(pid)\n") }
    func forget(_ pid: pid_t) { tell("- \(pid)\n") }

    private func tell(_ line: String) {
        lock.withLock {
            _ = line.utf8.withContiguousStorageIfAvailable { write(pipeEnd, $0.baseAddress, $0.count) }
        }
    }
}

import Foundation

/// A program that was started, and is ended by its process id.
///
/// Not Foundation's Process: that one hears of an end tens of milliseconds late.
public final class Child: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the status is touched under `lock`.
    public let pid: pid_t
    private let lock = NSLock()
    private var status: Int32?

    /// - Parameters:
    ///   - environment: `nil` for this program's own.
    ///   - output: where all goes that it prints; `nil` for nowhere.
    public init(
        _ program: String,
        _ arguments: [String],
        environment: [String: String]? = nil,
        output: Int32? = nil
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for number in Int32(1)...2 {
            if let output {
                posix_spawn_file_actions_adddup2(&actions, output, number)
            } else {
                posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_WRONLY, 0)
            }
        }
        // It is to keep nothing open that is this program's: not all of that can be opened so that it closes itself.
        for number in 3..<min(1_024, Int32(sysconf(Int32(_SC_OPEN_MAX)))) {
            posix_spawn_file_actions_addclose(&actions, number)
        }
        let words = Self.words([program] + arguments)
        let settings = Self.words((environment ?? ProcessInfo.processInfo.environment).map { "\($0.key)=\($0.value)" })
        defer { for word in words + settings { free(word) } }
        var pid: pid_t = 0
        let result = posix_spawn(&pid, program, &actions, nil, words, settings)
        guard result == 0 else {
            throw Tools.Failure(description: "cannot start \(program): \(String(cString: strerror(result)))")
        }
        self.pid = pid
    }

    private static func words(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] { texts.map { strdup($0) } + [nil] }

    /// What it has ended with: its exit status, or 128 and the signal; `nil` while it runs.
    public var end: Int32? {
        lock.withLock {
            if status == nil {
                var raw: Int32 = 0
                if waitpid(pid, &raw, WNOHANG) == pid { status = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F }
            }
            return status
        }
    }

    /// - Returns: what it has ended with; `nil` when it has not within that time.
    public func wait(seconds: Double) -> Int32? {
        let deadline = Figures.now + UInt64(seconds * 1e9)
        while end == nil, Figures.now < deadline { usleep(2_000) }
        return end
    }

    /// To nobody once it has ended: its id may be another's by then.
    public func send(_ signal: Int32) { if end == nil { kill(pid, signal) } }

    /// Ends it, by force when it does not go within `seconds`. May be called twice.
    public func stop(within seconds: Double = 5) {
        send(SIGTERM)
        if wait(seconds: seconds) == nil {
            send(SIGKILL)
            _ = wait(seconds: 10)
        }
    }
}

extension Tools {
    /// Runs a program for what it prints and ends with, no longer than `seconds`.
    public static func outcome(
        _ program: String,
        _ arguments: [String],
        seconds: Double
    ) throws -> (status: Int32, output: String) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe") }
        defer { close(ends[0]) }
        let child: Child
        do {
            defer { close(ends[1]) }
            child = try Child(program, arguments, output: ends[1])
        }
        let deadline = Figures.now + UInt64(seconds * 1e9)
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while Figures.now < deadline {
            var waiting = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 50) > 0 else { continue }
            let count = read(ends[0], &buffer, buffer.count)
            guard count > 0 else { break }
            output += buffer[..<count]
        }
        guard let status = child.wait(seconds: max(0.1, Double(deadline) / 1e9 - Double(Figures.now) / 1e9)) else {
            child.stop(within: 0.5)
            throw Failure(description: "\(program) did not end within \(seconds) s")
        }
        return (status, String(decoding: output, as: UTF8.self))
    }
}

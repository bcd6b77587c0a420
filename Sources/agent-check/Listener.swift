internal import Glibc

/// What systemd's `Accept=yes` is elsewhere: one process for each connection.
struct Listener {
    struct Failure: Error, CustomStringConvertible {
        let description: String

        init(_ what: String) { description = "cannot \(what): \(String(cString: strerror(errno)))" }
    }

    let path: String
    /// Of the processes.
    let arguments: [String]
    /// Processes at a time; further connections wait.
    private static let most = 8

    /// Until this process is ended. Says that it listens by a line on standard output.
    func run() throws {
        let listening = try open()
        print("listening")
        fflush(nil)
        var running = 0
        while true {
            while running > 0, waitpid(-1, nil, WNOHANG) > 0 { running -= 1 }
            var polled = pollfd(fd: running < Self.most ? listening : -1, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, running > 0 ? 100 : 60_000) > 0 else { continue }
            let connection = accept(listening, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            if start(connection) { running += 1 }
            close(connection)
        }
    }

    private func open() throws -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            throw Failure("listen at \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
            0
        )
        guard descriptor >= 0 else { throw Failure("make a socket") }
        unlink(path)
        let before = umask(0o177)
        // SAFETY: the address lives for the length of the call, which reads no more than it is told.
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        umask(before)
        guard bound == 0, Glibc.listen(descriptor, 64) == 0 else { throw Failure("listen at \(path)") }
        return descriptor
    }

    private func start(_ connection: Int32) -> Bool {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, connection, 0)
        var pid: pid_t = 0
        // SAFETY: the copies live until the call is over; the kernel has its own by then.
        let words: [UnsafeMutablePointer<CChar>?] = (["agent-check"] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in words { free(pointer) } }
        let variables: [UnsafeMutablePointer<CChar>?] = [nil]
        return posix_spawn(&pid, "/proc/self/exe", &actions, nil, words, variables) == 0
    }
}

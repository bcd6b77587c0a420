internal import AgentAPI
internal import AgentTelemetry
internal import Glibc
internal import LockLadder

/// `locks.sock`: who waits for which lock, told while the workers themselves wait for one.
///
/// Every other answer comes from a worker, and takes the locks of what it tells. This one comes from a thread of its
/// own, which takes none but the registry's. Its clients are cut off after a second, whatever they do, and there are
/// few of them at once: nobody can take more of the agent here than that.
final class LocksSocket: Sendable {
    let path: String
    private let listener: Descriptor
    private let thread: NamedThread

    /// Opens the socket, in place of one that lies there already, and starts the thread.
    ///
    /// - Parameter since: since when the locks count.
    init(path: String, since: WireTime) throws(ControlServer.BindError) {
        let listener = try Self.listen(path)
        let thread = NamedThread("agent-locks") {
            var clients = LocksClients(listener: listener, since: since)
            clients.serve()
        }
        guard let thread else {
            unlink(path)
            throw ControlServer.BindError(path: path, reason: "the system has no thread for agent-locks")
        }
        self.path = path
        self.listener = listener
        self.thread = thread
    }

    deinit { endThread() }

    /// Removes the socket and ends the thread, without waiting for long: it may wait for the registry's lock itself.
    func stop() {
        unlink(path)
        endThread()
        _ = thread.join(until: MonotonicTime.now.advanced(byNanoseconds: 20_000_000))
    }

    /// It wakes at once, whatever it waits for, and closes what is still open.
    private func endThread() { shutdown(listener.number, Int32(SHUT_RDWR)) }

    private static func listen(_ path: String) throws(ControlServer.BindError) -> Descriptor {
        func failure(_ code: Int32) -> ControlServer.BindError {
            ControlServer.BindError(path: path, reason: String(cString: strerror(code)))
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { throw failure(ENAMETOOLONG) }
        // SAFETY: the path and its zero fit, as was just seen.
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard let descriptor = Descriptor(socket(AF_UNIX, kind, 0)) else { throw failure(errno) }
        // The instance lock is held, so a socket that lies there already is nobody's. Another file is somebody's.
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
        // SAFETY: any socket address begins as a sockaddr does, and the length is this one's.
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw failure(errno) }
        // To connect is to write: nobody can before the mode says so.
        guard Glibc.listen(descriptor.number, Int32(LocksClients.most)) == 0,
            chmod(path, Right.status.socketMode) == 0
        else {
            let code = errno
            unlink(path)
            throw failure(code)
        }
        return descriptor
    }
}

/// A descriptor that is closed with the last who uses it.
final class Descriptor: Sendable {
    let number: Int32

    /// - Returns: `nil` for what a system call returns instead of a descriptor.
    init?(_ number: Int32) {
        guard number >= 0 else { return nil }
        self.number = number
    }

    deinit { close(number) }
}

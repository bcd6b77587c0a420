internal import CSystemd
internal import Glibc
internal import LockLadder

/// What systemd and the agent tell each other. Everything here does nothing where there is no systemd.
public struct ServiceManager: Sendable {
    /// The sockets that systemd opened for us, by the names of their units.
    public let sockets: [String: Int32]
    /// The interval of systemd's watchdog in nanoseconds; `nil` when it does not watch us.
    public let watchdogNanoseconds: UInt64?
    private let socket: NotifySocket?

    /// Takes over what systemd left in the environment, and clears it there: whatever is ever started from here must
    /// not speak in our name. To be called once, before any thread starts.
    public static func takeOver() -> ServiceManager {
        // SAFETY: copied at once, and there are no other threads yet.
        let path = getenv("NOTIFY_SOCKET").map { String(cString: $0) }
        unsetenv("NOTIFY_SOCKET")
        var microseconds: UInt64 = 0
        let isWatched = sd_watchdog_enabled(1, &microseconds) > 0
        return ServiceManager(
            sockets: takeSockets(),
            watchdogNanoseconds: isWatched ? microseconds * 1_000 : nil,
            socket: path.flatMap { NotifySocket(path: $0) }
        )
    }

    private static func takeSockets() -> [String: Int32] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count > 0, let names else { return [:] }
        var sockets: [String: Int32] = [:]
        for index in 0..<Int(count) {
            guard let name = names[index] else { continue }
            sockets[String(cString: name)] = Int32(index) + SD_LISTEN_FDS_START
            // SAFETY: libsystemd hands over the list and each name; both are freed here, once.
            free(name)
        }
        free(names)
        return sockets
    }

    /// Says that the service is up, or up again after ``reloading()``.
    public func ready() { send("READY=1") }

    /// Says that a reload has begun. It is over with ``ready()``.
    public func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(MonotonicTime.now.nanoseconds / 1_000)")
    }

    /// The line in `systemctl status`. To be called at most once a second.
    public func status(_ text: String) {
        // One line, whatever a source put into it.
        send("STATUS=" + String(text.map { $0.isNewline ? " " : $0 }))
    }

    public func stopping() { send("STOPPING=1\nSTATUS=stopping") }

    /// Asks for more time to start: this much from now on.
    public func extendStart(seconds: Int) { send("EXTEND_TIMEOUT_USEC=\(seconds * 1_000_000)") }

    public func feedWatchdog() { send("WATCHDOG=1") }

    private func send(_ state: String) { socket?.send(state) }
}

/// systemd's datagram socket for notifications. libsystemd finds it through the environment only, which is cleared.
private struct NotifySocket: Sendable {
    private let descriptor: Int32

    /// - Parameter path: as in `NOTIFY_SOCKET`: absolute, or `@` and the name of an abstract socket.
    init?(path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard let first = name.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"), name.count < capacity
        else { return nil }
        withUnsafeMutableBytes(of: &address.sun_path) { raw in
            raw.copyBytes(from: name)
            if first == UInt8(ascii: "@") { raw[0] = 0 }
        }
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        // An abstract name ends where its length says, a path with its zero.
        let size = MemoryLayout<sockaddr_un>.size - capacity + name.count
        // SAFETY: the address lives through the call, and holds `size` bytes.
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(size)) }
        }
        guard result == 0 else {
            close(descriptor)
            return nil
        }
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        // Never waits: a manager that does not listen is told the next time.
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }
}

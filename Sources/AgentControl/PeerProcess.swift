internal import Glibc
internal import NIOCore

/// The process at the other end of a Unix socket, as it was when it connected.
enum PeerProcess {
    /// - Returns: its id; 0 where that is hidden. To be called on the channel's event loop.
    static func of(_ channel: any Channel) -> Int32 {
        guard let socket = channel as? any SocketOptionProvider else { return 0 }
        let level = NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET)
        let name = NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        let found = Found()
        let answer: EventLoopFuture<Credentials> = socket.unsafeGetSocketOption(level: level, name: name)
        // On the loop the answer is there at once.
        answer.assumeIsolated().whenSuccess { found.pid = $0.pid }
        return found.pid
    }

    /// The kernel's `struct ucred`, which glibc shows to nobody by this name.
    private struct Credentials {
        // SAFETY (layout): three 32-bit words in this order, on every Linux.
        var pid: pid_t
        var uid: uid_t
        var gid: gid_t
    }

    private final class Found {
        var pid: Int32 = 0
    }
}

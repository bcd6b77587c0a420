internal import ConfigPublish
internal import Glibc
internal import NIOCore

/// The process at the other end of a Unix socket, as it was when it connected.
struct PeerProcess: Sendable {
    /// 0 where that is hidden.
    let pid: Int32
    let uid: UInt32

    /// To be called on the channel's event loop.
    init(of channel: any Channel) {
        guard let socket = channel as? any SocketOptionProvider else {
            self.init(Credentials())
            return
        }
        let level = NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET)
        let name = NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        let found = Found()
        let answer: EventLoopFuture<Credentials> = socket.unsafeGetSocketOption(level: level, name: name)
        // On the loop the answer is there at once.
        answer.assumeIsolated().whenSuccess { found.credentials = $0 }
        self.init(found.credentials)
    }

    private init(_ credentials: Credentials) {
        pid = credentials.pid
        uid = credentials.uid
    }

    /// Who that is. Looks the user's name up, which may take a while where a server knows it.
    var actor: Actor {
        var entry = passwd()
        var result: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16 << 10)
        // SAFETY: the name lies in the buffer, and is copied while that is there.
        let name: String? = buffer.withUnsafeMutableBufferPointer { space in
            guard let start = space.baseAddress,
                getpwuid_r(uid, &entry, start, space.count, &result) == 0, result != nil, let name = entry.pw_name
            else { return nil }
            return String(cString: name)
        }
        return Actor(uid: uid, pid: pid, user: name)
    }

    /// The kernel's `struct ucred`, which glibc shows to nobody by this name.
    private struct Credentials {
        // SAFETY (layout): three 32-bit words in this order, on every Linux.
        var pid: pid_t = 0
        /// Nobody's, until the kernel says whose.
        var uid: uid_t = .max
        var gid: gid_t = .max
    }

    private final class Found {
        var credentials = Credentials()
    }
}

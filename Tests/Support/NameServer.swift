internal import Foundation

/// A name server on a loopback address of its own that answers when it is told to: every name is 127.0.0.1 then. Needs
/// root for its port, and so does who is made to ask it.
public final class NameServer: @unchecked Sendable {
    /// Where it listens: not where any other server of this machine does.
    public static let address = "127.0.0.77"

    private let socket: Int32
    private let lock = NSLock()
    private var isAnswering = false
    private var asked = 0

    public init() throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard socket >= 0 else { throw SystemCallError("open a UDP socket", errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(53).bigEndian
        address.sin_addr.s_addr = inet_addr(Self.address)
        // SAFETY: the address outlives the call, with the length of its type.
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(socket)
            throw SystemCallError("bind \(Self.address):53", code)
        }
        let thread = Thread { [weak self, socket] in
            var buffer = [UInt8](repeating: 0, count: 512)
            while true {
                var peer = sockaddr_storage()
                var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
                // SAFETY: the buffer and the peer's address outlive the call, with their lengths.
                let count = withUnsafeMutablePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(socket, &buffer, 512, 0, $0, &length)
                    }
                }
                guard count > 12, let self else { return }
                guard let reply = self.reply(to: Array(buffer[..<count])) else { continue }
                // SAFETY: as above.
                _ = withUnsafePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        sendto(socket, reply, reply.count, 0, $0, length)
                    }
                }
            }
        }
        thread.start()
    }

    public func stop() { shutdown(socket, Int32(SHUT_RDWR)) }

    deinit { close(socket) }

    /// Whether questions are answered; until then it is silent.
    public func answer(_ isAnswering: Bool) { lock.withLock { self.isAnswering = isAnswering } }

    public var questions: Int { lock.withLock { asked } }

    /// `nil`: silence.
    private func reply(to question: [UInt8]) -> [UInt8]? {
        let isAnswering = lock.withLock {
            asked += 1
            return self.isAnswering
        }
        guard isAnswering else { return nil }
        // The name ends with an empty label; its type and class follow.
        guard let end = question[12...].firstIndex(of: 0), end + 4 < question.count else { return nil }
        let isAddress = question[end + 1] == 0 && question[end + 2] == 1
        let head = Array(question[..<2]) + [0x81, 0x80, 0, 1, 0, isAddress ? 1 : 0, 0, 0, 0, 0]
        let answer: [UInt8] = isAddress ? [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1] : []
        return head + Array(question[12...(end + 4)]) + answer
    }

    /// `command` in a mount namespace of its own, in which this server is the only one.
    ///
    /// - Parameter directory: for the files that say so.
    public static func asking(_ command: [String], in directory: TemporaryDirectory) throws -> [String] {
        let resolver = try directory.write(
            "resolv.conf",
            "nameserver \(address)\noptions timeout:15 attempts:4\n"
        )
        let order = try directory.write("nsswitch.conf", "hosts: files dns\n")
        let script = """
            mount --bind \(resolver) /etc/resolv.conf && mount --bind \(order) /etc/nsswitch.conf && exec "$@"
            """
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"] + command
    }
}

internal import Foundation

/// A name server on a loopback address of its own that answers when it is told to, and what. Needs root for its port, and
/// so does who is made to ask it.
public final class NameServer: @unchecked Sendable {
    /// Where it listens: not where any other server of this machine does.
    public static let address = "127.0.0.77"

    /// What it does with a question.
    public enum Manner: Sendable {
        case silent
        /// Every name has this address.
        case address(UInt8, UInt8, UInt8, UInt8)
        /// Every name is known and has no address.
        case noAddress
        /// No name is known.
        case unknown
        /// It says that it cannot say.
        case failing
    }

    private let socket: Int32
    private let lock = NSLock()
    private var manner = Manner.silent
    private var asked = 0
    private let ended = DispatchSemaphore(value: 0)

    public init() throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
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
        let thread = Thread { [weak self, socket, ended] in
            defer { ended.signal() }
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

    /// Once, at the end.
    public func stop() {
        shutdown(socket, Int32(SHUT_RDWR))
        // Who still receives keeps the address, whoever closes the descriptor.
        _ = ended.wait(timeout: .now() + 10)
    }

    deinit { close(socket) }

    /// What it does from now on; it begins silent.
    public func answer(_ manner: Manner) { lock.withLock { self.manner = manner } }

    public var questions: Int { lock.withLock { asked } }

    /// `nil`: silence.
    private func reply(to question: [UInt8]) -> [UInt8]? {
        let manner = lock.withLock {
            asked += 1
            return self.manner
        }
        // The name ends with an empty label; its type and class follow.
        guard let end = question[12...].firstIndex(of: 0), end + 4 < question.count else { return nil }
        let isForAddress = question[end + 1] == 0 && question[end + 2] == 1
        var code: UInt8 = 0
        var address: [UInt8] = []
        switch manner {
        case .silent: return nil
        case .address(let first, let second, let third, let fourth):
            if isForAddress { address = [first, second, third, fourth] }
        case .noAddress: break
        case .failing: code = 2
        case .unknown: code = 3
        }
        let head = Array(question[..<2]) + [0x81, 0x80 | code, 0, 1, 0, address.isEmpty ? 0 : 1, 0, 0, 0, 0]
        let answer = address.isEmpty ? [] : [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4] + address
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

internal import Foundation

/// Takes datagrams as systemd does, and notes when they came.
public final class ManagerSocket: @unchecked Sendable {
    public let path: String
    private let descriptor: Int32
    private let lock = NSLock()
    private var received: [(text: String, at: ContinuousClock.Instant)] = []

    public init(_ path: String) throws {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
        }
        guard result == 0 else { throw SystemCallError("bind \(path)") }
        let thread = Thread { [weak self, descriptor] in
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                self?.take(String(decoding: buffer.prefix(count), as: UTF8.self))
            }
        }
        thread.start()
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    private func take(_ text: String) { lock.withLock { received.append((text, .now)) } }

    public var messages: [String] { lock.withLock { received.map(\.text) } }

    public func times(of prefix: String) -> [ContinuousClock.Instant] {
        lock.withLock { received.filter { $0.text.hasPrefix(prefix) }.map(\.at) }
    }
}

internal import Foundation
internal import Glibc

/// Where a server listens.
public enum Endpoint: Sendable, Hashable {
    case unix(String)
    case loopback(UInt16)

    var isLoopback: Bool {
        if case .loopback = self { true } else { false }
    }
}

/// A blocking stream socket; closed with its last reference.
final class StreamSocket: @unchecked Sendable {
    let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    static func connect(to endpoint: Endpoint, timeout: Duration) throws -> StreamSocket {
        let socket = try make(endpoint)
        socket.setTimeout(timeout)
        let result = withAddress(endpoint) { Glibc.connect(socket.descriptor, $0, $1) }
        guard result == 0 else { throw SystemCallError("connect \(endpoint)") }
        return socket
    }

    /// A listening socket; port 0 takes any that is free.
    static func listen(on endpoint: Endpoint) throws -> StreamSocket {
        let socket = try make(endpoint)
        var yes: Int32 = 1
        setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let result = withAddress(endpoint) { bind(socket.descriptor, $0, $1) }
        guard result == 0 else { throw SystemCallError("bind \(endpoint)") }
        guard Glibc.listen(socket.descriptor, 1024) == 0 else { throw SystemCallError("listen \(endpoint)") }
        return socket
    }

    /// The port of a listening loopback socket.
    var localPort: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    func setTimeout(_ timeout: Duration) {
        let microseconds = Int(timeout.inSeconds * 1_000_000)
        var value = timeval(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &value, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &value, size)
    }

    /// The next connection; `nil` when the socket was shut down.
    func accept() -> StreamSocket? {
        while true {
            let peer = Glibc.accept(descriptor, nil, nil)
            if peer >= 0 { return StreamSocket(descriptor: peer) }
            if errno != EINTR && errno != ECONNABORTED { return nil }
        }
    }

    /// What has come; empty at the end of the stream.
    func read(atMost count: Int = 65536) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        while true {
            let received = recv(descriptor, &buffer, count, 0)
            if received >= 0 { return Array(buffer[..<received]) }
            if errno != EINTR { throw SystemCallError("receive") }
        }
    }

    func write(_ bytes: some Sequence<UInt8>) throws {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if sent < 0 {
                if errno == EINTR { continue }
                throw SystemCallError("send")
            }
            rest = rest.dropFirst(sent)
        }
    }

    /// Makes its end a reset, and not an end of the stream.
    func resetOnClose() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Wakes whoever is blocked in it.
    func shutDown() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func make(_ endpoint: Endpoint) throws -> StreamSocket {
        let family =
            switch endpoint {
            case .unix: AF_UNIX
            case .loopback: AF_INET
            }
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemCallError("socket") }
        return StreamSocket(descriptor: descriptor)
    }

    private static func withAddress<Result>(
        _ endpoint: Endpoint,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        switch endpoint {
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let capacity = MemoryLayout.size(ofValue: address.sun_path)
            precondition(path.utf8.count < capacity, "too long for a socket: \(path)")
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        case .loopback(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            return withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }
}

/// A loopback port that nobody had a moment ago.
public func freePort() throws -> UInt16 {
    try StreamSocket.listen(on: .loopback(0)).localPort
}

import Foundation

/// What a server does once it has read a request: bytes and gestures exactly as a test writes them.
enum Step: Sendable {
    case send([UInt8])
    /// The same bytes again and again until the client has had enough.
    case sendForever([UInt8])
    /// Nothing more, but the connection stays until the client goes.
    case hold
    /// Reads the next request on the same connection.
    case receive
    /// The connection ends with a reset instead of a close.
    case reset

    static func text(_ text: String) -> Step { .send(Array(text.utf8)) }
}

/// A server on a loopback port, or on a Unix socket, that speaks no HTTP of its own.
final class RawServer: @unchecked Sendable {
    let port: UInt16
    private let listener: Int32
    private let socketPath: String?
    private let steps: [Step]
    // The thread sanitizer knows this lock; that of Synchronization it does not.
    private let lock = NSLock()
    private var received: [String] = []
    private var accepted = 0

    init(_ steps: [Step], socketPath: String? = nil) throws {
        self.steps = steps
        self.socketPath = socketPath
        let family = socketPath == nil ? AF_INET : AF_UNIX
        listener = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        port = try Self.bind(listener, socketPath)
        guard listen(listener, 64) == 0 else { throw POSIXError(.EINVAL) }
        let thread = Thread { [listener, self] in
            while true {
                let connection = accept(listener, nil, nil)
                if connection < 0, [EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
                    // Other tests may have all descriptors for a moment.
                    usleep(1_000)
                    continue
                }
                guard connection >= 0 else {
                    // Closed here and nowhere else: the number may be another server's in the next moment.
                    close(listener)
                    return
                }
                self.lock.withLock { self.accepted += 1 }
                let worker = Thread { self.serve(connection) }
                worker.start()
            }
        }
        thread.start()
    }

    convenience init(answer: [UInt8], socketPath: String? = nil) throws {
        try self.init([.send(answer)], socketPath: socketPath)
    }

    /// Frees the port and ends the thread that accepts.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        if let socketPath { unlink(socketPath) }
    }

    func url(_ path: String = "/") -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Heads of requests, as they came.
    var requests: [String] { lock.withLock { received } }
    var connections: Int { lock.withLock { accepted } }

    private static func bind(_ descriptor: Int32, _ path: String?) throws -> UInt16 {
        if let path {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.bind(descriptor, $0, size) }
            }
            guard result == 0 else { throw POSIXError(.EADDRINUSE) }
            return 0
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                Glibc.bind(descriptor, pointer, size) == 0 && getsockname(descriptor, pointer, &size) == 0
            }
        }
        guard result else { throw POSIXError(.EADDRINUSE) }
        return UInt16(bigEndian: address.sin_port)
    }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        guard receive(connection) else { return }
        for step in steps {
            switch step {
            case .send(let bytes):
                guard send(bytes, to: connection) else { return }
            case .sendForever(let bytes):
                while send(bytes, to: connection) {}
                return
            case .hold:
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
            case .receive:
                guard receive(connection) else { return }
            case .reset:
                var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                return
            }
        }
        // A close with a request unread would become a reset: let the client go first, or answer its last word.
        shutdown(connection, Int32(SHUT_WR))
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) > 0 {}
    }

    private func receive(_ connection: Int32) -> Bool {
        var head: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while head.suffix(4) != end[...] {
            var byte: UInt8 = 0
            guard recv(connection, &byte, 1, 0) == 1 else { return false }
            head.append(byte)
        }
        lock.withLock { received.append(String(decoding: head, as: UTF8.self)) }
        return true
    }

    private func send(_ bytes: [UInt8], to connection: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

import Glibc
import Synchronization

/// Accepts one connection on a Unix socket, keeps what it is sent, and sends a fixed answer.
final class LocalServer: Sendable {
    let path: String
    private let listener: Int32
    private let received = Mutex<String>("")

    /// - Parameter answer: `nil` to send none, and to keep the connection open until the client goes.
    init(answer: String?) throws {
        let path = LocalServer.newPath()
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.path = path
        self.listener = listener
        LocalServer.listen(listener, at: path)
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(server: self, answer: answer)).toOpaque()
        pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                work.server.serve(work.answer)
                return nil
            },
            work
        )
        pthread_detach(thread)
    }

    deinit {
        close(listener)
        unlink(path)
    }

    /// The request's line and headers, as sent.
    var request: String { received.withLock(\.self) }

    static func newPath() -> String { "/tmp/local-client-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sock" }

    /// Binds `descriptor` to `path`.
    static func listen(_ descriptor: Int32, at path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
        }
        Glibc.listen(descriptor, 4)
    }

    private final class Work: Sendable {
        let server: LocalServer
        let answer: String?

        init(server: LocalServer, answer: String?) {
            self.server = server
            self.answer = answer
        }
    }

    private func serve(_ answer: String?) {
        let connection = accept(listener, nil, nil)
        defer { close(connection) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !request.hasSuffix("\r\n\r\n") {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return }
            received.withLock { $0 += String(decoding: buffer.prefix(count), as: UTF8.self) }
        }
        if let answer {
            let bytes = Array(answer.utf8)
            _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        } else {
            _ = read(connection, &buffer, buffer.count)
        }
    }
}

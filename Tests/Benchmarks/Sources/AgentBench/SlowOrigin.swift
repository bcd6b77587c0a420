import BenchKit
import Foundation

/// An origin on the loopback address that takes its time for each request, and counts them.
final class SlowOrigin: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the count is touched under `lock`, all else is immutable.
    let port: UInt16
    private let listener: Int32
    private let delay: useconds_t
    private let lock = NSLock()
    private var count = 0

    init(milliseconds: Int) throws {
        delay = useconds_t(milliseconds * 1_000)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 256) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw Agent.Failure(description: "no origin: \(String(cString: strerror(errno)))") }
        port = UInt16(bigEndian: address.sin_port)
        Thread { [self] in accept() }.start()
    }

    /// Requests so far.
    var requests: Int { lock.withLock { count } }

    /// Ends with the listener.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func accept() {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { return }
            Thread { [self] in answer(connection) }.start()
        }
    }

    private func answer(_ connection: Int32) {
        defer { close(connection) }
        var buffer = [UInt8](repeating: 0, count: 8_192)
        guard recv(connection, &buffer, buffer.count, 0) > 0 else { return }
        lock.withLock { count += 1 }
        usleep(delay)
        let body = "{\"greeting\": \"hello\"}"
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Cache-Control: max-age=1\r\nConnection: close\r\n\r\n\(body)"
        _ = Array(answer.utf8).withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }
}

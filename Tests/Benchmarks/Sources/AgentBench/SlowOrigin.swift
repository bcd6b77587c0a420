import BenchKit
import Foundation

/// An origin on the loopback address that takes its time for each request, and counts them.
final class SlowOrigin: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the count is touched under `lock`; the server is set once, in `init`.
    private let delay: useconds_t
    private let lock = NSLock()
    private var count = 0
    private var server: TCP.Server?

    init(milliseconds: Int) throws {
        delay = useconds_t(milliseconds * 1_000)
        server = try TCP.Server { [weak self] in self?.answer($0) }
    }

    var port: UInt16 { server?.port ?? 0 }

    /// Requests so far.
    var requests: Int { lock.withLock { count } }

    func stop() { server?.stop() }

    private func answer(_ connection: Int32) {
        var buffer = [UInt8](repeating: 0, count: 8_192)
        guard recv(connection, &buffer, buffer.count, 0) > 0 else { return }
        lock.withLock { count += 1 }
        usleep(delay)
        let body = "{\"greeting\": \"hello\"}"
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Cache-Control: max-age=1\r\nConnection: close\r\n\r\n\(body)"
        _ = TCP.send(answer, to: connection)
    }
}

import BenchKit
import Foundation

/// A document that is answered once it is another one than the asker has, as bundle servers do (`Prefer: wait=`).
final class LongPollOrigin: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the number is touched under `condition`; the server is set once, in `init`.
    private let condition = NSCondition()
    private var number = 0
    private var server: TCP.Server?

    init() throws { server = try TCP.Server { [weak self] in self?.serve($0) } }

    var port: UInt16 { server?.port ?? 0 }

    func stop() { server?.stop() }

    func set(_ number: Int) {
        condition.withLock {
            self.number = number
            condition.broadcast()
        }
    }

    private func serve(_ connection: Int32) {
        while let head = TCP.head(from: connection) {
            let waits = head.lowercased().contains("prefer:")
            let deadline = Date.now + 60
            condition.lock()
            while waits, head.contains("\"\(number)\""), condition.wait(until: deadline) {}
            let current = number
            condition.unlock()
            let isNew = !head.contains("\"\(current)\"")
            let body = isNew ? "{\"l\": \(current)}" : ""
            let answer =
                "HTTP/1.1 \(isNew ? "200 OK" : "304 Not Modified")\r\nETag: \"\(current)\"\r\n"
                + "Content-Type: application/vnd.openpolicyagent.bundles\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
            guard TCP.send(answer + body, to: connection) else { return }
        }
    }
}

import BenchKit
import Foundation

/// One place on the loopback address that gives a source's documents, and does wrong on demand.
final class Origin: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: what changes is touched under `lock`; the server is set once, in `init`.
    /// What is given in place of the newest document.
    struct Fault {
        let kind: FaultKind
        var offer: Shelf.Offer?
    }

    private let shelf: Shelf
    private let lock = NSLock()
    private var fault: Fault?
    private var served = 0
    private var server: TCP.Server?

    init(_ shelf: Shelf) throws {
        self.shelf = shelf
        server = try TCP.Server { [weak self] in self?.serve($0) }
    }

    var url: String { "http://127.0.0.1:\(server?.port ?? 0)/app.json" }
    /// Requests so far.
    var requests: Int { lock.withLock { served } }

    func set(_ fault: Fault?) { lock.withLock { self.fault = fault } }
    func stop() { server?.stop() }

    private func serve(_ connection: Int32) {
        TCP.limit(connection, seconds: 120)
        while let head = TCP.head(from: connection) {
            let fault = lock.withLock {
                served += 1
                return self.fault
            }
            let isSignature = head.hasPrefix("GET /app.json.sig")
            guard let fault else {
                guard let offer = shelf.newest, give(offer, isSignature, head, connection) else { return }
                continue
            }
            guard fail(fault, isSignature, head, connection) else { return }
        }
    }

    // MARK: As it should be

    private func give(_ offer: Shelf.Offer, _ isSignature: Bool, _ head: String, _ connection: Int32) -> Bool {
        if isSignature {
            guard let signature = offer.signature else { return answer(404, [], to: connection) }
            return answer(200, signature, type: "text/plain", to: connection)
        }
        let etag = "\"\(offer.number)\""
        if head.contains("If-None-Match: \(etag)") {
            return TCP.send("HTTP/1.1 304 Not Modified\r\nETag: \(etag)\r\n\r\n", to: connection)
        }
        return answer(200, offer.body, headers: Self.names(offer), to: connection)
    }

    /// Seconds of its own stand for its number: real ones are too coarse to tell which of two is the older.
    private static func names(_ offer: Shelf.Offer) -> String {
        var time = time_t(1_577_836_800 + offer.number)
        var parts = tm()
        gmtime_r(&time, &parts)
        var text = [CChar](repeating: 0, count: 64)
        let length = strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
        let date = String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "ETag: \"\(offer.number)\"\r\nLast-Modified: \(date)\r\n"
    }

    private func answer(
        _ status: Int,
        _ body: [UInt8],
        type: String = "application/json",
        headers: String = "",
        length: Int? = nil,
        to connection: Int32
    ) -> Bool {
        let head =
            "HTTP/1.1 \(status) Status\r\nContent-Type: \(type)\r\n\(headers)"
            + "Content-Length: \(length ?? body.count)\r\n\r\n"
        return TCP.send(Array(head.utf8) + body, to: connection)
    }

    // MARK: As it should not be

    /// - Returns: whether the connection goes on.
    private func fail(_ fault: Fault, _ isSignature: Bool, _ head: String, _ connection: Int32) -> Bool {
        let newest = shelf.newest ?? Shelf.Offer(number: 0, body: [])
        switch fault.kind {
        case .serverError, .onlyPrimary: return answer(500, Array("oops".utf8), type: "text/plain", to: connection)
        case .hang: return wait(connection)
        case .reset: return reset(connection)
        case .closes: return false
        case .truncated:
            _ = answer(200, Array(newest.body.prefix(newest.body.count / 2)), length: newest.body.count, to: connection)
            return false
        case .wrongType: return answer(200, Array("<html>Log in</html>".utf8), type: "text/html", to: connection)
        case .invalidJSON: return answer(200, newest.body.dropLast() + Array(",}".utf8), to: connection)
        case .empty: return answer(200, [], to: connection)
        case .redirect: return answer(302, [], headers: "Location: /elsewhere.json\r\n", to: connection)
        case .oversize: return answer(200, [UInt8](repeating: 0x20, count: 400 << 10), to: connection)
        case .stopsMidway:
            _ = answer(200, Array(newest.body.prefix(40)), length: newest.body.count, to: connection)
            return wait(connection)
        case .notHTTP:
            _ = TCP.send("SSH-2.0-OpenSSH_9.2\r\n", to: connection)
            return false
        case .slowBody: return drip(newest, isSignature, connection)
        default:
            // Another document, in all its glory.
            guard let offer = fault.offer else { return answer(500, [], to: connection) }
            return give(offer, isSignature, fault.kind.isContent ? head : "", connection)
        }
    }

    /// Says nothing for longer than anybody waits.
    private func wait(_ connection: Int32) -> Bool {
        var byte: UInt8 = 0
        TCP.limit(connection, seconds: 6)
        _ = recv(connection, &byte, 1, 0)
        return false
    }

    private func reset(_ connection: Int32) -> Bool {
        _ = TCP.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half\"", to: connection)
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        return false
    }

    /// Slow, but whole within the time that there is.
    private func drip(_ offer: Shelf.Offer, _ isSignature: Bool, _ connection: Int32) -> Bool {
        guard !isSignature else { return give(offer, true, "", connection) }
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\(Self.names(offer))"
            + "Content-Length: \(offer.body.count)\r\n\r\n"
        guard TCP.send(head, to: connection) else { return false }
        let size = max(1, offer.body.count / 12 + 1)
        for start in stride(from: 0, to: offer.body.count, by: size) {
            usleep(30_000)
            guard TCP.send(Array(offer.body[start..<min(start + size, offer.body.count)]), to: connection) else {
                return false
            }
        }
        return true
    }
}

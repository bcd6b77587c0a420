import AgentAPI
import Foundation

/// One answer as it came over the socket.
struct Answer {
    var status: Int
    /// By name in lower case.
    var headers: [String: String]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var error: ErrorDetail? { try? WireJSON.decode(ErrorReport.self, from: body).error }

    func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        try WireJSON.decode(type, from: body)
    }
}

/// A connection over a Unix socket that sends what it is told and reads answers one by one.
final class Client: @unchecked Sendable {
    struct Closed: Error {}

    private let descriptor: Int32
    private var unread: [UInt8] = []

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard result == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    }

    deinit { close(descriptor) }

    func write(_ text: String) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Closed() }
            rest = rest.dropFirst(count)
        }
    }

    func request(_ method: String, _ target: String, _ headers: [String: String] = [:]) throws {
        let lines = ["\(method) \(target) HTTP/1.1", "Host: localhost"] + headers.map { "\($0.key): \($0.value)" }
        try write(lines.joined(separator: "\r\n") + "\r\n\r\n")
    }

    /// The next answer.
    ///
    /// - Parameter hasBody: `false` for the answer to a HEAD request.
    func answer(hasBody: Bool = true) throws -> Answer {
        let end = Array("\r\n\r\n".utf8)
        var head: [UInt8] = []
        while head.suffix(4) != end[...] { head.append(try next()) }
        let lines = String(decoding: head.dropLast(4), as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            headers[parts[0].lowercased()] = parts.count > 1 ? parts[1] : ""
        }
        let status = Int(lines[0].split(separator: " ")[1]) ?? 0
        var body: [UInt8] = []
        if hasBody, status != 304, let length = headers["content-length"].flatMap({ Int($0) }) {
            for _ in 0..<length { body.append(try next()) }
        }
        return Answer(status: status, headers: headers, body: body)
    }

    /// Everything up to the next empty line.
    func block() throws -> String {
        let end = Array("\n\n".utf8)
        var bytes: [UInt8] = []
        while bytes.suffix(2) != end[...] { bytes.append(try next()) }
        return String(decoding: bytes.dropLast(2), as: UTF8.self)
    }

    /// Says that nothing more will be sent.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Whether the other side closes without sending anything more.
    func isClosed() -> Bool {
        do {
            _ = try next()
            return false
        } catch {
            return true
        }
    }

    private func next() throws -> UInt8 {
        if unread.isEmpty {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw Closed() }
            unread = buffer[..<count].reversed()
        }
        return unread.removeLast()
    }
}

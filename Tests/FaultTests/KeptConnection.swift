internal import Foundation
import TestSupport

/// A connection over which one request follows another.
final class KeptConnection {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 15, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            close(descriptor)
            throw ProgramFailed(description: "cannot connect to \(path)")
        }
    }

    deinit { close(descriptor) }

    func send(_ method: String, _ path: String) throws {
        let request = Array("\(method) \(path) HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\n\r\n".utf8)
        let count = request.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count == request.count else { throw ProgramFailed(description: "cannot send \(method) \(path)") }
    }

    /// - Returns: the status and the body.
    func ask(_ method: String, _ path: String) throws -> (status: Int, text: String) {
        try send(method, path)
        var received = ""
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let parts = received.components(separatedBy: "\r\n\r\n")
            let length = parts[0].components(separatedBy: "Content-Length: ").last.flatMap { text in
                Int(text.prefix { $0.isNumber })
            }
            if let length, parts.count > 1 {
                let body = parts.dropFirst().joined(separator: "\r\n\r\n")
                if body.utf8.count >= length {
                    return (Int(parts[0].dropFirst(9).prefix(3)) ?? 0, body)
                }
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { throw ProgramFailed(description: "\(method) \(path): no answer, \(received)") }
            received += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }
}

import Foundation

/// A connection to one of the agent's sockets.
public final class LocalSocket {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }

    public let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    /// - Parameter timeout: seconds that a `send` or a `receive` may wait for the other side; `nil`: for ever.
    public init(_ path: String, timeout: Double? = nil) throws {
        // Programs that are started meanwhile are not to keep it open.
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw Failure(description: "connect \(path): \(reason)")
        }
        if let timeout { TCP.limit(descriptor, seconds: timeout) }
    }

    deinit { close(descriptor) }

    public func send(_ bytes: [UInt8]) throws {
        let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count == bytes.count else { throw Failure(description: "send: \(String(cString: strerror(errno)))") }
    }

    /// Reads one answer whole, which must have a Content-Length.
    public func receive() throws -> Answer {
        var answer = Answer()
        while !answer.isWhole {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                throw Failure(description: count < 0 ? "no answer in time" : "the connection ended within an answer")
            }
            answer.add(buffer[..<count])
        }
        return answer
    }
}

/// An HTTP answer as it comes in.
public struct Answer {
    private var bytes: [UInt8] = []
    private var bodyStart: Int?
    private var end: Int?

    public init() {}

    public var isWhole: Bool { end.map { bytes.count >= $0 } ?? false }
    public var status: Int { Int(String(decoding: bytes.dropFirst(9).prefix(3), as: UTF8.self)) ?? 0 }
    public var body: [UInt8] { bodyStart.map { Array(bytes[$0...]) } ?? [] }

    /// The value of a header, by its name as the agent writes it.
    public func header(_ name: String) -> String? {
        let head = String(decoding: bytes.prefix(bodyStart ?? 0), as: UTF8.self)
        guard let found = head.range(of: "\r\n\(name): ") else { return nil }
        return String(head[found.upperBound...].prefix { $0 != "\r" && $0 != "\r\n" })
    }

    public mutating func add(_ part: ArraySlice<UInt8>) {
        bytes += part
        guard end == nil else { return }
        let head = String(decoding: bytes.prefix(4_096), as: UTF8.self)
        guard let blank = head.range(of: "\r\n\r\n") else { return }
        let length = head.range(of: "Content-Length: ").flatMap { found in
            Int(head[found.upperBound...].prefix { $0.isNumber })
        }
        let start = head.utf8.distance(from: head.startIndex, to: blank.upperBound)
        bodyStart = start
        end = start + (length ?? 0)
    }
}

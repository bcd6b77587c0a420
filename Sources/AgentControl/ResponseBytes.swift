internal import NIOCore
internal import NIOHTTP1

/// Answers as the bytes that go over the wire: written once, in one piece.
enum ResponseBytes {
    /// A whole answer, but for a shared body: that has to follow.
    ///
    /// - Parameters:
    ///   - close: whether the connection ends with it.
    ///   - isHead: whether the request was one for the head only.
    static func whole(
        _ response: LocalResponse,
        close: Bool,
        isHead: Bool,
        _ allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        let hasBody = response.status != .notModified
        let length = response.sharedBody?.readableBytes ?? response.body.count
        var buffer = allocator.buffer(capacity: 256 + (isHead ? 0 : response.body.count))
        start(response.status, response.headers, &buffer)
        if hasBody {
            line("Content-Type", response.contentType, &buffer)
            line("Content-Length", String(length), &buffer)
        }
        if close { line("Connection", "close", &buffer) }
        buffer.writeStaticString("\r\n")
        if hasBody, !isHead { buffer.writeBytes(response.body) }
        return buffer
    }

    /// The head of a stream of events, which ends with the connection.
    static func eventStreamHead(_ allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 256)
        start(.ok, [("Cache-Control", "no-store")], &buffer)
        line("Content-Type", "text/event-stream", &buffer)
        line("Connection", "close", &buffer)
        buffer.writeStaticString("\r\n")
        return buffer
    }

    private static func start(
        _ status: HTTPResponseStatus,
        _ headers: [(String, String)],
        _ buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(String(status.code))
        buffer.writeStaticString(" ")
        buffer.writeString(status.reasonPhrase)
        buffer.writeStaticString("\r\n")
        for (name, value) in headers { line(name, value, &buffer) }
    }

    private static func line(_ name: String, _ value: String, _ buffer: inout ByteBuffer) {
        buffer.writeString(name)
        buffer.writeStaticString(": ")
        // A value that came from outside must not begin a line of its own.
        buffer.writeBytes(value.utf8.lazy.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 })
        buffer.writeStaticString("\r\n")
    }
}

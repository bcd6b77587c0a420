internal import CZlib

/// Packs bytes as gzip does, by way of zlib.
enum Gzip {
    /// A window of 32 KiB, and 16 for gzip's own head and tail instead of zlib's.
    private static let windowBits: Int32 = 15 + 16

    /// - Returns: `nil` when zlib has no memory.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = z_stream()
        let size = Int32(MemoryLayout<z_stream>.size)
        guard
            deflateInit2_(
                &stream,
                Z_BEST_COMPRESSION,
                Z_DEFLATED,
                windowBits,
                8,
                Z_DEFAULT_STRATEGY,
                ZLIB_VERSION,
                size
            ) == Z_OK
        else { return nil }
        defer { deflateEnd(&stream) }
        var input = bytes
        var packed: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        // SAFETY: both buffers outlive the calls that use them; zlib stays within the counts that it is given.
        let isWhole = input.withUnsafeMutableBufferPointer { source in
            stream.next_in = source.baseAddress
            stream.avail_in = UInt32(clamping: source.count)
            while true {
                let (result, count) = chunk.withUnsafeMutableBufferPointer { target in
                    stream.next_out = target.baseAddress
                    stream.avail_out = UInt32(target.count)
                    let result = deflate(&stream, Z_FINISH)
                    return (result, target.count - Int(stream.avail_out))
                }
                packed += chunk[..<count]
                if result == Z_STREAM_END { return true }
                if result != Z_OK { return false }
            }
        }
        return isWhole ? packed : nil
    }
}

internal import LockLadder

/// Where a transfer's body is put together: in a buffer that is lent for it and wiped afterwards, so that neither its
/// memory nor the page faults of growing it have to be paid for at each poll.
///
/// Belongs to the thread of its transfer.
final class BodyBuffer {
    /// Beside what is on its way, a megabyte is kept: most documents are small, and large ones seldom come twice in a
    /// row.
    private static let pool = BufferPool(
        name: "curl.bodies",
        maxBuffers: 1 << 17,
        maxBytesKept: 1 << 20,
        maxBufferBytes: 1 << 31,
        maxKeptBufferBytes: 256 << 10
    )

    private var buffer: PooledBuffer?

    static var statistics: BufferPool.Statistics { pool.statistics }

    /// Makes it `capacity` bytes long or longer, which it then says.
    ///
    /// - Returns: where it lies; `nil` when there is no memory for it, and then nothing has changed.
    func resize(_ capacity: inout Int) -> UnsafeMutablePointer<UInt8>? {
        do throws(BufferPool.Refusal) {
            if buffer == nil { buffer = try Self.pool.borrow(atLeast: capacity) }
            guard let room = try buffer?.resize(atLeast: capacity) else { return nil }
            capacity = room.count
            return room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        } catch { return nil }
    }

    func giveBack() { buffer = nil }
}

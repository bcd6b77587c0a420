import LockLadder

/// What is done with a buffer: one byte in each page is written, and read back.
@inline(never)
private func use(_ bytes: UnsafeMutableRawBufferPointer, _ mark: UInt8) -> UInt64 {
    let page = 4_096
    for place in stride(from: 0, to: bytes.count, by: page) { bytes[place] = mark }
    var sum: UInt64 = 0
    for place in stride(from: 0, to: bytes.count, by: page) { sum &+= UInt64(bytes[place]) }
    return sum
}

private let size = 65_536

private struct Borrower: Worker {
    private let pool: BufferPool
    private var mark: UInt8 = 0

    init(_ pool: BufferPool, _ index: Int) { self.pool = pool }

    @inline(__always)
    mutating func step() -> UInt64 {
        mark &+= 1
        guard var buffer = try? pool.borrow(atLeast: size) else { fatalError("the pool has no buffer") }
        guard let bytes = try? buffer.resize(atLeast: size) else { fatalError("the buffer has no room") }
        let sum = use(bytes, mark)
        buffer.giveBack()
        return sum
    }
}

private struct Allocator: Worker {
    private var mark: UInt8 = 0

    init(_ nothing: Void, _ index: Int) {}

    @inline(__always)
    mutating func step() -> UInt64 {
        mark &+= 1
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        defer { bytes.deallocate() }
        return use(bytes, mark)
    }
}

enum Pooling {
    static let subjects = [
        Subject("ladder") { options throws(UsageError) in
            switch try options.layout(among: .pooled, .plain) {
            case .plain:
                var report = measure(Allocator.self, (), options, .singles).report
                report.extra = extra(allocations: report.operations)
                return report
            default:
                let pool = BufferPool(name: "bench.pool", maxBuffers: 128, maxBytesKept: 64 * size)
                var report = measure(Borrower.self, pool, options, .singles).report
                report.extra = extra(allocations: pool.statistics.allocated)
                return report
            }
        }
    ]

    private static func extra(allocations: UInt64) -> [(name: String, json: String)] {
        [("allocations", "\(allocations)"), ("bytes", "\(allocations * UInt64(size))")]
    }
}

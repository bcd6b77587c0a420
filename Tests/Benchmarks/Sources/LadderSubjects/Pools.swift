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

private enum Borrowing: Work {
    static func run(_ pool: BufferPool, _ index: Int, _ round: inout Round) {
        var mark: UInt8 = 0
        @inline(__always)
        func step() -> UInt64 {
            mark &+= 1
            guard var buffer = try? pool.borrow(atLeast: size) else { fatalError("the pool has no buffer") }
            guard let bytes = try? buffer.resize(atLeast: size) else { fatalError("the buffer has no room") }
            let sum = use(bytes, mark)
            buffer.giveBack()
            return sum
        }
        round.singles(step)
    }
}

private enum Allocating: Work {
    static func run(_ nothing: Void, _ index: Int, _ round: inout Round) {
        var mark: UInt8 = 0
        @inline(__always)
        func step() -> UInt64 {
            mark &+= 1
            let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
            defer { bytes.deallocate() }
            return use(bytes, mark)
        }
        round.singles(step)
    }
}

enum Pooling {
    static let subjects = [
        Subject("ladder") { options throws(UsageError) in
            switch try options.layout(among: .pooled, .plain) {
            case .plain:
                var report = measure(Allocating.self, (), options).report
                report.extra = extra(allocations: report.operations)
                return report
            default:
                let pool = BufferPool(name: "bench.pool", maxBuffers: 128, maxBytesKept: 64 * size)
                var report = measure(Borrowing.self, pool, options).report
                report.extra = extra(allocations: pool.statistics.allocated)
                return report
            }
        }
    ]

    private static func extra(allocations: UInt64) -> [(name: String, json: String)] {
        [("allocations", "\(allocations)"), ("bytes", "\(allocations * UInt64(size))")]
    }
}

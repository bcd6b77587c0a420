import Glibc
import Testing

@testable import LockLadder

/// Adds bytes to a buffer: lends out room for so many, and adds as many of them as the closure says.
private typealias Append = (_ atMost: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) -> Void

/// What lends out buffers: the pool, or a copy of it without its protection.
private protocol Lender: Sendable {
    func lend(_ bytes: Int, _ body: (_ capacity: Int, _ append: Append) -> Void)
}

extension BufferPool: Lender {
    fileprivate func lend(_ bytes: Int, _ body: (_ capacity: Int, _ append: Append) -> Void) {
        guard var buffer = try? borrow(atLeast: bytes) else { return }
        body(buffer.capacity) { most, fill in try? buffer.append(atMost: most, fill) }
    }
}

/// A copy of the pool, which wipes not at all or not enough. Its buffers have all the same size and do not grow.
private final class CopyOfThePool: Lender, @unchecked Sendable {
    enum Fault: CaseIterable, Sendable {
        case none, notWiped, onlyWhatCountsIsWiped
    }

    private static let size = 16_384
    private let fault: Fault
    private let kept = Plain<[UInt]>([])

    init(_ fault: Fault) { self.fault = fault }

    deinit {
        for address in kept.now { free(UnsafeMutableRawPointer(bitPattern: address)) }
    }

    func lend(_ bytes: Int, _ body: (_ capacity: Int, _ append: Append) -> Void) {
        let address = kept.change { $0.popLast() } ?? UInt(bitPattern: calloc(1, Self.size))
        guard let start = UnsafeMutableRawPointer(bitPattern: address) else { return }
        var count = 0
        var touched = 0
        body(Self.size) { most, fill in
            guard most <= Self.size - count else { return }
            touched = max(touched, count + most)
            count += fill(UnsafeMutableRawBufferPointer(start: start + count, count: most))
        }
        switch fault {
        case .none: explicit_bzero(start, touched)
        case .onlyWhatCountsIsWiped: explicit_bzero(start, count)
        case .notWiped: break
        }
        kept.change { $0.append(address) }
    }
}

@Suite struct BufferPoolTests {
    /// Threads borrow, look at all the room there is, and fill it with a byte of their own. Returns the bytes that do
    /// not belong.
    private func strangers(in lender: some Lender, seed: UInt64, threads: Int = 6, rounds: Int = 60) throws -> [String]
    {
        let findings = Findings()
        let borrowers = LooseCount()
        try onThreads(threads) { thread in
            var random = SplitMix(seed: seed &+ UInt64(thread))
            for _ in 0..<rounds {
                let own = UInt8(1 + borrowers.add(1) % 255)
                lender.lend(Int.random(in: 1...16_384, using: &random)) { capacity, append in
                    append(capacity) { room in
                        findings.expect(room.count == capacity, "room for \(room.count) of \(capacity)")
                        findings.expect(room.allSatisfy { $0 == 0 }, "a fresh buffer of \(capacity) is not empty")
                        return 0
                    }
                    for _ in 0..<3 {
                        // Writes to all the room, but says that it wrote less; and grows now and then.
                        append(Int.random(in: 1...capacity, using: &random)) { room in
                            findings.expect(room.allSatisfy { $0 == 0 || $0 == own }, "a stranger in the room")
                            _ = room.initializeMemory(as: UInt8.self, repeating: own)
                            return Int.random(in: 0...room.count, using: &random)
                        }
                    }
                }
            }
        }
        return findings.all
    }

    @Test func noByteOfOneBorrowerIsSeenByAnother() throws {
        let pool = BufferPool(name: "test.pool.bytes", maxBuffers: 6, maxBytesKept: 48 << 10)
        #expect(try strangers(in: pool, seed: 1) == [])
        let statistics = pool.statistics
        #expect(statistics.borrowed == 360)
        #expect(statistics.reused > 0)
        #expect(statistics.lent == 0)
    }

    @Test func theSameCheckCatchesPoolsThatDoNotWipeEnough() throws {
        #expect(try strangers(in: CopyOfThePool(.none), seed: 1) == [])
        #expect(try strangers(in: CopyOfThePool(.notWiped), seed: 1) != [])
        #expect(try strangers(in: CopyOfThePool(.onlyWhatCountsIsWiped), seed: 1) != [])
    }

    /// The pool against an array, in a random order of appending, emptying and giving back.
    @Test func holdsWhatWasAppended() throws {
        let limit = 100_000
        let pool = BufferPool(name: "test.pool.model", maxBuffers: 1, maxBytesKept: 1 << 20, maxBufferBytes: limit)
        for seed in 0..<12 as Range<UInt64> {
            var random = SplitMix(seed: seed)
            var buffer = try pool.borrow(atLeast: Int.random(in: 0...limit, using: &random))
            var reference: [UInt8] = []
            for _ in 0..<20 {
                let length = Int(random.next() % 4 == 0 ? random.next() % 40_000 : random.next() % 100)
                let bytes = [UInt8](repeating: UInt8.random(in: 1...255, using: &random), count: length)
                let fits = reference.count + bytes.count <= limit
                do throws(BufferPool.Refusal) {
                    switch random.next() % 3 {
                    case 0: try buffer.append(bytes.span.bytes)
                    case 1: try append(bytes, to: &buffer, throughRoomFor: fits ? bytes.count + 1 : bytes.count)
                    default: try appendUnsafely(bytes, to: &buffer)
                    }
                    #expect(fits)
                    reference += bytes
                } catch {
                    #expect(error == .tooLarge(limit: limit))
                    #expect(!fits || reference.count + bytes.count == limit)
                }
                #expect(buffer.count == reference.count)
                #expect(buffer.capacity >= buffer.count && buffer.capacity <= limit)
                #expect(buffer.withUnsafeBytes { Array($0) } == reference)
                #expect(buffer.withBytes { $0.withUnsafeBytes { Array($0) } } == reference)
                if random.next() % 10 == 0 {
                    buffer.removeAll()
                    reference = []
                    #expect(buffer.count == 0)
                    try buffer.append(atMost: buffer.capacity) { room in
                        #expect(room.allSatisfy { $0 == 0 })
                        return 0
                    }
                }
            }
            buffer.giveBack()
        }
        #expect(pool.statistics.lent == 0)
    }

    private func append(
        _ bytes: [UInt8],
        to buffer: inout PooledBuffer,
        throughRoomFor most: Int
    ) throws(BufferPool.Refusal) {
        do {
            try buffer.append(atMost: most) { room in
                room.copyBytes(from: bytes)
                return bytes.count
            }
        } catch let refusal as BufferPool.Refusal {
            throw refusal
        } catch {
            Issue.record(error)
        }
    }

    private func appendUnsafely(_ bytes: [UInt8], to buffer: inout PooledBuffer) throws(BufferPool.Refusal) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        try buffer.append(UnsafeRawBufferPointer(copy))
    }

    private struct Broken: Error {}

    @Test func addsNothingWhenFillingFailsAndWipesWhatItWrote() throws {
        let pool = BufferPool(name: "test.pool.filling", maxBuffers: 1, maxBytesKept: 1 << 20)
        do {
            var buffer = try pool.borrow(atLeast: 100)
            #expect(throws: Broken.self) {
                try buffer.append(atMost: 100) { room in
                    _ = room.initializeMemory(as: UInt8.self, repeating: 7)
                    throw Broken()
                }
            }
            #expect(buffer.count == 0)
        }
        var next = try pool.borrow(atLeast: 100)
        #expect(pool.statistics.reused == 1)
        try next.append(atMost: next.capacity) { room in
            #expect(room.allSatisfy { $0 == 0 })
            return 0
        }
    }

    #if DEBUG
        /// In debug builds memory is looked at before it is freed: what a buffer held before it grew, too. The
        /// allocator would hand it to anybody.
        @Test func wipesWhatItGrowsOutOf() async {
            await #expect(processExitsWith: .success) {
                let pool = BufferPool(name: "test.pool.growth", maxBuffers: 2, maxBytesKept: 1 << 20)
                var buffer = try pool.borrow(atLeast: 100)
                for length in [3_000, 5_000, 50_000] {
                    try buffer.append([UInt8](repeating: 0xA5, count: length).span.bytes)
                    // More than it says that it wrote.
                    try buffer.append(atMost: buffer.capacity - buffer.count) { room in
                        _ = room.initializeMemory(as: UInt8.self, repeating: 0x5A)
                        return 0
                    }
                }
                #expect(buffer.count == 58_000 && pool.statistics.allocated == 3)
            }
        }
    #endif

    @Test func refusesBeyondItsBuffers() throws {
        let pool = BufferPool(name: "test.pool.full", maxBuffers: 2, maxBytesKept: 1 << 20)
        let first = try pool.borrow(atLeast: 10)
        let second = try pool.borrow(atLeast: 10)
        #expect(throws: BufferPool.Refusal.allLent(limit: 2)) { _ = try pool.borrow(atLeast: 10) }
        first.giveBack()
        let third = try pool.borrow(atLeast: 10)
        #expect(
            pool.statistics
                == .init(borrowed: 3, reused: 1, allocated: 2, refused: 1, lent: 2, kept: 0, keptBytes: 0)
        )
        second.giveBack()
        third.giveBack()
        #expect(
            pool.statistics
                == .init(borrowed: 3, reused: 1, allocated: 2, refused: 1, lent: 0, kept: 2, keptBytes: 8_192)
        )
    }

    @Test func refusesWhatIsLargerThanABufferMayBe() throws {
        let pool = BufferPool(name: "test.pool.large", maxBuffers: 2, maxBytesKept: 1 << 20, maxBufferBytes: 5_000)
        #expect(throws: BufferPool.Refusal.tooLarge(limit: 5_000)) { _ = try pool.borrow(atLeast: 5_001) }
        #expect(throws: BufferPool.Refusal.tooLarge(limit: 5_000)) { _ = try pool.borrow(atLeast: .max) }
        let buffer = try pool.borrow(atLeast: 4_097)
        #expect(buffer.capacity == 5_000)
        #expect(pool.statistics.refused == 2)
        #expect(pool.statistics.lent == 1)
    }

    /// Asking for the impossible is refused and leaves no trace.
    @Test func refusesWhatThereIsNoMemoryFor() throws {
        let pool = BufferPool(name: "test.pool.memory", maxBuffers: 1, maxBytesKept: 100, maxBufferBytes: .max)
        // A sanitizer ends the process instead of refusing.
        if !Linked.hasThreadSanitizer && !Linked.hasAddressSanitizer {
            #expect(throws: BufferPool.Refusal.outOfMemory) { _ = try pool.borrow(atLeast: .max - 1) }
        }
        #expect(pool.statistics.lent == 0)
        #expect(try pool.borrow(atLeast: 1).capacity == 4_096)
    }

    @Test func givesTheSmallestThatFitsAndFreesOneThatDoesNotForRoom() throws {
        let pool = BufferPool(name: "test.pool.fit", maxBuffers: 3, maxBytesKept: 1 << 20)
        do {
            let large = try pool.borrow(atLeast: 65_536)
            let small = try pool.borrow(atLeast: 4_096)
            let middle = try pool.borrow(atLeast: 16_384)
            large.giveBack()
            small.giveBack()
            middle.giveBack()
        }
        #expect(pool.statistics.keptBytes == 65_536 + 4_096 + 16_384)
        #expect(try pool.borrow(atLeast: 5_000).capacity == 16_384)
        #expect(try pool.borrow(atLeast: 0).capacity == 4_096)
        let larger = try pool.borrow(atLeast: 65_537)
        #expect(larger.capacity == 131_072)
        #expect(pool.statistics.kept == 2)
        #expect(pool.statistics.keptBytes == 65_536 + 16_384)
        #expect(pool.statistics.allocated == 4)
    }

    @Test func freesWhatIsTooLargeToKeep() throws {
        let pool = BufferPool(
            name: "test.pool.kept",
            maxBuffers: 8,
            maxBytesKept: 10_000,
            maxKeptBufferBytes: 8_192
        )
        try pool.borrow(atLeast: 8_193).giveBack()
        #expect(pool.statistics.kept == 0)
        try pool.borrow(atLeast: 8_192).giveBack()
        #expect(pool.statistics.keptBytes == 8_192)
        do {
            // 4,096 more would be past the bytes that may be kept.
            let one = try pool.borrow(atLeast: 8_192)
            let other = try pool.borrow(atLeast: 4_096)
            one.giveBack()
            other.giveBack()
        }
        #expect(pool.statistics.kept == 1)
        #expect(pool.statistics.keptBytes == 8_192)
        #expect(pool.statistics.lent == 0)
    }

    @Test func staysWithinItsBoundsUnderManyThreads() throws {
        let pool = BufferPool(name: "test.pool.bounds", maxBuffers: 4, maxBytesKept: 40_000, maxBufferBytes: 30_000)
        let findings = Findings()
        let held = Count()
        let refused = LooseCount()
        try onThreads(8) { thread in
            var random = SplitMix(seed: UInt64(thread))
            for _ in 0..<300 {
                do throws(BufferPool.Refusal) {
                    var buffer = try pool.borrow(atLeast: Int.random(in: 1...10_000, using: &random))
                    findings.expect(held.add(1) <= 4, "more than four are lent")
                    try? buffer.append(
                        [UInt8](repeating: 1, count: Int.random(in: 1...40_000, using: &random)).span.bytes
                    )
                    held.add(-1)
                } catch {
                    findings.expect(error == .allLent(limit: 4), "\(error)")
                    refused.add(1)
                    sched_yield()
                }
                let now = pool.statistics
                findings.expect(now.lent + now.kept <= 4, "\(now.lent) lent and \(now.kept) kept")
                findings.expect(now.keptBytes <= 40_000, "\(now.keptBytes) bytes kept")
            }
        }
        #expect(findings.all == [])
        let end = pool.statistics
        #expect(end.lent == 0)
        #expect(end.borrowed == UInt64(2_400 - refused.now))
        #expect(end.refused >= UInt64(refused.now))
        #expect(end.reused > 0)
    }

    @Test func livesAsLongAsItsBuffers() throws {
        weak var gone: BufferPool?
        do {
            var buffer: PooledBuffer? = nil
            do {
                let pool = BufferPool(name: "test.pool.life", maxBuffers: 1, maxBytesKept: 1 << 20)
                gone = pool
                buffer = try pool.borrow(atLeast: 1)
            }
            #expect(gone != nil)
            buffer = nil
            _ = consume buffer
        }
        #expect(gone == nil)
    }
}

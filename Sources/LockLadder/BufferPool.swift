internal import Glibc

/// Buffers for bytes of unknown length, lent out and taken back: a body that is downloaded does not cost an allocation
/// and its page faults each time.
///
/// Use it for buffers that live for one request and are large. Do not use it for small ones (the allocator is faster
/// than the pool's lock), nor for bytes that are kept: a buffer that is lent out counts against ``Limits/buffers``.
///
/// - No byte of one borrower is ever seen by another: what a borrower may have written is overwritten with zeros before
///   the buffer is taken back or freed, and new memory is zero. So all of a fresh buffer's room reads as zero.
/// - Bounded: at most ``Limits/buffers`` exist, lent out and kept together; none is larger than ``Limits/bufferBytes``;
///   those kept are together no larger than ``Limits/keptBytes``. Beyond that it refuses or frees, it never waits for
///   a buffer.
/// - Progress: a mutex around a short list, under which nothing is allocated, wiped or freed but the list itself.
/// - Memory order: by the mutex.
/// - Thread safety: the pool may be used by any thread at any time. A buffer belongs to whoever holds it.
/// - Errors: ``Refusal``.
public final class BufferPool: Sendable {
    /// A buffer that was not given, or did not grow.
    public enum Refusal: Error, Sendable, Equatable {
        /// All buffers are lent out.
        case allLent(limit: Int)
        /// More bytes than one buffer may have.
        case tooLarge(limit: Int)
        /// The system has no memory to give.
        case outOfMemory
    }

    public struct Limits: Sendable, Equatable {
        /// How many buffers may exist, lent out and kept together.
        public var buffers: Int
        /// How many bytes the buffers that are kept may have together.
        public var keptBytes: Int
        /// How many bytes one buffer may have.
        public var bufferBytes: Int
        /// A buffer of more bytes is freed when it comes back.
        public var keptBufferBytes: Int
    }

    /// Counts since the pool was made, and how it stands.
    public struct Statistics: Sendable, Equatable {
        /// Buffers given to borrowers.
        public var borrowed: UInt64 = 0
        /// Of those, the ones that were there already.
        public var reused: UInt64 = 0
        /// Allocations: for borrowers for whom there was no buffer, and for buffers that grew.
        public var allocated: UInt64 = 0
        public var refused: UInt64 = 0
        /// Buffers with borrowers now.
        public var lent = 0
        /// Buffers that wait for borrowers now, and their bytes.
        public var kept = 0
        public var keptBytes = 0
    }

    private struct State {
        var kept: [PooledMemory] = []
        var statistics = Statistics()

        /// The smallest buffer that is large enough, or else the smallest of all.
        func bestFit(_ bytes: Int) -> (index: Int, fits: Bool)? {
            var best: (index: Int, fits: Bool)?
            for (index, memory) in kept.enumerated() {
                let fits = memory.capacity >= bytes
                if let best {
                    if best.fits && !fits { continue }
                    if best.fits == fits && kept[best.index].capacity <= memory.capacity { continue }
                }
                best = (index, fits)
            }
            return best
        }

        mutating func takeOut(_ index: Int) -> PooledMemory {
            let memory = kept.remove(at: index)
            statistics.kept -= 1
            statistics.keptBytes -= memory.capacity
            return memory
        }
    }

    /// What became of a wish for a buffer.
    private enum Grant {
        case reused(PooledMemory)
        /// There is room for a new one once this one is freed.
        case allocate(freeing: PooledMemory?)
        case refused
    }

    private static var smallest: Int { 4_096 }

    private let state: Mutex<State>
    public let limits: Limits

    /// - Parameters:
    ///   - name: names the pool's mutex.
    ///   - maxBuffers: how many buffers may exist, lent out and kept together.
    ///   - maxBytesKept: how many bytes the kept ones may have together.
    ///   - maxBufferBytes: how many bytes one buffer may have.
    ///   - maxKeptBufferBytes: a buffer of more bytes is freed when it comes back; without it, `maxBytesKept`.
    public init(
        name: StaticString,
        maxBuffers: Int,
        maxBytesKept: Int,
        maxBufferBytes: Int = 64 << 20,
        maxKeptBufferBytes: Int? = nil
    ) {
        precondition(maxBuffers > 0 && maxBufferBytes > 0 && maxBytesKept >= 0)
        state = Mutex(name, State())
        limits = Limits(
            buffers: maxBuffers,
            keptBytes: maxBytesKept,
            bufferBytes: maxBufferBytes,
            keptBufferBytes: min(maxKeptBufferBytes ?? maxBytesKept, maxBytesKept)
        )
    }

    deinit {
        // Nothing is lent out: each buffer holds its pool. What is kept was wiped when it came back.
        for memory in state.withLock({ $0.kept }) { memory.free() }
    }

    public var statistics: Statistics { state.withLock { $0.statistics } }

    /// Lends out an empty buffer with room for `bytes` bytes or more.
    public func borrow(atLeast bytes: Int) throws(Refusal) -> PooledBuffer {
        guard let capacity = capacity(for: bytes) else {
            state.withLock { $0.statistics.refused += 1 }
            throw .tooLarge(limit: limits.bufferBytes)
        }
        switch grant(bytes) {
        case .reused(let memory):
            return PooledBuffer(memory, of: self)
        case .allocate(let surplus):
            surplus?.free()
            guard let memory = PooledMemory(zeroed: capacity) else {
                state.withLock {
                    $0.statistics.lent -= 1
                    $0.statistics.refused += 1
                }
                throw .outOfMemory
            }
            state.withLock {
                $0.statistics.borrowed += 1
                $0.statistics.allocated += 1
            }
            return PooledBuffer(memory, of: self)
        case .refused:
            throw .allLent(limit: limits.buffers)
        }
    }

    private func grant(_ bytes: Int) -> Grant {
        state.withLock { state in
            let fit = state.bestFit(bytes)
            let mayGrow = state.statistics.lent + state.kept.count < limits.buffers
            guard fit != nil || mayGrow else {
                state.statistics.refused += 1
                return .refused
            }
            state.statistics.lent += 1
            guard let fit else { return .allocate(freeing: nil) }
            if fit.fits {
                state.statistics.borrowed += 1
                state.statistics.reused += 1
                return .reused(state.takeOut(fit.index))
            }
            return .allocate(freeing: mayGrow ? nil : state.takeOut(fit.index))
        }
    }

    /// The bytes to allocate for `bytes`: a power of two where the limit allows, so that one buffer fits many.
    fileprivate func capacity(for bytes: Int) -> Int? {
        guard bytes <= limits.bufferBytes else { return nil }
        var capacity = min(Self.smallest, limits.bufferBytes)
        // Ends: doubles until the limit.
        while capacity < bytes { capacity = capacity > limits.bufferBytes / 2 ? limits.bufferBytes : capacity * 2 }
        return capacity
    }

    fileprivate func noteGrowth() { state.withLock { $0.statistics.allocated += 1 } }

    fileprivate func noteRefusal() { state.withLock { $0.statistics.refused += 1 } }

    /// - Parameter memory: wiped by the caller.
    fileprivate func takeBack(_ memory: PooledMemory) {
        let isKept = state.withLock { state in
            guard memory.capacity <= limits.keptBufferBytes,
                state.statistics.keptBytes + memory.capacity <= limits.keptBytes
            else { return false }
            state.kept.append(memory)
            state.statistics.kept += 1
            state.statistics.keptBytes += memory.capacity
            state.statistics.lent -= 1
            return true
        }
        if isKept { return }
        // Freed before it counts as gone: at no moment there are more than the limit.
        memory.free()
        state.withLock { $0.statistics.lent -= 1 }
    }
}

/// A buffer of a ``BufferPool``, and what is in it so far. It goes back by itself at the end of its life.
///
/// It cannot be copied and giving it back consumes it: to give it back twice, or to use it afterwards, does not
/// compile. It belongs to one thread at a time, and may be handed from one to another.
@safe
public struct PooledBuffer: ~Copyable, @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: the memory is this buffer's alone, and this buffer has one owner.
    private var memory: PooledMemory
    private let pool: BufferPool
    /// The bytes that are in it.
    public private(set) var count = 0
    /// From here on nobody has written: at least `count`.
    private var touched = 0

    fileprivate init(_ memory: PooledMemory, of pool: BufferPool) {
        self.memory = memory
        self.pool = pool
    }

    deinit {
        memory.wipe(touched)
        pool.takeBack(memory)
    }

    /// Gives the buffer back now, and not at the end of its scope.
    public consuming func giveBack() {}

    /// How many bytes fit in without growth.
    public var capacity: Int { memory.capacity }

    /// Adds bytes at the end, and grows if need be. When it throws, nothing has changed.
    public mutating func append(_ bytes: RawSpan) throws(BufferPool.Refusal) {
        try makeRoom(bytes.byteCount)
        unsafe bytes.withUnsafeBytes { bytes in unsafe memory.copy(bytes, to: count) }
        count += bytes.byteCount
        touched = max(touched, count)
    }

    /// Adds bytes at the end, as ``append(_:)-(RawSpan)``.
    @unsafe
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(BufferPool.Refusal) {
        try makeRoom(bytes.count)
        unsafe memory.copy(bytes, to: count)
        count += bytes.count
        touched = max(touched, count)
    }

    /// Lends out room for `most` bytes behind what is there, which is zero as long as the borrower has not written to
    /// it, and adds as many of them as `fill` says: for `read` and its kin.
    ///
    /// - Parameter fill: writes nowhere else, keeps no address, and returns at most the size of its argument; more than
    ///   that stops the process. When it throws, nothing is added.
    @unsafe
    public mutating func append(
        atMost most: Int,
        _ fill: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws {
        precondition(most >= 0)
        try makeRoom(most)
        // Whatever it returns, and if it throws: it may have written to all of it.
        touched = max(touched, count + most)
        let added = unsafe try fill(memory.room(at: count, most))
        precondition(added >= 0 && added <= most)
        count += added
    }

    /// Makes what is in it at least `bytes` long, with zeros, and lends all of its room out by address, for code that
    /// writes there over a longer time. The address is good until the buffer grows, is emptied or goes back.
    @unsafe
    public mutating func resize(atLeast bytes: Int) throws(BufferPool.Refusal) -> UnsafeMutableRawBufferPointer {
        try makeRoom(max(0, bytes - count))
        count = capacity
        touched = capacity
        return unsafe memory.room(at: 0, capacity)
    }

    /// Lends out what is there.
    public borrowing func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // SAFETY: the bytes below `count` are initialised and stay in place while this buffer is borrowed.
        let bytes = unsafe UnsafeRawBufferPointer(memory.room(at: 0, count))
        return try body(unsafe bytes.bytes)
    }

    /// Lends out what is there. Its address must not be kept.
    @unsafe
    public borrowing func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        unsafe try body(UnsafeRawBufferPointer(memory.room(at: 0, count)))
    }

    /// Empties and wipes the buffer, which keeps its room.
    public mutating func removeAll() {
        memory.wipe(touched)
        touched = 0
        count = 0
    }

    private mutating func makeRoom(_ more: Int) throws(BufferPool.Refusal) {
        guard more > memory.capacity - count else { return }
        let (needed, overflow) = count.addingReportingOverflow(more)
        guard !overflow, let capacity = pool.capacity(for: needed) else {
            pool.noteRefusal()
            throw .tooLarge(limit: pool.limits.bufferBytes)
        }
        guard let larger = PooledMemory(zeroed: capacity) else {
            pool.noteRefusal()
            throw .outOfMemory
        }
        pool.noteGrowth()
        unsafe larger.copy(UnsafeRawBufferPointer(memory.room(at: 0, count)), to: 0)
        // The allocator hands the old memory to anybody.
        memory.wipe(touched)
        memory.free()
        memory = larger
        touched = count
    }
}

/// The memory of one buffer. Owned by the ``PooledBuffer`` that has it, or by the pool.
@safe
private struct PooledMemory: @unchecked Sendable {
    // SAFETY: `@unchecked Sendable`: an address and a number; who may use the memory is the owner's business.
    private let start: UnsafeMutableRawPointer
    let capacity: Int

    /// `nil` when there is no memory to be had.
    init?(zeroed capacity: Int) {
        // calloc: what the allocator had there before is nobody's to see, and pages fresh from the kernel cost nothing.
        guard let start = unsafe calloc(1, capacity) else { return nil }
        unsafe self.start = start
        self.capacity = capacity
    }

    /// Whoever frees it has wiped it.
    func free() {
        assert(isWiped, "bytes of a borrower would be freed")
        unsafe Glibc.free(start)
    }

    /// Whether it holds zeros only: then each byte is like the one before it, and the first is zero.
    private var isWiped: Bool {
        let first = unsafe start.load(as: UInt8.self)
        return unsafe first == 0 && memcmp(start, start + 1, capacity - 1) == 0
    }

    /// Overwrites the first bytes with zeros. Not memset, which the compiler leaves out before a free.
    func wipe(_ count: Int) { unsafe explicit_bzero(start, count) }

    func room(at offset: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        // Callers stay within the capacity; looked at once more, as bytes from the network depend on it.
        precondition(offset >= 0 && count >= 0 && count <= capacity - offset)
        return unsafe UnsafeMutableRawBufferPointer(start: start + offset, count: count)
    }

    func copy(_ bytes: UnsafeRawBufferPointer, to offset: Int) {
        unsafe room(at: offset, bytes.count).copyMemory(from: bytes)
    }
}

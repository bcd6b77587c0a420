public import CLockLadder
public import Synchronization

/// A counter spread over several cache lines: many threads count at once without passing one line to and fro.
///
/// Use it for what many threads count often and somebody reads now and then. Do not use it for what is read as often
/// as it is counted, or where the addition must tell the count: ``PaddedCounter`` does both, in one line of memory
/// instead of one for each processor.
///
/// - Progress: adding is wait-free, one atomic addition. Reading is wait-free, one load for each stripe.
/// - Memory order: relaxed throughout; nothing else is ordered by counting.
/// - Exactness: no addition is ever lost, also when two threads share a stripe. ``sum`` is exact when the additions
///   happened before it (the threads were joined, say). While others count it lies between the count when the
///   reading began and the count when it ended, as long as nobody adds so much that the counter wraps.
/// - Thread safety: any thread may do anything at any time.
/// - Errors: none; past 2⁶⁴ − 1 the sum begins again at 0.
@safe
public final class StripedCounter: Sendable {
    /// 128 bytes from one stripe to the next: x86-64 fetches lines in pairs, and some arm64 lines are that long.
    @usableFromInline static let shift = 7
    /// 8 KB: more stripes than this make a reading slow and are no faster to write.
    private static let mostStripes = 64

    // SAFETY: allocated and initialised in init, freed in deinit, only atomics inside, the address never changes.
    @usableFromInline nonisolated(unsafe) let stripes: UnsafeMutableRawPointer
    @usableFromInline let mask: UInt32

    /// - Parameter stripes: rounded up to a power of two, at most 64. Without it, one for each processor online.
    public init(stripes count: Int? = nil) {
        let count =
            count.map { ProcessorCount.powerOfTwo(atLeast: $0, atMost: Self.mostStripes) }
            ?? ProcessorCount.powerOfTwo(atMost: Self.mostStripes)
        mask = UInt32(count - 1)
        unsafe stripes = .allocate(byteCount: count << Self.shift, alignment: 1 << Self.shift)
        for index in 0..<count {
            let place = unsafe stripes + index << Self.shift
            unsafe place.bindMemory(to: Atomic<UInt64>.self, capacity: 1).initialize(to: Atomic(0))
        }
    }

    deinit {
        // Atomics of integers need no deinitialisation.
        unsafe stripes.deallocate()
    }

    public var stripeCount: Int { Int(mask) + 1 }

    @usableFromInline
    @inline(__always)
    func stripe(_ index: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        // SAFETY: `index` is at most `mask`; the stripe was bound and initialised in init.
        unsafe (stripes + Int(index) << Self.shift).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Counts, on the stripe of the calling thread.
    @inlinable
    @inline(__always)
    public func add(_ amount: UInt64 = 1) {
        // Relaxed: see the type. Atomic, since two threads may share a stripe.
        unsafe stripe(cll_thread_index() & mask).pointee.wrappingAdd(amount, ordering: .relaxed)
    }

    /// The count: see the type for how exact it is.
    public var sum: UInt64 {
        var sum: UInt64 = 0
        // Relaxed: see the type. Each stripe only grows, so none is read below what it held when the reading began.
        for index in 0...mask { unsafe sum &+= stripe(index).pointee.load(ordering: .relaxed) }
        return sum
    }
}

internal import Synchronization

/// Counts of waits by length, log-linear: four buckets to each doubling from 1 µs to 16.8 s, in fixed memory.
///
/// Any thread may record and any may read, without waiting; a reader sees counts that may be a moment apart.
@safe
public final class WaitHistogram: Sendable {
    /// 1 µs · 2²⁴ = 16.8 s; one bucket for what is shorter, one for what is longer.
    static let octaves = 24
    static let bucketCount = octaves * 4 + 2

    // SAFETY: allocated and initialised in init, freed in deinit, only atomics inside, the address never changes.
    private nonisolated(unsafe) let buckets: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        unsafe buckets = .allocate(capacity: Self.bucketCount)
        for index in 0..<Self.bucketCount { unsafe (buckets + index).initialize(to: Atomic(0)) }
    }

    deinit {
        unsafe buckets.deinitialize(count: Self.bucketCount)
        unsafe buckets.deallocate()
    }

    func record(nanoseconds: UInt64) {
        // Relaxed: a count that nothing else is ordered by.
        unsafe buckets[Self.bucket(ofNanoseconds: nanoseconds)].add(1, ordering: .relaxed)
    }

    static func bucket(ofNanoseconds nanoseconds: UInt64) -> Int {
        // A bucket holds what is at most its upper bound, hence the step down before the division.
        let quarters = nanoseconds == 0 ? 0 : (nanoseconds - 1) / 250
        guard quarters >= 4 else { return 0 }
        let octave = 61 - quarters.leadingZeroBitCount
        guard octave < octaves else { return bucketCount - 1 }
        let quarter = Int(quarters >> UInt64(octave)) - 4
        return 1 + octave * 4 + quarter
    }

    /// The longest wait that belongs into `bucket`; `nil` for the last one, which has no bound.
    static func upperBoundNanoseconds(ofBucket bucket: Int) -> UInt64? {
        if bucket == 0 { return 1_000 }
        if bucket == bucketCount - 1 { return nil }
        let octave = UInt64((bucket - 1) / 4)
        let quarter = UInt64((bucket - 1) % 4)
        return (5 + quarter) * 250 << octave
    }

    /// The non-empty buckets in rising order: how many waits were at most `upperBound` and longer than the bucket
    /// before; `nil` is the bucket without bound.
    public var counts: [(upperBoundNanoseconds: UInt64?, count: UInt64)] {
        (0..<Self.bucketCount).compactMap { bucket in
            // Relaxed: see record.
            let count = unsafe buckets[bucket].load(ordering: .relaxed)
            return count == 0 ? nil : (Self.upperBoundNanoseconds(ofBucket: bucket), count)
        }
    }
}

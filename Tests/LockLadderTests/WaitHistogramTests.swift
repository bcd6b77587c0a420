import Testing

@testable import LockLadder

@Suite struct WaitHistogramTests {
    /// The bounds of the first buckets and of the last ones, as a person would write them down.
    @Test(
        arguments: [
            (0, 1_000), (1, 1_250), (2, 1_500), (3, 1_750), (4, 2_000), (5, 2_500), (6, 3_000), (7, 3_500), (8, 4_000),
            (9, 5_000), (12, 8_000), (40, 1_024_000), (93, 10_485_760_000), (94, 12_582_912_000), (95, 14_680_064_000),
            (96, 16_777_216_000),
        ] as [(Int, UInt64)]
    )
    func hasTheBoundsOfTheTable(bucket: Int, bound: UInt64) {
        #expect(WaitHistogram.upperBoundNanoseconds(ofBucket: bucket) == bound)
        #expect(WaitHistogram.bucket(ofNanoseconds: bound) == bucket)
        #expect(WaitHistogram.bucket(ofNanoseconds: bound + 1) == bucket + 1)
    }

    @Test func endsInOneBucketWithoutBound() {
        let last = WaitHistogram.bucketCount - 1
        #expect(last == 97)
        #expect(WaitHistogram.upperBoundNanoseconds(ofBucket: last) == nil)
        #expect(WaitHistogram.bucket(ofNanoseconds: 16_777_216_001) == last)
        #expect(WaitHistogram.bucket(ofNanoseconds: .max) == last)
    }

    @Test func hasBoundsThatRise() throws {
        var before: UInt64 = 0
        for bucket in 0..<(WaitHistogram.bucketCount - 1) {
            let bound = try #require(WaitHistogram.upperBoundNanoseconds(ofBucket: bucket))
            #expect(bound > before)
            // Log-linear: no bucket past the first is wider than a quarter of what is below it.
            if bucket > 0 { #expect(bound - before <= before / 4) }
            before = bound
        }
    }

    /// A value belongs into the first bucket whose bound is not below it.
    private func isInItsBucket(_ nanoseconds: UInt64) -> Bool {
        let bucket = WaitHistogram.bucket(ofNanoseconds: nanoseconds)
        guard (0..<WaitHistogram.bucketCount).contains(bucket) else { return false }
        let fitsBelow = bucket > 0 && WaitHistogram.upperBoundNanoseconds(ofBucket: bucket - 1)! >= nanoseconds
        let fits = WaitHistogram.upperBoundNanoseconds(ofBucket: bucket).map { $0 >= nanoseconds } ?? true
        return fits && !fitsBelow
    }

    @Test func putsEveryValueIntoItsBucket() throws {
        for nanoseconds in 0...20_000 as ClosedRange<UInt64> where !isInItsBucket(nanoseconds) {
            Issue.record("\(nanoseconds)")
        }
        for bucket in 0..<(WaitHistogram.bucketCount - 1) {
            let bound = try #require(WaitHistogram.upperBoundNanoseconds(ofBucket: bucket))
            for nanoseconds in [bound - 1, bound, bound + 1] { #expect(isInItsBucket(nanoseconds), "\(nanoseconds)") }
        }
        var random = SplitMix(seed: 1)
        for _ in 0..<100_000 {
            let nanoseconds = random.next() >> UInt64.random(in: 0..<64, using: &random)
            if !isInItsBucket(nanoseconds) { Issue.record("\(nanoseconds)") }
        }
    }

    @Test func tellsTheNonEmptyBucketsInRisingOrder() {
        let histogram = WaitHistogram()
        #expect(histogram.counts.isEmpty)
        for nanoseconds in [1_250, 0, .max, 1_001, 1_000, 1_251, 16_777_216_001, 1_100] as [UInt64] {
            histogram.record(nanoseconds: nanoseconds)
        }
        #expect(histogram.counts.map(\.upperBoundNanoseconds) == [1_000, 1_250, 1_500, nil])
        #expect(histogram.counts.map(\.count) == [2, 3, 1, 2])
    }

    @Test func losesNoCountOfManyThreads() throws {
        let histogram = WaitHistogram()
        try onThreads(8) { index in
            for round in 0..<5_000 { histogram.record(nanoseconds: UInt64(round % 2 == 0 ? 500 : 2_000 + index)) }
        }
        #expect(histogram.counts.map(\.count) == [20_000, 2_500, 17_500])
        #expect(histogram.counts.map(\.upperBoundNanoseconds) == [1_000, 2_000, 2_500])
    }
}

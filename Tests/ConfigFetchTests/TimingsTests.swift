import Curl
import Testing

@testable import ConfigFetch

@Suite struct TimingsTests {
    @Test func countsByLength() {
        var timings = FetchTimings()
        #expect(timings[.total].buckets.isEmpty)
        let lengths: [UInt64] = [1, 250_000, 250_001, 1_000_000, 17_000_000_000]
        for length in lengths {
            timings.note(CurlTransfer.Timings(resolve: nil, connect: nil, tls: nil, firstByte: length, total: length))
        }
        for part in [FetchTimings.Part.wait, .resolve, .connect, .tls] { #expect(timings[part].count == 0) }
        let total = timings[.total]
        #expect(total.count == 5)
        #expect(total.sumNanoseconds == lengths.reduce(0, +))
        #expect(total.maxNanoseconds == 17_000_000_000)
        #expect(total.buckets.map(\.count) == [2, 2, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(total.buckets.last?.upperBoundNanoseconds == nil)
        #expect(timings[.firstByte].buckets.map(\.count) == total.buckets.map(\.count))
    }
}

import Curl
import Testing

@testable import ConfigFetch

@Suite struct TimingsTests {
    @Test("Each part has a place of its own")
    func parts() {
        var timings = FetchTimings()
        timings.note(CurlTransfer.Timings(resolve: 1, connect: 20, tls: 300, firstByte: 4_000, total: 50_000))
        timings.noteWait(600_000)
        let sums = [FetchTimings.Part.resolve, .connect, .tls, .firstByte, .total, .wait].map {
            timings[$0].sumNanoseconds
        }
        #expect(sums == [1, 20, 300, 4_000, 50_000, 600_000])
    }

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

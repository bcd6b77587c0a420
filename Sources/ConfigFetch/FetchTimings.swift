internal import Curl

/// How long requests to a source took, part by part, as histograms.
public struct FetchTimings: Sendable {
    /// In the order in which they happen. The second to the fourth happen only where a connection is made, which is seldom
    /// while the origin keeps connections open.
    public enum Part: String, CaseIterable, Sendable {
        /// From the time it was due until it set out; only of requests that the schedule makes.
        case wait
        /// From the start until the name was resolved.
        case resolve
        /// From there until the connection stood.
        case connect
        /// From there until its TLS was agreed on.
        case tls
        /// From the request until the first byte of the answer.
        case firstByte = "first_byte"
        /// From the start to the last byte; of failed requests, to the failure.
        case total
    }

    /// Counts by length, in fixed memory once there is anything to count.
    public struct Histogram: Sendable {
        /// Upper bounds in nanoseconds: 250 µs, and four times as much from bucket to bucket, up to 16 s. What is longer
        /// goes into a bucket without a bound.
        static let bounds: [UInt64] = (0..<9).map { 250_000 << (2 * UInt64($0)) }

        private var counts: [UInt64] = []
        public private(set) var sumNanoseconds: UInt64 = 0
        public private(set) var maxNanoseconds: UInt64 = 0

        public var count: UInt64 { counts.reduce(0, +) }

        /// Rising, not cumulative; `nil` is the bucket without a bound. Empty when nothing was counted.
        public var buckets: [(upperBoundNanoseconds: UInt64?, count: UInt64)] {
            counts.enumerated().map { ($0.offset < Self.bounds.count ? Self.bounds[$0.offset] : nil, $0.element) }
        }

        mutating func note(_ nanoseconds: UInt64) {
            if counts.isEmpty { counts = Array(repeating: 0, count: Self.bounds.count + 1) }
            counts[Self.bounds.firstIndex { nanoseconds <= $0 } ?? Self.bounds.count] += 1
            sumNanoseconds += nanoseconds
            maxNanoseconds = max(maxNanoseconds, nanoseconds)
        }
    }

    private var wait = Histogram()
    private var resolve = Histogram()
    private var connect = Histogram()
    private var tls = Histogram()
    private var firstByte = Histogram()
    private var total = Histogram()

    public init() {}

    public subscript(part: Part) -> Histogram {
        switch part {
        case .wait: wait
        case .resolve: resolve
        case .connect: connect
        case .tls: tls
        case .firstByte: firstByte
        case .total: total
        }
    }

    mutating func note(_ timings: CurlTransfer.Timings) {
        if let time = timings.resolve { resolve.note(time) }
        if let time = timings.connect { connect.note(time) }
        if let time = timings.tls { tls.note(time) }
        if let time = timings.firstByte { firstByte.note(time) }
        total.note(timings.total)
    }

    mutating func noteWait(_ nanoseconds: UInt64) { wait.note(nanoseconds) }

    /// A file was read, or tried to be.
    mutating func noteRead(_ nanoseconds: UInt64) { total.note(nanoseconds) }
}

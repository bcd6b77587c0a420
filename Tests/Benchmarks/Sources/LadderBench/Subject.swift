/// A program that measures, and prints one line of JSON for it. Each knows several cases and subjects.
enum Program: String, CaseIterable {
    /// The ladder, and what Swift's own libraries offer.
    case swift = "ladder-subjects"
    /// The same with the accounting compiled out.
    case swiftNotCounting = "ladder-subjects-not-counting"
    case c = "anchor-c"
    case cpp = "anchor-cpp"
    case rust = "anchor-rust"
    case go = "anchor-go"
}

/// Something whose speed is measured, as tables and pictures call it.
struct Subject: Hashable {
    let label: String
    let program: Program
    /// Its name in that program.
    let name: String
    /// Other than its contest's.
    var threads: Int?
    var options: [String] = []

    init(_ label: String, _ program: Program, _ name: String, threads: Int? = nil, _ options: [String] = []) {
        self.label = label
        self.program = program
        self.name = name
        self.threads = threads
        self.options = options
    }
}

/// What one call of a program measured.
struct Sample: Decodable {
    struct Extra: Decodable {
        var writes: Double?
        var writeWaitP50: Double?
        var writeWaitP99: Double?
        var calls: Double?
        var flights: Double?
        var liveMax: Double?
        var allocations: Double?
        var bytes: Double?
        /// Pairs: up to how many nanoseconds, and how many operations took so long.
        var histogram: [[Double]]?

        enum CodingKeys: String, CodingKey {
            case writes, calls, flights, allocations, bytes, histogram
            case writeWaitP50 = "write_wait_p50_ns"
            case writeWaitP99 = "write_wait_p99_ns"
            case liveMax = "live_max"
        }
    }

    /// Nanoseconds per operation and thread.
    var ns: Double
    var ops: Double?
    var p50: Double?
    var p99: Double?
    var p999: Double?
    /// Operations of the thread that got the fewest, and of the one that got the most.
    var least: Double?
    var most: Double?
    var extra: Extra?

    enum CodingKeys: String, CodingKey {
        case ns, ops, least, most, extra
        case p50 = "p50_ns"
        case p99 = "p99_ns"
        case p999 = "p999_ns"
    }
}

/// What of a sample is compared.
enum Figure: String, Codable {
    case ns
    case p99 = "p99_ns"
    /// The fewest operations of a thread over the most.
    case fairness
    case writeWaitP99 = "write_wait_p99_ns"
    /// Calls, of 64, that another's work answered.
    case folded = "folded_of_64"
    /// Payloads alive at once.
    case live = "live_objects"
    case allocations = "allocations"
    case instructions
    case cacheMisses = "cache_misses_in_100"

    func value(in sample: Sample) -> Double? {
        switch self {
        case .ns: sample.ns
        case .p99: sample.p99
        case .fairness:
            if let least = sample.least, let most = sample.most, most > 0 { least / most } else { nil }
        case .writeWaitP99: sample.extra?.writeWaitP99
        case .folded:
            if let extra = sample.extra, let calls = extra.calls, let flights = extra.flights, calls > 0 {
                64 * (1 - flights / calls)
            } else {
                nil
            }
        case .live: sample.extra?.liveMax
        case .allocations: sample.extra?.allocations
        case .instructions, .cacheMisses: nil
        }
    }
}

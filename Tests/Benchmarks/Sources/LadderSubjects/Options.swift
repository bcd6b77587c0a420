/// Something on the command line that this program does not know.
struct UsageError: Error {
    let message: String

    init(_ message: String) { self.message = message }
}

/// What a round is to be like: the `key=value` pairs of the command line.
struct Options: Sendable {
    enum Writer: String {
        case none
        case eachMillisecond = "1khz"
        case flatOut = "flat"
    }

    enum Layout: String {
        case adjacent, padded, striped
        case pooled, plain
    }

    enum Preference: String {
        case writers, readers
    }

    var threads = 1
    /// How long the measured phase lasts.
    var milliseconds = 150
    /// Units of work outside the lock.
    var work = 0
    var writer = Writer.none
    var keys = 256
    var callers = 64
    var rounds = 40
    /// Registered readers that are idle.
    var readers = 0
    var layout: Layout?
    var preference = Preference.writers
    /// Whether payloads that are alive are counted.
    var countsLive = false
    /// So many operations, on one thread, without a clock: for counting instructions.
    var count: Int?
    /// By how many percent each operation is to take longer.
    var planted = 0

    init(_ arguments: some Sequence<String>) throws(UsageError) {
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw UsageError("not a key=value pair: \(argument)") }
            try set(parts[0], parts[1])
        }
    }

    private mutating func set(_ key: String, _ value: String) throws(UsageError) {
        switch key {
        case "threads": threads = try Self.number(key, value, 0...64)
        case "ms": milliseconds = try Self.number(key, value, 1...20_000)
        case "work": work = try Self.number(key, value, 0...1_000_000)
        case "writer": writer = try Self.choice(key, value)
        case "keys": keys = try Self.number(key, value, 1...10_000_000)
        case "callers": callers = try Self.number(key, value, 1...1_024)
        case "rounds": rounds = try Self.number(key, value, 1...10_000)
        case "readers": readers = try Self.number(key, value, 0...1_024)
        case "layout": layout = try Self.choice(key, value)
        case "preference": preference = try Self.choice(key, value)
        case "live": countsLive = try Self.number(key, value, 0...1) == 1
        case "count": count = try Self.number(key, value, 1...1_000_000_000)
        case "planted": planted = try Self.number(key, value, 1...1_000)
        default: throw UsageError("unknown key: \(key)")
        }
    }

    private static func number(_ key: String, _ value: String, _ range: ClosedRange<Int>) throws(UsageError) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw UsageError("\(key) is a number in \(range), not \(value)")
        }
        return number
    }

    private static func choice<Choice: RawRepresentable<String>>(
        _ key: String,
        _ value: String
    ) throws(UsageError) -> Choice {
        guard let choice = Choice(rawValue: value) else { throw UsageError("unknown \(key): \(value)") }
        return choice
    }

    /// The layout asked for, or else the first of those that the case knows.
    func layout(among known: Layout...) throws(UsageError) -> Layout {
        guard let layout else { return known[0] }
        guard known.contains(layout) else { throw UsageError("this case has no layout \(layout.rawValue)") }
        return layout
    }
}

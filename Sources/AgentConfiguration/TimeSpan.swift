/// A length of time, as the agent's configuration gives it.
public struct TimeSpan: Sendable, Hashable, Comparable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    public static func milliseconds(_ count: UInt64) -> TimeSpan { TimeSpan(nanoseconds: count * 1_000_000) }
    public static func seconds(_ count: UInt64) -> TimeSpan { TimeSpan(nanoseconds: count * 1_000_000_000) }
    public static func minutes(_ count: UInt64) -> TimeSpan { .seconds(count * 60) }
    public static func hours(_ count: UInt64) -> TimeSpan { .minutes(count * 60) }
    public static func days(_ count: UInt64) -> TimeSpan { .hours(count * 24) }

    public static func < (left: TimeSpan, right: TimeSpan) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The units, longest first, with their lengths in nanoseconds.
    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
    ]
}

extension TimeSpan: CustomStringConvertible {
    /// `1m30s`: what ``parse(_:)`` reads.
    public var description: String {
        if nanoseconds == 0 { return "0s" }
        var text = ""
        var rest = nanoseconds
        for unit in Self.units where rest >= unit.nanoseconds {
            text += "\(rest / unit.nanoseconds)\(unit.name)"
            rest %= unit.nanoseconds
        }
        return text
    }
}

extension TimeSpan {
    /// Reads `45` (seconds), `1.5s`, `1h30m`, `250us`: numbers with units, the longest unit first.
    static func parse(_ text: String) throws(SettingProblem) -> TimeSpan {
        var rest = text.utf8[...]
        var total: UInt128 = 0
        var nextUnit = 0
        repeat {
            let whole = takeDigits(&rest)
            var fraction: Substring.UTF8View?
            if rest.first == UInt8(ascii: ".") {
                rest.removeFirst()
                fraction = takeDigits(&rest)
            }
            guard !whole.isEmpty, fraction?.isEmpty != true else { throw malformed(text) }
            let unit = rest.prefix { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }
            rest = rest[unit.endIndex...]
            let isBare = unit.isEmpty && rest.isEmpty && nextUnit == 0
            let name = isBare ? "s" : String(Substring(unit))
            guard let index = units[nextUnit...].firstIndex(where: { $0.name == name }) else { throw malformed(text) }
            nextUnit = index + 1
            total += try length(whole: whole, fraction: fraction, of: units[index].nanoseconds, in: text)
        } while !rest.isEmpty
        guard let nanoseconds = UInt64(exactly: total) else { throw tooLong(text) }
        return TimeSpan(nanoseconds: nanoseconds)
    }

    private static func takeDigits(_ rest: inout Substring.UTF8View) -> Substring.UTF8View {
        let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        rest = rest[digits.endIndex...]
        return digits
    }

    private static func length(
        whole: Substring.UTF8View,
        fraction: Substring.UTF8View?,
        of unit: UInt64,
        in text: String
    ) throws(SettingProblem) -> UInt128 {
        guard let count = UInt64(Substring(whole)) else { throw tooLong(text) }
        let sum = UInt128(count) * UInt128(unit)
        guard let fraction else { return sum }
        // Of a day, no more than 14 digits can say anything in whole nanoseconds.
        guard fraction.count <= 14, let digits = UInt64(Substring(fraction)) else { throw tooFine(text) }
        let scale = (0..<fraction.count).reduce(UInt128(1)) { scale, _ in scale * 10 }
        let (quotient, remainder) = (UInt128(digits) * UInt128(unit)).quotientAndRemainder(dividingBy: scale)
        guard remainder == 0 else { throw tooFine(text) }
        return sum + quotient
    }

    private static func malformed(_ text: String) -> SettingProblem {
        SettingProblem(
            "\(shown(text)) is not a length of time",
            "write it as in 45s, 10ms, 1.5s or 1h30m; the units are d, h, m, s, ms, us and ns, longest first"
        )
    }

    private static func tooLong(_ text: String) -> SettingProblem {
        SettingProblem("\(shown(text)) is too long a time", "no more than 500 years can be kept")
    }

    private static func tooFine(_ text: String) -> SettingProblem {
        SettingProblem("\(shown(text)) is no whole number of nanoseconds", "leave digits out")
    }
}

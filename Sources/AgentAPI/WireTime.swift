internal import FoundationEssentials

/// A moment as answers carry it: RFC 3339 in UTC with milliseconds, `2026-11-22T14:03:07.250Z`.
public struct WireTime: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970.
    public let unixMilliseconds: Int64

    /// The moment so many milliseconds after 1970 began.
    public init(unixMilliseconds: Int64) {
        self.unixMilliseconds = unixMilliseconds
    }

    /// The moment so many nanoseconds after 1970 began, cut to milliseconds.
    public init(unixNanoseconds: Int64) {
        // Rounded down also before 1970, so that order is kept.
        let (quotient, remainder) = unixNanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        self.unixMilliseconds = remainder < 0 ? quotient - 1 : quotient
    }

    /// This moment.
    public static var now: WireTime {
        WireTime(unixMilliseconds: Int64((Date().timeIntervalSince1970 * 1000).rounded(.down)))
    }

    /// How many seconds this moment is after `earlier`; negative when it is before.
    public func seconds(since earlier: WireTime) -> Double {
        Double(unixMilliseconds - earlier.unixMilliseconds) / 1000
    }

    public static func < (left: WireTime, right: WireTime) -> Bool { left.unixMilliseconds < right.unixMilliseconds }
}

extension WireTime: CustomStringConvertible {
    /// The time as it is written in answers.
    public var description: String {
        let day = CivilDate(daysSince1970: Self.floorDivide(unixMilliseconds, by: 86_400_000))
        let inDay = Int(unixMilliseconds - Self.floorDivide(unixMilliseconds, by: 86_400_000) * 86_400_000)
        let clock = [inDay / 3_600_000, inDay / 60_000 % 60, inDay / 1000 % 60].map { Self.pad($0, 2) }
        return "\(day)T\(clock.joined(separator: ":")).\(Self.pad(inDay % 1000, 3))Z"
    }

    static func floorDivide(_ value: Int64, by divisor: Int64) -> Int64 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    static func pad(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension WireTime: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let time = WireTime(parsing: text) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "'\(text)' is not an RFC 3339 time"
            )
        }
        self = time
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

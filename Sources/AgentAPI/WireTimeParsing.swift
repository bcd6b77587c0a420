extension WireTime {
    /// Reads an RFC 3339 time: with any number of fractional digits (cut to milliseconds), in UTC or with an offset.
    ///
    /// - Returns: `nil` for anything else, impossible dates and leap seconds included.
    public init?(parsing text: String) {
        var scanner = TimeScanner(bytes: Array(text.utf8))
        guard let days = scanner.scanDate(), scanner.skip("T") || scanner.skip("t"),
            let clock = scanner.scanClock(), let offset = scanner.scanOffset(), scanner.isAtEnd
        else { return nil }
        self.init(unixMilliseconds: days * 86_400_000 + clock - offset)
    }
}

/// Takes a time's text apart from left to right; each step returns `nil` where the text is not as it has to be.
private struct TimeScanner {
    let bytes: [UInt8]
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Exactly `count` digits.
    mutating func scanNumber(_ count: Int) -> Int? {
        guard position + count <= bytes.count else { return nil }
        var value = 0
        for byte in bytes[position..<(position + count)] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        position += count
        return value
    }

    /// The days since 1970.
    mutating func scanDate() -> Int64? {
        guard let year = scanNumber(4), skip("-"), let month = scanNumber(2), skip("-"), let day = scanNumber(2)
        else { return nil }
        return CivilDate(year: year, month: month, day: day)?.daysSince1970
    }

    /// The milliseconds since midnight.
    mutating func scanClock() -> Int64? {
        guard let hour = scanNumber(2), skip(":"), let minute = scanNumber(2), skip(":"), let second = scanNumber(2),
            hour < 24, minute < 60, second < 60
        else { return nil }
        var milliseconds = 0
        if skip(".") {
            var weight = 100
            guard var digit = scanNumber(1) else { return nil }
            while true {
                milliseconds += digit * weight
                weight /= 10
                guard let next = scanNumber(1) else { break }
                digit = next
            }
        }
        return Int64(((hour * 60 + minute) * 60 + second) * 1000 + milliseconds)
    }

    /// The milliseconds by which the time is ahead of UTC.
    mutating func scanOffset() -> Int64? {
        if skip("Z") || skip("z") { return 0 }
        let isAhead = skip("+")
        guard isAhead || skip("-"), let hours = scanNumber(2), skip(":"), let minutes = scanNumber(2),
            hours < 24, minutes < 60
        else { return nil }
        let milliseconds = Int64(hours * 60 + minutes) * 60_000
        return isAhead ? milliseconds : -milliseconds
    }
}

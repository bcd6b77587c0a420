@testable import ConfigDecode
@testable import ConfigGuard
@testable import ConfigSnapshot

/// Numbers keep their order and their multiples, however they are written: held against arithmetic on written-out digits.
func fuzzNumber(_ bytes: [UInt8]) {
    let texts = parts(of: bytes, atMost: 2).filter(isNumber)
    for text in texts {
        let number = DecimalNumber(text)
        // Beyond 17 digits no exponent is kept as it is.
        let exponent = number.canonical.split(separator: "e", omittingEmptySubsequences: false).last.flatMap { Int($0) }
        if abs(exponent ?? 0) < 99_999_999_999_990_000 {
            require(DecimalNumber(Array(number.canonical.utf8)) == number, "a canonical number is another one")
        }
        require(!(number < number), "a number is less than itself")
        if let count = number.count {
            require(DecimalNumber(Array("\(count)".utf8)) == number, "a count is another number")
        }
    }
    guard texts.count == 2 else { return }
    let (one, two) = (DecimalNumber(texts[0]), DecimalNumber(texts[1]))
    let relations = [one < two, two < one, one == two]
    require(relations.filter { $0 }.count == 1, "more or less than one of <, >, =")
    let divisor = DecimalNumber.Divisor(two)
    if let divisor { _ = one.isMultiple(of: divisor) }
    guard let left = WrittenOut(texts[0]), let right = WrittenOut(texts[1]) else { return }
    require((left == right) == (one == two), "equal, and not when written out")
    require((left < right) == (one < two), "less, and not when written out")
    if let divisor, let isMultiple = left.isMultiple(of: right) {
        require(one.isMultiple(of: divisor) == isMultiple, "a multiple, and not when written out")
    }
}

private func isNumber(_ text: [UInt8]) -> Bool {
    guard case .scalar(.number(let number))? = Reading(text, as: .json).tree?.kind else { return false }
    return number.count == text.count
}

/// A number of which no digit lies further than 60 places from the point: digits, and where the point is.
private struct WrittenOut: Comparable {
    private static let places = 60
    private var isNegative: Bool
    /// As many before the point as behind it.
    private var digits: [UInt8]

    init?(_ text: [UInt8]) {
        let halves = text.split(maxSplits: 1) { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }
        guard let mantissa = halves.first else { return nil }
        var exponent = 0
        if halves.count > 1 {
            guard let value = Int(String(decoding: halves[1], as: UTF8.self)), abs(value) <= Self.places else {
                return nil
            }
            exponent = value
        }
        let isNegative = mantissa.first == UInt8(ascii: "-")
        let sides = mantissa.drop { $0 == UInt8(ascii: "-") }.split(separator: UInt8(ascii: "."))
        let fraction = sides.count > 1 ? Array(sides[1]) : []
        let all = (Array(sides[0]) + fraction).map { $0 - UInt8(ascii: "0") }
        let point = sides[0].count + exponent
        digits = [UInt8](repeating: 0, count: 2 * Self.places)
        for (index, digit) in all.enumerated() where digit != 0 {
            let place = Self.places - point + index
            guard digits.indices.contains(place) else { return nil }
            digits[place] = digit
        }
        self.isNegative = isNegative && digits.contains { $0 != 0 }
    }

    static func < (left: Self, right: Self) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let (small, large) = left.isNegative ? (right, left) : (left, right)
        return small.digits.lexicographicallyPrecedes(large.digits)
    }

    /// - Returns: `nil` for what would need longer numbers than there are.
    func isMultiple(of other: WrittenOut) -> Bool? {
        guard let first = other.digits.firstIndex(where: { $0 != 0 }),
            let last = other.digits.lastIndex(where: { $0 != 0 }), last - first < 18, !other.isNegative
        else { return nil }
        // What stands further right cannot be made up for; what stands there otherwise is counted in units of that place.
        if digits[(last + 1)...].contains(where: { $0 != 0 }) { return false }
        let divisor = other.digits[first...last].reduce(0 as UInt64) { $0 * 10 + UInt64($1) }
        return digits[...last].reduce(0 as UInt64) { ($0 * 10 + UInt64($1)) % divisor } == 0
    }
}

/// A number as JSON writes it, exactly: comparing and dividing lose nothing to binary fractions.
///
/// Exponents beyond 18 digits are taken as if they were that large: nothing that anybody means is told apart there.
struct DecimalNumber: Hashable, Sendable {
    private let isNegative: Bool
    /// Without zeros at either end; empty for zero.
    private let digits: [UInt8]
    /// Of the last digit.
    private let exponent: Int

    /// - Parameter text: in JSON's grammar.
    init(_ text: some Collection<UInt8>) {
        var digits: [UInt8] = []
        var exponent = 0
        var isFraction = false
        var rest = text[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest = rest.dropFirst() }
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: ".") {
                isFraction = true
            } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
                exponent += Self.exponent(rest)
                break
            } else {
                if isFraction { exponent -= 1 }
                digits.append(byte & 0x0F)
            }
        }
        let trailing = digits.reversed().prefix { $0 == 0 }.count
        digits.removeLast(trailing)
        digits.removeFirst(digits.prefix { $0 == 0 }.count)
        self.digits = digits
        // Zero is zero, however it is written.
        self.exponent = digits.isEmpty ? 0 : exponent + trailing
        self.isNegative = isNegative && !digits.isEmpty
    }

    private static func exponent(_ text: some Collection<UInt8>) -> Int {
        let isNegative = text.first == UInt8(ascii: "-")
        var value = 0
        for byte in text where byte & 0x10 != 0 && byte >= UInt8(ascii: "0") {
            value = min(value * 10 + Int(byte & 0x0F), 100_000_000_000_000_000)
        }
        return isNegative ? -value : value
    }

    var isInteger: Bool { exponent >= 0 }
    var isPositive: Bool { !isNegative && !digits.isEmpty }

    /// Its value, where it is a whole number from 0 to 10^18 - 1.
    var count: Int? {
        guard isInteger, !isNegative, exponent + digits.count <= 18 else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1) } * Self.power(exponent)
    }

    private static func power(_ exponent: Int) -> Int { (0..<exponent).reduce(1) { value, _ in value * 10 } }

    static func < (left: Self, right: Self) -> Bool {
        if left.isNegative != right.isNegative { return left.isNegative }
        let (small, large) = left.isNegative ? (right, left) : (left, right)
        return small.hasSmallerMagnitude(than: large)
    }

    private func hasSmallerMagnitude(than other: Self) -> Bool {
        if digits.isEmpty || other.digits.isEmpty { return digits.isEmpty && !other.digits.isEmpty }
        let (top, otherTop) = (exponent + digits.count, other.exponent + other.digits.count)
        return top == otherTop ? digits.lexicographicallyPrecedes(other.digits) : top < otherTop
    }

    /// One number of which others may be multiples: positive, with at most 18 digits.
    struct Divisor: Hashable, Sendable {
        fileprivate let digits: UInt64
        fileprivate let exponent: Int

        init?(_ number: DecimalNumber) {
            guard number.isPositive, number.digits.count <= 18 else { return nil }
            digits = number.digits.reduce(0) { $0 * 10 + UInt64($1) }
            exponent = number.exponent
        }
    }

    func isMultiple(of divisor: Divisor) -> Bool {
        if digits.isEmpty { return true }
        // Neither ends in a zero, so nothing that stands further right can be made up for.
        guard exponent >= divisor.exponent else { return false }
        let modulus = divisor.digits
        // Both are below 10^18, so that ten times as much fits.
        let remainder = digits.reduce(0 as UInt64) { ($0 * 10 + UInt64($1)) % modulus }
        let scale = Self.powerOfTen(exponent - divisor.exponent, modulo: modulus)
        return Self.product(remainder, scale, modulo: modulus) == 0
    }

    private static func powerOfTen(_ exponent: Int, modulo modulus: UInt64) -> UInt64 {
        var result = 1 % modulus
        var (base, rest) = (10 % modulus, exponent)
        while rest > 0 {
            if rest & 1 == 1 { result = product(result, base, modulo: modulus) }
            base = product(base, base, modulo: modulus)
            rest >>= 1
        }
        return result
    }

    private static func product(_ left: UInt64, _ right: UInt64, modulo modulus: UInt64) -> UInt64 {
        // Both are smaller than the modulus, and so is the quotient.
        modulus.dividingFullWidth(left.multipliedFullWidth(by: right)).remainder
    }

    /// The same for all ways to write a number.
    var canonical: String {
        "\(isNegative ? "-" : "")\(String(decoding: digits.map { $0 + UInt8(ascii: "0") }, as: UTF8.self))e\(exponent)"
    }
}

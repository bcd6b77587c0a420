internal import ConfigSnapshot

/// A scalar as YAML wrote it, and what YAML 1.2's core schema makes of it.
///
/// So `no`, `yes`, `on` and `off` are strings, and so is `0x1F` with a sign before it.
struct YAMLScalar {
    var text: [UInt8]
    /// Without quotes and not a block: only such a scalar can be anything but a string.
    var isPlain: Bool

    /// The value in terms of JSON.
    func resolved(at position: Position) throws(DecodeError) -> Scalar {
        guard isPlain else { return .string(text[...]) }
        switch String(decoding: text.prefix(6), as: UTF8.self) {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
            throw DecodeError(
                .unsupported,
                at: position,
                "\(TextEncoding.shown(text)) is a number that JSON cannot carry: put it in quotes if it is text"
            )
        default: break
        }
        if let number = try radixNumber(at: position) ?? decimalNumber() { return .number(number[...]) }
        return .string(text[...])
    }

    /// `0x1F` and `0o17`, in decimal.
    private func radixNumber(at position: Position) throws(DecodeError) -> [UInt8]? {
        guard text.count > 2, text[0] == UInt8(ascii: "0") else { return nil }
        let radix: UInt64
        switch text[1] {
        case UInt8(ascii: "x"): radix = 16
        case UInt8(ascii: "o"): radix = 8
        default: return nil
        }
        var value: UInt64 = 0
        var hasOverflowed = false
        for byte in text[2...] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, digit < Int(radix) else { return nil }
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: radix)
            hasOverflowed = hasOverflowed || isTooLarge
            value = product | UInt64(digit)
        }
        guard !hasOverflowed else {
            throw DecodeError(
                .unsupported,
                at: position,
                "\(TextEncoding.shown(text)) does not fit into 64 bits: put it in quotes if it is text"
            )
        }
        return Array(String(value).utf8)
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, with what JSON demands added and what it forbids
    /// left out.
    private func decimalNumber() -> [UInt8]? {
        var rest = text[...]
        var number: [UInt8] = []
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            rest.removeFirst()
            if sign == UInt8(ascii: "-") { number.append(sign) }
        }
        let whole = Self.takeDigits(&rest)
        let hasPoint = rest.first == UInt8(ascii: ".")
        if hasPoint { rest.removeFirst() }
        let fraction = hasPoint ? Self.takeDigits(&rest) : []
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let significant = whole.drop { $0 == UInt8(ascii: "0") }
        number.append(contentsOf: significant.isEmpty ? "0".utf8[...].map { $0 } : Array(significant))
        if hasPoint {
            number.append(UInt8(ascii: "."))
            number.append(contentsOf: fraction.isEmpty ? [UInt8(ascii: "0")] : Array(fraction))
        }
        guard let exponent = Self.takeExponent(&rest), rest.isEmpty else { return nil }
        return number + exponent
    }

    private static func takeDigits(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        rest = rest[digits.endIndex...]
        return digits
    }

    /// - Returns: the exponent as written, empty where there is none, `nil` for one without digits.
    private static func takeExponent(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let letter = rest.first else { return [] }
        guard letter == UInt8(ascii: "e") || letter == UInt8(ascii: "E") else { return nil }
        let whole = rest
        rest.removeFirst()
        if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        guard !takeDigits(&rest).isEmpty else { return nil }
        return whole[..<rest.startIndex]
    }
}

/// Percent-escapes in URLs and request targets, undone strictly.
package enum PercentEncoding {
    /// - Parameter allowsZero: whether `%00` is taken: a key may hold it, a file's path may not.
    /// - Returns: `nil` for malformed escapes and for what is not UTF-8.
    package static func decode(_ text: Substring, allowsZero: Bool) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            // Looked at one by one: a sign would pass for a digit.
            guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), allowsZero || value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

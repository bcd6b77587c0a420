/// File URLs, as libcurl reads them.
enum FileURL {
    /// The path of `file:///path` (or `file://localhost/path`), percent-decoded; `nil` when there is none.
    static func path(of url: String) -> String? {
        let parts = URLParts(url)
        guard parts.schemeAndSlashes == "file://", ["", "localhost"].contains(parts.authorityWithoutUser),
            parts.path.hasPrefix("/")
        else { return nil }
        return decode(parts.path[...])
    }

    private static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            // A sign would pass for a digit.
            guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

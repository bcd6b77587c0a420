/// File URLs, as libcurl reads them.
enum FileURL {
    /// The path of `file:///path` (or `file://localhost/path`), percent-decoded; `nil` when there is none.
    static func path(of url: String) -> String? {
        for prefix in ["file:///", "file://localhost/"] where url.hasPrefix(prefix) {
            return decode(url.dropFirst(prefix.count - 1))
        }
        return nil
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
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), value != 0
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// Dotted keys: how the place of a value inside a document is written, compared and taken apart.
///
/// A key is the path of member names joined by dots. A name that is empty or holds a dot, a quote, a backslash or
/// a control character is quoted (`a."b.c"`), so that no two different paths are ever written alike. Keys are
/// bytes of UTF-8 and compare by bytes: `é` written in two Unicode forms is two keys.
public enum DottedKey {
    static let dot = UInt8(ascii: ".")
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")

    /// Appends one member name to the path in `path`, quoting it where needed.
    public static func append(_ name: some Collection<UInt8>, to path: inout [UInt8]) {
        append(Array(name)[...], to: &path)
    }

    /// The same for bytes at hand.
    public static func append(_ name: ArraySlice<UInt8>, to path: inout [UInt8]) {
        if !path.isEmpty { path.append(dot) }
        let needsQuotes =
            name.isEmpty
            || name.contains { $0 == dot || $0 == quote || $0 == backslash || $0 < 0x20 || $0 == 0x7F }
        guard needsQuotes else {
            path.append(contentsOf: name)
            return
        }
        path.append(quote)
        for byte in name {
            switch byte {
            case quote, backslash:
                path.append(backslash)
                path.append(byte)
            case 0..<0x20, 0x7F:
                let hex = Array("0123456789abcdef".utf8)
                path.append(contentsOf: "\\u00".utf8)
                path.append(hex[Int(byte >> 4)])
                path.append(hex[Int(byte & 15)])
            default:
                path.append(byte)
            }
        }
        path.append(quote)
    }

    /// Writes the member names of `path` as one dotted key.
    public static func join(_ names: [String]) -> String {
        var path: [UInt8] = []
        for name in names { append(name.utf8, to: &path) }
        return String(decoding: path, as: UTF8.self)
    }

    /// Takes a dotted key apart into its member names.
    ///
    /// - Returns: the names, or `nil` when `key` is not a well-formed key (an empty name without quotes, an
    ///   unfinished quote, an unknown escape).
    public static func split(_ key: some Collection<UInt8>) -> [String]? {
        let bytes = Array(key)
        var names: [String] = []
        var position = 0
        while true {
            guard let (name, next) = scanName(bytes, from: position) else { return nil }
            names.append(String(decoding: name, as: UTF8.self))
            if next == bytes.count { return names }
            guard bytes[next] == dot else { return nil }
            position = next + 1
        }
    }

    /// One name starting at `start`, unquoted, and the position after it.
    static func scanName(_ bytes: [UInt8], from start: Int) -> (name: [UInt8], next: Int)? {
        guard start < bytes.count else { return nil }
        guard bytes[start] == quote else {
            var end = start
            while end < bytes.count, bytes[end] != dot {
                if bytes[end] == quote || bytes[end] == backslash { return nil }
                end += 1
            }
            return end == start ? nil : (Array(bytes[start..<end]), end)
        }
        return scanQuoted(bytes, from: start + 1)
    }

    private static func scanQuoted(_ bytes: [UInt8], from start: Int) -> (name: [UInt8], next: Int)? {
        var name: [UInt8] = []
        var position = start
        while position < bytes.count {
            let byte = bytes[position]
            if byte == quote { return (name, position + 1) }
            guard byte == backslash else {
                name.append(byte)
                position += 1
                continue
            }
            guard position + 1 < bytes.count else { return nil }
            let escaped = bytes[position + 1]
            if escaped == quote || escaped == backslash {
                name.append(escaped)
                position += 2
            } else if escaped == UInt8(ascii: "u"), position + 5 < bytes.count,
                let control = controlCharacter(bytes[(position + 2)...(position + 5)])
            {
                name.append(control)
                position += 6
            } else {
                return nil
            }
        }
        return nil
    }

    /// The byte that four digits after `\u` stand for: only what ``append(_:to:)`` writes so, in either case.
    private static func controlCharacter(_ digits: ArraySlice<UInt8>) -> UInt8? {
        let text = String(decoding: digits, as: UTF8.self)
        guard text.hasPrefix("00"), text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt8(text, radix: 16), value < 0x20 || value == 0x7F
        else { return nil }
        return value
    }

    /// The order in which keys are kept: by bytes, except that the separating dot comes before every other byte.
    ///
    /// So a key stands directly before everything below it (`a`, `a.b`, `a-b`), and each subtree is one run.
    /// - Returns: negative, zero or positive, like `memcmp`.
    public static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let shared = min(left.count, right.count)
        var index = 0
        // Names may have thousands of bytes in common: eight at a time, up to the first byte in which they differ.
        while index + 8 <= shared {
            let l = left.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let r = right.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if l != r {
                index += UInt64(littleEndian: l ^ r).trailingZeroBitCount / 8
                break
            }
            index += 8
        }
        while index < shared {
            let l = left[index]
            let r = right[index]
            if l != r {
                return (l == dot ? -1 : Int(l)) - (r == dot ? -1 : Int(r))
            }
            index += 1
        }
        return left.count - right.count
    }

    /// Whether `key` lies below `ancestor` in the tree (`a.b` below `a`).
    public static func isBelow(_ key: UnsafeRawBufferPointer, _ ancestor: UnsafeRawBufferPointer) -> Bool {
        guard key.count > ancestor.count, key[ancestor.count] == dot else { return false }
        return key.prefix(ancestor.count).elementsEqual(ancestor)
    }
}

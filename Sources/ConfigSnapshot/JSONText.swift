/// The one way in which this agent writes JSON strings.
public enum JSONText {
    /// Appends `text` (UTF-8) as a JSON string, escaping what must be escaped and nothing else.
    public static func appendString(_ text: some Sequence<UInt8>, to out: inout [UInt8]) {
        appendString(Array(text)[...], to: &out)
    }

    /// The same for bytes at hand: what needs no escape is copied in one go.
    public static func appendString(_ text: ArraySlice<UInt8>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var rest = text
        while let escaped = rest.firstIndex(where: needsEscape) {
            out.append(contentsOf: rest[..<escaped])
            appendEscape(rest[escaped], to: &out)
            rest = rest[(escaped + 1)...]
        }
        out.append(contentsOf: rest)
        out.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private static func appendEscape(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            out.append(UInt8(ascii: "\\"))
            out.append(byte)
        case 0x08: out.append(contentsOf: "\\b".utf8)
        case 0x09: out.append(contentsOf: "\\t".utf8)
        case 0x0A: out.append(contentsOf: "\\n".utf8)
        case 0x0C: out.append(contentsOf: "\\f".utf8)
        case 0x0D: out.append(contentsOf: "\\r".utf8)
        default:
            let hex = Array("0123456789abcdef".utf8)
            out.append(contentsOf: "\\u00".utf8)
            out.append(hex[Int(byte >> 4)])
            out.append(hex[Int(byte & 15)])
        }
    }
}

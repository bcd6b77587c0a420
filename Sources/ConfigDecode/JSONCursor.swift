internal import ConfigSnapshot

/// Where the JSON parser stands in its text, and what it takes from there piece by piece.
struct JSONCursor {
    let bytes: [UInt8]
    private(set) var offset = 0
    private var line = 1
    /// Where the line began; moved on by the surplus bytes of each character longer than one, so that columns count
    /// characters without anybody counting them.
    private var lineStart = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var position: Position { Position(line: line, column: offset - lineStart + 1) }
    var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    mutating func advance() { offset += 1 }

    /// Strings hold no line breaks, so this is the only place that counts lines.
    mutating func skipSpace() {
        while offset < bytes.count, TextEncoding.isSpace(bytes[offset]) {
            offset += 1
            if bytes[offset - 1] == UInt8(ascii: "\n") {
                line += 1
                lineStart = offset
            }
        }
    }

    /// Takes one whole character of more than one byte.
    mutating func skipMultibyte() throws(DecodeError) {
        guard let length = TextEncoding.sequenceLength(in: bytes, at: offset) else { throw notUTF8() }
        offset += length
        lineStart += length - 1
    }

    func error(_ message: String, at position: Position? = nil) -> DecodeError {
        DecodeError(.syntax, at: position ?? self.position, message)
    }

    private func notUTF8() -> DecodeError {
        DecodeError(.notUTF8, at: position, "not UTF-8 (byte 0x\(String(bytes[offset], radix: 16, uppercase: true)))")
    }

    /// The error for whatever stands here in place of `expected`.
    func unexpected(_ expected: String) -> DecodeError {
        guard let byte = current else { return error("the document ends where \(expected) should be") }
        guard let length = TextEncoding.sequenceLength(in: bytes, at: offset) else { return notUTF8() }
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "#"):
            return error("a comment: JSON has none")
        case UInt8(ascii: "'"):
            return error("expected \(expected), found a single quote: JSON strings stand in double quotes")
        default:
            return error("expected \(expected), found \(TextEncoding.shown(bytes[offset..<(offset + length)]))")
        }
    }

    /// Takes `true`, `false` or `null`.
    mutating func literal() throws(DecodeError) -> Scalar {
        var end = offset
        while end < bytes.count, isWordByte(bytes[end]) { end += 1 }
        let word = bytes[offset..<end]
        let scalar: Scalar
        if word.elementsEqual("true".utf8) {
            scalar = .bool(true)
        } else if word.elementsEqual("false".utf8) {
            scalar = .bool(false)
        } else if word.elementsEqual("null".utf8) {
            scalar = .null
        } else {
            throw error("\(TextEncoding.shown(word)) is no JSON value: only true, false and null go without quotes")
        }
        offset = end
        return scalar
    }

    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    /// Takes a number, which is kept as it was written.
    mutating func number() throws(DecodeError) -> ArraySlice<UInt8> {
        let start = offset
        if current == UInt8(ascii: "-") { offset += 1 }
        if current == UInt8(ascii: "0") {
            offset += 1
            if let byte = current, isDigit(byte) { throw error("a number has no leading zeros") }
        } else {
            try digits("a digit")
        }
        if current == UInt8(ascii: ".") {
            offset += 1
            try digits("a digit after the decimal point")
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            try digits("a digit of the exponent")
        }
        return bytes[start..<offset]
    }

    private mutating func digits(_ expected: String) throws(DecodeError) {
        guard let byte = current, isDigit(byte) else { throw unexpected(expected) }
        while let byte = current, isDigit(byte) { offset += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}

internal import ConfigSnapshot

extension JSONCursor {
    /// Takes the string whose opening quote stands here.
    ///
    /// - Parameter keepsText: without it the string is checked only, and the result means nothing.
    mutating func string(keepsText: Bool) throws(DecodeError) -> ArraySlice<UInt8> {
        let opening = position
        advance()
        // Without an escape the text is a slice of the document; with one it is put together here.
        var text: [UInt8] = []
        var hasEscapes = false
        var pending = offset
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                let rest = bytes[pending..<offset]
                advance()
                guard hasEscapes, keepsText else { return rest }
                text.append(contentsOf: rest)
                return text[...]
            case UInt8(ascii: "\\"):
                if keepsText { text.append(contentsOf: bytes[pending..<offset]) }
                let scalar = try escape()
                if keepsText { text.append(contentsOf: scalar.utf8) }
                hasEscapes = true
                pending = offset
            case 0..<0x20:
                throw error(controlMessage(byte))
            case 0x80...:
                try skipMultibyte()
            default:
                advance()
            }
        }
        throw error("the document ends inside a string", at: opening)
    }

    private func controlMessage(_ byte: UInt8) -> String {
        switch byte {
        case 0x0A, 0x0D: "a line break inside a string: write it as \\n, or close the string"
        case 0x09: "a tab inside a string: write it as \\t"
        default:
            "a control character inside a string: write it as "
                + "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
        }
    }

    /// Takes the escape whose backslash stands here.
    private mutating func escape() throws(DecodeError) -> Unicode.Scalar {
        let start = position
        advance()
        guard let byte = current else { throw error("the document ends inside a string") }
        let scalar: Unicode.Scalar
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalar = Unicode.Scalar(byte)
        case UInt8(ascii: "b"): scalar = "\u{08}"
        case UInt8(ascii: "f"): scalar = "\u{0C}"
        case UInt8(ascii: "n"): scalar = "\n"
        case UInt8(ascii: "r"): scalar = "\r"
        case UInt8(ascii: "t"): scalar = "\t"
        case UInt8(ascii: "u"):
            advance()
            return try unicodeEscape(from: start)
        default:
            throw error(
                "an unknown escape: JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t, and \\u with four digits",
                at: start
            )
        }
        advance()
        return scalar
    }

    /// Takes the digits after `\u`, and the second half of a surrogate pair where the first one needs it.
    private mutating func unicodeEscape(from start: Position) throws(DecodeError) -> Unicode.Scalar {
        let first = try hexadecimal(from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        let alone = error("half of a surrogate pair: both halves are needed, or the character itself", at: start)
        guard first < 0xDC00, current == UInt8(ascii: "\\"), offset + 1 < bytes.count,
            bytes[offset + 1] == UInt8(ascii: "u")
        else { throw alone }
        advance()
        advance()
        let second = try hexadecimal(from: start)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw alone }
        return scalar
    }

    private mutating func hexadecimal(from start: Position) throws(DecodeError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("\\u needs four hexadecimal digits", at: start)
            }
            value = value << 4 | UInt32(digit)
            advance()
        }
        return value
    }
}

internal import ConfigSnapshot

/// What both parsers check before, or while, they read: that the text is plain UTF-8.
enum TextEncoding {
    /// The length of the well-formed UTF-8 sequence at `start` (Unicode, table 3-7).
    ///
    /// - Returns: 1 to 4, or `nil` for anything else: overlong forms, surrogates, values past U+10FFFF, a sequence
    ///   cut short.
    static func sequenceLength(in bytes: [UInt8], at start: Int) -> Int? {
        let count: Int
        let second: ClosedRange<UInt8>
        switch bytes[start] {
        case 0..<0x80: return 1
        case 0xC2...0xDF: (count, second) = (2, 0x80...0xBF)
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (count, second) = (3, 0x80...0xBF)
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (count, second) = (4, 0x80...0xBF)
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        default: return nil
        }
        guard start + count <= bytes.count, second.contains(bytes[start + 1]) else { return nil }
        var index = start + 2
        while index < start + count {
            guard bytes[index] & 0xC0 == 0x80 else { return nil }
            index += 1
        }
        return count
    }

    /// Refuses text that begins like another encoding, or like markup: a clearer message than a parser could give.
    static func checkOpening(_ bytes: [UInt8], as format: DocumentFormat) throws(DecodeError) {
        let start = Position(line: 1, column: 1)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw DecodeError(.syntax, at: start, "a byte order mark: save the document as UTF-8 without one")
        }
        let isUTF16 =
            bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE])
            || (bytes.count >= 2 && (bytes[0] == 0) != (bytes[1] == 0))
        if isUTF16 || bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            throw DecodeError(.notUTF8, at: start, "UTF-16 or UTF-32: save the document as UTF-8")
        }
        if let markup = markupPosition(in: bytes) {
            let name = format == .json ? "JSON" : "YAML"
            throw DecodeError(
                .syntax,
                at: markup,
                "looks like HTML, not \(name): an error page or a captive portal may have answered for the source"
            )
        }
    }

    /// Where the text begins with a tag, if it does.
    private static func markupPosition(in bytes: [UInt8]) -> Position? {
        var position = Position(line: 1, column: 1)
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), bytes[first] == UInt8(ascii: "<") else {
            return nil
        }
        for byte in bytes[..<first] {
            position.column += 1
            if byte == UInt8(ascii: "\n") { position = Position(line: position.line + 1, column: 1) }
        }
        guard first + 1 < bytes.count else { return nil }
        switch bytes[first + 1] {
        case UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: "/"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            return position
        default:
            return nil
        }
    }

    /// White space as JSON has it.
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// `text` for a message: in single quotes, short, nothing in it that would disturb a terminal.
    static func shown(_ text: some Collection<UInt8>) -> String {
        let limit = 60
        var out = "'"
        for scalar in String(decoding: text.prefix(4 * limit), as: UTF8.self).unicodeScalars.prefix(limit) {
            out += scalar.escaped(asASCII: false)
        }
        return out + (text.count > limit ? "…'" : "'")
    }
}

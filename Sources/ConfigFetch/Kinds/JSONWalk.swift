internal import ConfigSnapshot

/// Walks through an API's JSON once, from front to back, and builds nothing of what is not asked for: such an answer may be
/// as large as a document, and hostile. What stands in it otherwise is passed over, and need not even be good JSON.
struct JSONWalk {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    private static let mostDepth = 64

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static let notUnderstood = StageFailure(
        .fetch,
        "bad_response",
        "the answer is not what this kind of source answers with",
        hint: "check that 'url' leads to such a server, and that nothing between answers in its place"
    )

    /// Goes through the members of an object. `each` is given a member's name, as it is written, and has to take or
    /// ``skip()`` its value.
    mutating func members(
        _ each: (inout JSONWalk, ArraySlice<UInt8>) throws(StageFailure) -> Void
    ) throws(StageFailure) {
        try take(UInt8(ascii: "{"))
        if takeIf(UInt8(ascii: "}")) { return }
        try descend()
        repeat {
            let name = try string()
            try take(UInt8(ascii: ":"))
            try each(&self, bytes[name])
        } while takeIf(UInt8(ascii: ","))
        try take(UInt8(ascii: "}"))
        depth -= 1
    }

    /// Goes through an array, or `null`. `each` has to take or ``skip()`` an element.
    mutating func elements(_ each: (inout JSONWalk) throws(StageFailure) -> Void) throws(StageFailure) {
        if takeNull() { return }
        try take(UInt8(ascii: "["))
        if takeIf(UInt8(ascii: "]")) { return }
        try descend()
        repeat { try each(&self) } while takeIf(UInt8(ascii: ","))
        try take(UInt8(ascii: "]"))
        depth -= 1
    }

    /// Where the text of a string is in the bytes, as it is written; `nil` for `null`.
    mutating func rawText() throws(StageFailure) -> Range<Int>? { takeNull() ? nil : try string() }

    /// A string; `nil` for `null`.
    mutating func text() throws(StageFailure) -> [UInt8]? {
        guard let range = try rawText() else { return nil }
        return try Self.unescaped(bytes[range])
    }

    /// Passes over a value of any kind.
    mutating func skip() throws(StageFailure) {
        guard let byte = next() else { throw Self.notUnderstood }
        switch byte {
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "{"): try members { walk, _ throws(StageFailure) in try walk.skip() }
        case UInt8(ascii: "["): try elements { walk throws(StageFailure) in try walk.skip() }
        default:
            let start = position
            while position < bytes.count, !Self.endsScalar(bytes[position]) { position += 1 }
            if position == start { throw Self.notUnderstood }
        }
    }

    /// Nothing may follow.
    mutating func end() throws(StageFailure) {
        if next() != nil { throw Self.notUnderstood }
    }

    // MARK: Steps

    private mutating func descend() throws(StageFailure) {
        depth += 1
        if depth > Self.mostDepth { throw Self.notUnderstood }
    }

    /// The byte behind any space, which is not taken.
    private mutating func next() -> UInt8? {
        while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
        return position < bytes.count ? bytes[position] : nil
    }

    private mutating func takeIf(_ byte: UInt8) -> Bool {
        guard next() == byte else { return false }
        position += 1
        return true
    }

    private mutating func take(_ byte: UInt8) throws(StageFailure) {
        if !takeIf(byte) { throw Self.notUnderstood }
    }

    private mutating func takeNull() -> Bool {
        guard next() == UInt8(ascii: "n"), bytes[position...].starts(with: "null".utf8) else { return false }
        position += 4
        return true
    }

    /// Takes a string, and says where it is without its quotes.
    private mutating func string() throws(StageFailure) -> Range<Int> {
        try take(UInt8(ascii: "\""))
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return start..<(position - 1)
            case UInt8(ascii: "\\"): position += 2
            default: position += 1
            }
        }
        throw Self.notUnderstood
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "\""), UInt8(ascii: "["),
            UInt8(ascii: "{"), UInt8(ascii: ":"):
            true
        default: isSpace(byte)
        }
    }

    // MARK: Text

    private static func unescaped(_ raw: ArraySlice<UInt8>) throws(StageFailure) -> [UInt8] {
        guard raw.contains(UInt8(ascii: "\\")) else { return Array(raw) }
        var text: [UInt8] = []
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "u"): text += try scalar(&rest).utf8
            case let byte?: text.append(byte)
            case nil: throw notUnderstood
            }
        }
        return text
    }

    /// What stands behind `\u`, a second half included.
    private static func scalar(_ rest: inout ArraySlice<UInt8>) throws(StageFailure) -> Character {
        var unit = try codeUnit(&rest)
        if (0xD800..<0xDC00).contains(unit), rest.starts(with: "\\u".utf8) {
            rest = rest.dropFirst(2)
            let low = try codeUnit(&rest)
            guard (0xDC00..<0xE000).contains(low) else { throw notUnderstood }
            unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(unit) else { throw notUnderstood }
        return Character(scalar)
    }

    private static func codeUnit(_ rest: inout ArraySlice<UInt8>) throws(StageFailure) -> UInt32 {
        let digits = rest.prefix(4)
        rest = rest.dropFirst(4)
        guard digits.count == 4, let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw notUnderstood
        }
        return unit
    }
}

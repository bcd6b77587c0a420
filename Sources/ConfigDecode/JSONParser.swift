internal import ConfigSnapshot

/// Reads JSON as RFC 8259 has it and nothing else: UTF-8, no comments, no trailing commas, nothing after the end.
///
/// It keeps a stack of its own, so nesting costs a few bytes a level and is bounded; apart from that it needs memory
/// only for a string with escapes, and none at all where the sink reads no text.
struct JSONParser<Sink: DocumentSink> {
    private struct Open {
        var isObject: Bool
        var position: Position

        var name: String { isObject ? "object" : "array" }
        var closing: UInt8 { isObject ? UInt8(ascii: "}") : UInt8(ascii: "]") }
        var closingText: String { isObject ? "'}'" : "']'" }
    }

    private var cursor: JSONCursor
    private let maxDepth: Int
    private var open: [Open] = []
    /// Whether the innermost container was opened just now and holds nothing yet.
    private var isFresh = false

    /// Reads the whole of `bytes`.
    static func parse(_ bytes: [UInt8], maxDepth: Int, into sink: inout Sink) throws(DecodeError) {
        try TextEncoding.checkOpening(bytes, as: .json)
        var parser = JSONParser(cursor: JSONCursor(bytes), maxDepth: maxDepth)
        try parser.document(into: &sink)
    }

    private init(cursor: JSONCursor, maxDepth: Int) {
        self.cursor = cursor
        self.maxDepth = maxDepth
    }

    private mutating func document(into sink: inout Sink) throws(DecodeError) {
        cursor.skipSpace()
        guard cursor.current != nil else { throw DecodeError(.empty, at: nil, "the document is empty") }
        try value(into: &sink)
        while let container = open.last {
            cursor.skipSpace()
            if try closes(container, into: &sink) { continue }
            if container.isObject { try name(into: &sink) }
            try value(into: &sink)
        }
        cursor.skipSpace()
        guard cursor.current == nil else { throw cursor.unexpected("nothing more after the document's end") }
    }

    /// Takes what stands between two members: a comma, or the closing bracket.
    ///
    /// - Returns: whether the container is closed.
    private mutating func closes(_ container: Open, into sink: inout Sink) throws(DecodeError) -> Bool {
        let wasFresh = isFresh
        isFresh = false
        if cursor.current == container.closing {
            cursor.advance()
            open.removeLast()
            if container.isObject { try sink.endObject() } else { try sink.endArray() }
            return true
        }
        guard cursor.current != nil else { throw unclosed(container) }
        if wasFresh { return false }
        guard cursor.current == UInt8(ascii: ",") else {
            throw cursor.unexpected("',' or \(container.closingText)")
        }
        let comma = cursor.position
        cursor.advance()
        cursor.skipSpace()
        guard cursor.current != nil else { throw unclosed(container) }
        if cursor.current == container.closing {
            throw cursor.error("a trailing comma before \(container.closingText)", at: comma)
        }
        return false
    }

    private func unclosed(_ container: Open) -> DecodeError {
        let place = "line \(container.position.line), column \(container.position.column)"
        return cursor.error("the document ends before the \(container.name) of \(place) is closed: is it cut short?")
    }

    private mutating func name(into sink: inout Sink) throws(DecodeError) {
        guard cursor.current == UInt8(ascii: "\"") else {
            throw cursor.unexpected("a member's name in double quotes")
        }
        let position = cursor.position
        let name = try cursor.string(keepsText: Sink.readsText)
        try sink.name(name, at: position)
        cursor.skipSpace()
        guard cursor.current == UInt8(ascii: ":") else { throw cursor.unexpected("':' after the name") }
        cursor.advance()
    }

    private mutating func value(into sink: inout Sink) throws(DecodeError) {
        cursor.skipSpace()
        let position = cursor.position
        switch cursor.current {
        case UInt8(ascii: "{"):
            try push(isObject: true)
            try sink.beginObject(at: position)
        case UInt8(ascii: "["):
            try push(isObject: false)
            try sink.beginArray(at: position)
        case UInt8(ascii: "\""):
            try sink.scalar(.string(cursor.string(keepsText: Sink.readsText)), at: position)
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?:
            try sink.scalar(.number(cursor.number()), at: position)
        case (UInt8(ascii: "a")...UInt8(ascii: "z"))?, (UInt8(ascii: "A")...UInt8(ascii: "Z"))?:
            try sink.scalar(cursor.literal(), at: position)
        default:
            throw cursor.unexpected("a value")
        }
    }

    private mutating func push(isObject: Bool) throws(DecodeError) {
        guard open.count < maxDepth else {
            throw DecodeError(.tooDeep, at: cursor.position, "more than \(maxDepth) levels deep")
        }
        open.append(Open(isObject: isObject, position: cursor.position))
        cursor.advance()
        isFresh = true
    }
}

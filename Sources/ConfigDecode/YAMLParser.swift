internal import ConfigSnapshot

/// Reads the part of YAML 1.2 that means the same as JSON: one document of mappings, sequences and scalars.
///
/// Anchors, aliases, tags and merge keys are refused: they make a document say something other than what is
/// written at the place one reads, and an alias can make a small document a very large one.
enum YAMLParser {
    /// Reads the whole of `bytes`.
    static func parse<Sink: DocumentSink>(
        _ bytes: [UInt8],
        maxDepth: Int,
        into sink: inout Sink
    ) throws(DecodeError) {
        try TextEncoding.checkOpening(bytes, as: .yaml)
        try checkCharacters(bytes)
        if bytes.isEmpty { throw DecodeError(.empty, at: nil, "the document is empty") }
        // SAFETY: the reader lives inside the closure only, where the array keeps its bytes alive.
        try bytes.withUnsafeBufferPointer { (input) throws(DecodeError) in
            var events = try YAMLEvents(reading: input)
            var reader = YAMLReader(maxDepth: maxDepth)
            while !reader.isDone {
                let (event, position) = try events.next()
                try reader.take(event, at: position, into: &sink)
            }
        }
    }

    /// Whatever they stand in: a text of many lines may have some.
    private static let mostHandles = 64

    /// Refuses what YAML does not allow anywhere: libyaml would, too, but without a line to look at.
    private static func checkCharacters(_ bytes: [UInt8]) throws(DecodeError) {
        var position = Position(line: 1, column: 1)
        var offset = 0
        var handles = 0
        while offset < bytes.count {
            // libyaml compares each of these lines with all those before it: a million of them would take it hours.
            let beginsLine =
                offset == 0 || bytes[offset - 1] == UInt8(ascii: "\n") || bytes[offset - 1] == UInt8(ascii: "\r")
            if beginsLine, bytes[offset] == UInt8(ascii: "%"), bytes[offset...].starts(with: "%TAG".utf8) {
                handles += 1
                guard handles <= mostHandles else {
                    throw DecodeError(
                        .unsupported,
                        at: position,
                        "more than \(mostHandles) lines with %TAG: tags are not read"
                    )
                }
            }
            guard let length = TextEncoding.sequenceLength(in: bytes, at: offset) else {
                let byte = String(bytes[offset], radix: 16, uppercase: true)
                throw DecodeError(.notUTF8, at: position, "not UTF-8 (byte 0x\(byte))")
            }
            if isForbidden(bytes[offset..<(offset + length)]) {
                let scalars = String(decoding: bytes[offset..<(offset + length)], as: UTF8.self).unicodeScalars
                let code = scalars.first.map { String($0.value, radix: 16, uppercase: true) } ?? ""
                throw DecodeError(
                    .syntax,
                    at: position,
                    "the character U+\(code), which YAML has no room for: escape it (\\u…) in double quotes"
                )
            }
            offset += length
            position.column += 1
            if bytes[offset - 1] == UInt8(ascii: "\n") { position = Position(line: position.line + 1, column: 1) }
        }
    }

    /// Control characters and non-characters; and U+0085, U+2028 and U+2029, which libyaml, as YAML 1.1 did, takes
    /// for line breaks.
    private static func isForbidden(_ character: ArraySlice<UInt8>) -> Bool {
        let byte = character[character.startIndex]
        switch character.count {
        case 1: return byte == 0x7F || (byte < 0x20 && !TextEncoding.isSpace(byte))
        case 2: return byte == 0xC2 && character[character.startIndex + 1] < 0xA0
        case 3:
            let scalar = UInt32(byte & 0x0F) << 12 | UInt32(character[character.startIndex + 1] & 0x3F) << 6
            let value = scalar | UInt32(character[character.startIndex + 2] & 0x3F)
            return [0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF].contains(value)
        default: return false
        }
    }
}

/// Follows the events of one YAML stream and tells a sink what they mean.
private struct YAMLReader {
    private enum Open {
        case sequence
        case mapping(expectsName: Bool)
    }

    private let maxDepth: Int
    private var open: [Open] = []
    private var hasDocument = false
    private(set) var isDone = false

    init(maxDepth: Int) {
        self.maxDepth = maxDepth
    }

    mutating func take(
        _ event: YAMLEvent,
        at position: Position,
        into sink: inout some DocumentSink
    ) throws(DecodeError) {
        switch event {
        case .streamStart, .documentEnd: break
        case .streamEnd:
            guard hasDocument else { throw DecodeError(.empty, at: nil, "the document is empty") }
            isDone = true
        case .documentStart(let version): try beginDocument(version, at: position)
        case .alias(let name):
            throw refused("the alias '*\(name)'", "write the value out", at: position)
        case .scalar(let scalar, let properties): try self.scalar(scalar, properties, at: position, into: &sink)
        case .sequenceStart(let properties):
            try begin(.sequence, properties, at: position)
            try sink.beginArray(at: position)
        case .mappingStart(let properties):
            try begin(.mapping(expectsName: true), properties, at: position)
            try sink.beginObject(at: position)
        case .sequenceEnd:
            open.removeLast()
            try sink.endArray()
        case .mappingEnd:
            open.removeLast()
            try sink.endObject()
        }
    }

    private mutating func beginDocument(
        _ version: (major: Int32, minor: Int32)?,
        at position: Position
    ) throws(DecodeError) {
        if hasDocument { throw refused("a second document ('---')", "one is all that is read", at: position) }
        hasDocument = true
        if let version, version != (1, 2) {
            // Under 1.1 the same text would mean other values: `no`, `0755`, `1:30`.
            throw refused("YAML \(version.major).\(version.minor)", "documents are read as YAML 1.2", at: position)
        }
    }

    private mutating func scalar(
        _ scalar: YAMLScalar,
        _ properties: YAMLProperties,
        at position: Position,
        into sink: inout some DocumentSink
    ) throws(DecodeError) {
        try check(properties, at: position)
        var scalar = scalar
        // A lone `!` says that the text is not to be interpreted.
        if properties.tag != nil { scalar.isPlain = false }
        guard case .mapping(expectsName: true) = open.last else {
            try sink.scalar(scalar.resolved(at: position), at: position)
            valueIsDone()
            return
        }
        if scalar.isPlain, scalar.text.elementsEqual("<<".utf8) {
            throw refused("the merge key '<<'", "write the members out, or use layers", at: position)
        }
        try sink.name(scalar.text[...], at: position)
        open[open.count - 1] = .mapping(expectsName: false)
    }

    private mutating func begin(
        _ container: Open,
        _ properties: YAMLProperties,
        at position: Position
    ) throws(DecodeError) {
        try check(properties, at: position)
        if case .mapping(expectsName: true) = open.last {
            throw refused("a mapping or a sequence as a key", "a key is plain text", at: position)
        }
        guard open.count < maxDepth else {
            throw DecodeError(.tooDeep, at: position, "more than \(maxDepth) levels deep")
        }
        // The member whose value begins here is complete as far as its mapping is concerned.
        valueIsDone()
        open.append(container)
    }

    private mutating func valueIsDone() {
        if case .mapping = open.last { open[open.count - 1] = .mapping(expectsName: true) }
    }

    private func check(_ properties: YAMLProperties, at position: Position) throws(DecodeError) {
        if let anchor = properties.anchor {
            throw refused("the anchor '&\(anchor)'", "aliases are not read either", at: position)
        }
        if let tag = properties.tag, tag != "!" {
            throw refused("the tag '\(tag)'", "values have the types that YAML 1.2 gives them", at: position)
        }
    }

    private func refused(_ what: String, _ advice: String, at position: Position) -> DecodeError {
        DecodeError(.unsupported, at: position, "\(what) is not allowed: \(advice)")
    }
}

internal import ConfigSnapshot

/// Builds a ``LeafTable`` from what a parser reads.
///
/// Keys and values go straight into the table's block of bytes; what is kept besides is the path to the current
/// member and the names of the objects still open.
struct TableBuilder: DocumentSink {
    static let readsText = true

    struct Limits {
        var maxKeys = 1_000_000
        /// Of one dotted key, in bytes.
        var maxKeyLength = 4096
        /// Of all keys and values together, in bytes. A long name above many short ones is repeated in each key, so
        /// this has to be bounded apart from the document's own size.
        var maxBytes = 1 << 30

        /// The limits for a body of `count` bytes.
        init(bodySize count: Int, maxKeys: Int) {
            self.maxKeys = maxKeys
            // A leaf's place is kept in 32 bits.
            self.maxBytes = min(4 * count + 64 << 20, Int(UInt32.max))
        }
    }

    private struct OpenObject {
        /// The length of the object's own key.
        var pathLength: Int
        var hasMembers = false
    }

    /// Until the next question the table at the most doubles, moves once to do so, and is then copied once.
    private static let costPerByte = 6

    private let limits: Limits
    /// At this size it is asked again whether there is room for more.
    private var nextQuestion = MemoryRoom.worthAsking
    private var bytes: [UInt8] = []
    private var leaves: [LeafTable.Leaf] = []
    private var names = OpenNames()
    /// The key of the member being read.
    private var path: [UInt8] = []
    /// The open objects that are not inside an array; the root is the first.
    private var objects: [OpenObject] = []
    /// Inside an array everything is one leaf's text.
    private var arrayDepth = 0
    private var keyStart = 0
    private var valueStart = 0

    init(limits: Limits, expectedSize: Int) {
        self.limits = limits
        bytes.reserveCapacity(min(expectedSize, limits.maxBytes))
    }

    /// The table, once the parser is through.
    func table() -> LeafTable { LeafTable(bytes: bytes, unsortedLeaves: leaves) }

    mutating func beginObject(at position: Position) throws(DecodeError) {
        names.beginObject()
        if arrayDepth > 0 {
            separate()
            bytes.append(UInt8(ascii: "{"))
            try checkSize(at: position)
        } else {
            objects.append(OpenObject(pathLength: path.count))
        }
    }

    mutating func name(_ name: ArraySlice<UInt8>, at position: Position) throws(DecodeError) {
        guard names.insert(name) else {
            throw DecodeError(.duplicateKey, at: position, "\(TextEncoding.shown(name)) stands twice in one object")
        }
        if arrayDepth > 0 {
            separate()
            JSONText.appendString(name, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            try checkSize(at: position)
            return
        }
        path.removeLast(path.count - objects[objects.count - 1].pathLength)
        objects[objects.count - 1].hasMembers = true
        DottedKey.append(name, to: &path)
        guard path.count <= limits.maxKeyLength else {
            throw DecodeError(
                .tooLarge,
                at: position,
                "a key of more than \(limits.maxKeyLength) bytes, with the names above it"
            )
        }
    }

    mutating func endObject() throws(DecodeError) {
        names.endObject()
        if arrayDepth > 0 {
            bytes.append(UInt8(ascii: "}"))
            return
        }
        let object = objects.removeLast()
        guard !object.hasMembers, !objects.isEmpty else { return }
        beginLeaf()
        bytes.append(contentsOf: "{}".utf8)
        try endLeaf(at: nil)
    }

    mutating func beginArray(at position: Position) throws(DecodeError) {
        if arrayDepth > 0 {
            separate()
        } else {
            try checkInsideObject("an array", at: position)
            beginLeaf()
        }
        bytes.append(UInt8(ascii: "["))
        arrayDepth += 1
        try checkSize(at: position)
    }

    mutating func endArray() throws(DecodeError) {
        bytes.append(UInt8(ascii: "]"))
        arrayDepth -= 1
        if arrayDepth == 0 { try endLeaf(at: nil) }
    }

    mutating func scalar(_ scalar: Scalar, at position: Position) throws(DecodeError) {
        if arrayDepth > 0 {
            separate()
            append(scalar)
            try checkSize(at: position)
        } else {
            try checkInsideObject(scalar.kindName, at: position)
            beginLeaf()
            append(scalar)
            try endLeaf(at: position)
        }
    }

    private mutating func append(_ scalar: Scalar) {
        switch scalar {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: value ? "true".utf8 : "false".utf8)
        case .number(let text): bytes.append(contentsOf: text)
        case .string(let text): JSONText.appendString(text, to: &bytes)
        }
    }

    /// The comma before all but the first thing inside an array. What has been written tells: a value never ends in
    /// one of these bytes.
    private mutating func separate() {
        switch bytes.last {
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ":"): break
        default: bytes.append(UInt8(ascii: ","))
        }
    }

    private mutating func beginLeaf() {
        keyStart = bytes.count
        bytes.append(contentsOf: path)
        valueStart = bytes.count
    }

    private mutating func endLeaf(at position: Position?) throws(DecodeError) {
        try checkSize(at: position)
        guard leaves.count < limits.maxKeys else {
            throw DecodeError(.tooLarge, at: position, "more than \(limits.maxKeys) keys")
        }
        leaves.append(
            LeafTable.Leaf(
                keyStart: keyStart,
                keyLength: valueStart - keyStart,
                valueStart: valueStart,
                valueLength: bytes.count - valueStart
            )
        )
    }

    private mutating func checkSize(at position: Position?) throws(DecodeError) {
        guard bytes.count <= limits.maxBytes else {
            throw DecodeError(
                .tooLarge,
                at: position,
                "keys and values take more than \(limits.maxBytes) bytes: long names stand above many members"
            )
        }
        guard bytes.count >= nextQuestion else { return }
        nextQuestion = 2 * bytes.count
        guard MemoryRoom.has(Self.costPerByte * bytes.count) else {
            throw DecodeError(.noMemory, at: position, "there is no memory for its keys and values")
        }
    }

    private func checkInsideObject(_ found: String, at position: Position) throws(DecodeError) {
        if objects.isEmpty {
            throw DecodeError(.notAnObject, at: position, "the document is \(found), not an object of named values")
        }
    }
}

extension Scalar {
    /// For messages.
    var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        }
    }
}

package import ConfigSnapshot

extension DocumentNode {
    /// Reads one YAML document.
    package static func parse(yaml: [UInt8], maxDepth: Int = 64) throws(DecodeError) -> DocumentNode {
        try parse(yaml, as: .yaml, maxDepth: maxDepth)
    }

    /// Reads one document.
    package static func parse(
        _ bytes: [UInt8],
        as format: DocumentFormat,
        maxDepth: Int = 64
    ) throws(DecodeError) -> DocumentNode {
        var builder = NodeBuilder()
        switch format {
        case .json: try JSONParser.parse(bytes, maxDepth: maxDepth, into: &builder)
        case .yaml: try YAMLParser.parse(bytes, maxDepth: maxDepth, into: &builder)
        }
        guard let root = builder.root else { throw DecodeError(.empty, at: nil, "the document is empty") }
        return root
    }
}

/// Builds a ``DocumentNode`` from what a parser reads.
struct NodeBuilder: DocumentSink {
    static let readsText = true

    private struct Open {
        var position: Position
        var items: [DocumentNode] = []
        /// `nil` for a sequence.
        var members: [DocumentNode.Member]?
        /// The member whose value comes next.
        var pending: (name: String, position: Position)?

        var node: DocumentNode {
            DocumentNode(kind: members.map { .mapping($0) } ?? .sequence(items), position: position)
        }
    }

    /// With it twice as many values fit as there are when it is asked: each takes this many bytes, its place in a list
    /// that grows included.
    private static let bytesPerValue = 256

    private(set) var root: DocumentNode?
    private var count = 0
    private var nextQuestion = 8_192
    private var open: [Open] = []
    private var names = OpenNames()

    mutating func beginObject(at position: Position) {
        names.beginObject()
        open.append(Open(position: position, members: []))
    }

    mutating func name(_ name: ArraySlice<UInt8>, at position: Position) throws(DecodeError) {
        guard names.insert(name) else {
            throw DecodeError(.duplicateKey, at: position, "\(TextEncoding.shown(name)) stands twice in one mapping")
        }
        open[open.count - 1].pending = (String(decoding: name, as: UTF8.self), position)
    }

    mutating func endObject() throws(DecodeError) {
        names.endObject()
        try close()
    }

    mutating func beginArray(at position: Position) {
        open.append(Open(position: position))
    }

    mutating func endArray() throws(DecodeError) { try close() }

    mutating func scalar(_ scalar: Scalar, at position: Position) throws(DecodeError) {
        try add(DocumentNode(kind: .scalar(scalar), position: position))
    }

    private mutating func close() throws(DecodeError) {
        if let closed = open.popLast() { try add(closed.node) }
    }

    private mutating func add(_ node: DocumentNode) throws(DecodeError) {
        count += 1
        if count >= nextQuestion {
            guard MemoryRoom.has(count * Self.bytesPerValue) else {
                throw DecodeError(.noMemory, at: node.position, "there is no memory for more values")
            }
            nextQuestion = 2 * count
        }
        guard !open.isEmpty else {
            root = node
            return
        }
        let parent = open.count - 1
        if let pending = open[parent].pending {
            let member = DocumentNode.Member(name: pending.name, namePosition: pending.position, node: node)
            open[parent].members?.append(member)
            open[parent].pending = nil
        } else {
            open[parent].items.append(node)
        }
    }
}

/// A YAML document as a tree in which everything knows where it was written: for the agent's own configuration.
package struct ConfigNode: Sendable, Equatable {
    /// A member of a mapping.
    package struct Member: Sendable, Equatable {
        package var name: String
        package var namePosition: Position
        package var node: ConfigNode

        package init(name: String, namePosition: Position, node: ConfigNode) {
            self.name = name
            self.namePosition = namePosition
            self.node = node
        }
    }

    package indirect enum Kind: Sendable, Equatable {
        case scalar(Scalar)
        case sequence([ConfigNode])
        /// In the order in which they were written, no name twice.
        case mapping([Member])
    }

    package var kind: Kind
    package var position: Position

    package init(kind: Kind, position: Position) {
        self.kind = kind
        self.position = position
    }

    /// Reads one YAML document.
    package static func parse(yaml: [UInt8], maxDepth: Int = 64) throws(DecodeError) -> ConfigNode {
        var builder = NodeBuilder()
        try YAMLParser.parse(yaml, maxDepth: maxDepth, into: &builder)
        guard let root = builder.root else { throw DecodeError(.empty, at: nil, "the document is empty") }
        return root
    }
}

/// Builds a ``ConfigNode`` from what a parser reads.
struct NodeBuilder: DocumentSink {
    static let readsText = true

    private struct Open {
        var position: Position
        var items: [ConfigNode] = []
        /// `nil` for a sequence.
        var members: [ConfigNode.Member]?
        /// The member whose value comes next.
        var pending: (name: String, position: Position)?

        var node: ConfigNode {
            ConfigNode(kind: members.map { .mapping($0) } ?? .sequence(items), position: position)
        }
    }

    private(set) var root: ConfigNode?
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

    mutating func endObject() {
        names.endObject()
        close()
    }

    mutating func beginArray(at position: Position) {
        open.append(Open(position: position))
    }

    mutating func endArray() { close() }

    mutating func scalar(_ scalar: Scalar, at position: Position) {
        add(ConfigNode(kind: .scalar(scalar), position: position))
    }

    private mutating func close() {
        if let closed = open.popLast() { add(closed.node) }
    }

    private mutating func add(_ node: ConfigNode) {
        guard !open.isEmpty else {
            root = node
            return
        }
        let parent = open.count - 1
        if let pending = open[parent].pending {
            let member = ConfigNode.Member(name: pending.name, namePosition: pending.position, node: node)
            open[parent].members?.append(member)
            open[parent].pending = nil
        } else {
            open[parent].items.append(node)
        }
    }
}

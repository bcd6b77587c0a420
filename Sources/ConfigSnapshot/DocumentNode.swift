/// A document as a tree in which everything knows where it was written: for the agent's own configuration, and for rules
/// that see more than single values.
package struct DocumentNode: Sendable, Equatable {
    /// A member of a mapping.
    package struct Member: Sendable, Equatable {
        package var name: String
        package var namePosition: Position
        package var node: DocumentNode

        package init(name: String, namePosition: Position, node: DocumentNode) {
            self.name = name
            self.namePosition = namePosition
            self.node = node
        }
    }

    package indirect enum Kind: Sendable, Equatable {
        case scalar(Scalar)
        case sequence([DocumentNode])
        /// In the order in which they were written, no name twice.
        case mapping([Member])
    }

    package var kind: Kind
    package var position: Position

    package init(kind: Kind, position: Position) {
        self.kind = kind
        self.position = position
    }
}

/// A place in a document, both counted from 1; the column counts characters (code points), as editors do.
public struct Position: Sendable, Hashable {
    public var line: Int
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// A value that holds no other.
public enum Scalar: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The number as it was written, in JSON's grammar.
    case number(ArraySlice<UInt8>)
    /// Unescaped UTF-8.
    case string(ArraySlice<UInt8>)
}

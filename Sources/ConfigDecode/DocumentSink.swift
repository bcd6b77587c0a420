public import ConfigSnapshot

/// Receives a document piece by piece while a parser reads it.
///
/// The calls describe one value: scalars, or matching begin and end calls with keys and values between. Text is
/// UTF-8, already unescaped and checked. A sink may throw to refuse what it is told.
protocol DocumentSink {
    /// Whether the sink looks at text. For one that does not, the parser checks strings without unescaping them:
    /// what it passes on may then be anything.
    static var readsText: Bool { get }

    mutating func beginObject(at position: Position) throws(DecodeError)
    /// The name of the next member; its value follows.
    mutating func name(_ name: ArraySlice<UInt8>, at position: Position) throws(DecodeError)
    mutating func endObject() throws(DecodeError)
    mutating func beginArray(at position: Position) throws(DecodeError)
    mutating func endArray() throws(DecodeError)
    mutating func scalar(_ scalar: Scalar, at position: Position) throws(DecodeError)
}

/// Why a document cannot be understood: what is wrong, where, and what to do.
public struct DecodeError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        case notUTF8 = "not_utf8"
        case syntax
        case duplicateKey = "duplicate_key"
        case tooDeep = "too_deep"
        case tooLarge = "too_large"
        case notAnObject = "not_an_object"
        case empty
        case unsupported
        case noMemory = "no_memory"
    }

    public let code: Code
    public let position: Position?
    public let message: String

    public init(_ code: Code, at position: Position?, _ message: String) {
        self.code = code
        self.position = position
        self.message = message
    }

    public var description: String {
        guard let position else { return message }
        return "line \(position.line), column \(position.column): \(message)"
    }
}

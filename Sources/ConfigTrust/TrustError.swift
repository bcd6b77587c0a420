/// Why something about a signature cannot be used, as one who sees only these words can act on it.
public struct TrustError: Error, Sendable, Hashable, CustomStringConvertible {
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}

/// What an operator can command.
public enum OperatorAction: Hashable, Sendable {
    case refresh(String?)
    case reload
    /// Go back to a generation, and keep it.
    case rollback(UInt64)
    /// Keep what is in use.
    case pin
    case unpin
    /// Ask no source.
    case freeze
    case thaw
    /// Take a document that rules refuse: the first digits of its digest.
    case accept(String)

    public var name: String {
        switch self {
        case .refresh: "refresh"
        case .reload: "reload"
        case .rollback: "rollback"
        case .pin: "pin"
        case .unpin: "unpin"
        case .freeze: "freeze"
        case .thaw: "thaw"
        case .accept: "accept"
        }
    }

    /// What it is about, where that is something.
    public var object: String? {
        switch self {
        case .refresh(let source): source
        case .rollback(let generation): String(generation)
        case .accept(let digest): digest
        case .reload, .pin, .unpin, .freeze, .thaw: nil
        }
    }
}

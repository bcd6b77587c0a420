public import ConfigSnapshot

/// What one request came to.
public enum FetchResult: Sendable {
    case document(FetchedDocument)
    /// The source says that what is in use is still the newest.
    case notModified(Trace)
    case failed(StageFailure, retryAfterNanoseconds: UInt64?)
}

/// What a flight came to once its document had passed, or failed to pass, every stage.
public struct FlightOutcome: Sendable {
    public enum Kind: Sendable {
        /// A new snapshot holds it.
        case published
        /// It was taken, and becomes visible once every required source has given a document.
        case held
        /// The same content as before came again.
        case unchanged
        /// The source confirmed what is in use without sending it.
        case notModified
        case failed(StageFailure, retryAfterNanoseconds: UInt64?)
    }

    public var kind: Kind
    /// The newest generation when the flight ended.
    public var generation: UInt64
    /// The revision of the source that is in use, whatever this flight came to.
    public var revision: SourceRevision?
    /// The way of the document; `nil` where none came.
    public var trace: Trace?
    /// Sources whose documents were held until now and became visible with this one.
    public var released: [SourceName]

    public init(
        kind: Kind,
        generation: UInt64,
        revision: SourceRevision?,
        trace: Trace?,
        released: [SourceName] = []
    ) {
        self.released = released
        self.kind = kind
        self.generation = generation
        self.revision = revision
        self.trace = trace
    }

    /// Whether it belongs to a plan that has been replaced meanwhile.
    public var isSuperseded: Bool { failure?.code == Self.supersededCode }

    public static let supersededCode = "superseded"

    public var failure: StageFailure? {
        guard case .failed(let failure, _) = kind else { return nil }
        return failure
    }
}

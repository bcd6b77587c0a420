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
    /// The newest revision of the source that was accepted, whatever this flight came to.
    public var revision: SourceRevision?
    /// The one that is in use: another one while something is pinned.
    public var running: SourceRevision?
    /// What the source has offered with this flight, accepted or not; `nil` where no document came.
    public var offered: SourceRevision?
    /// The way of the document; `nil` where none came.
    public var trace: Trace?
    /// Sources whose documents were held until now and became visible with this one.
    public var released: [SourceName]

    public init(
        kind: Kind,
        generation: UInt64,
        revision: SourceRevision?,
        running: SourceRevision? = nil,
        offered: SourceRevision? = nil,
        trace: Trace?,
        released: [SourceName] = []
    ) {
        self.running = running ?? revision
        self.offered = offered
        self.released = released
        self.kind = kind
        self.generation = generation
        self.revision = revision
        self.trace = trace
    }

    /// Whether it says nothing of the source as it is now: it belongs to a plan that has been replaced, or the sources have
    /// been frozen meanwhile.
    public var isSuperseded: Bool { failure?.code == Self.supersededCode || failure?.code == StageFailure.frozenCode }

    public static let supersededCode = "superseded"

    public var failure: StageFailure? {
        guard case .failed(let failure, _) = kind else { return nil }
        return failure
    }
}

extension StageFailure {
    public static let frozenCode = "frozen"

    /// Somebody has commanded that no source is asked.
    public static let frozen = StageFailure(
        .fetch,
        frozenCode,
        "the sources are frozen",
        hint: "see who has frozen them and why: agentctl status; to go on: agentctl thaw"
    )
}

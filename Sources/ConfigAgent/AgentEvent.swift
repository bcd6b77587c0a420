public import ConfigFetch
public import ConfigPublish
public import ConfigSnapshot

/// What an agent has to tell, for the journal.
public enum AgentEvent: Sendable {
    /// A new snapshot is visible to readers. `source` is the one whose document made it new; `nil` at the start.
    case published(Snapshot, source: SourceRevision?, trace: Trace?)
    /// The document of an on-demand source is there for its readers, or has changed while somebody reads it.
    case documentLoaded(SourceRevision, keys: Int, Trace)
    /// A document did not get through. Told for the first failure in a row, for each new kind, and ever more rarely.
    case sourceFailed(SourceName, StageFailure, inARow: Int, generation: UInt64)
    case sourceRecovered(SourceName, afterFailures: Int)
    /// At the start, a source is served from its stored copy.
    case lastGoodUsed(SourceRevision)
    case store(StoreEvent)
    /// Somebody has commanded something, and what became of it.
    case commanded(OperatorAction, Command, refusal: String?)
    case fetch(FetchNotice)
}

/// What there is to tell of what is kept on disk.
public enum StoreEvent: Sendable {
    case copyUnusable(SourceName, StoredDocumentFault)
    /// One of the lists of the highest versions accepted cannot be used: the other, and what the stored copies say, stand in.
    case versionsUnusable(StoredDocumentFault)
    /// What the operator has commanded for good cannot be read: what was in use last is pinned.
    case operatorStateUnusable(StoredDocumentFault)
    /// The list of refused and accepted documents cannot be read: what was accepted is refused again.
    case quarantineUnusable(StoredDocumentFault)
    /// What was pinned cannot be had: what was in use last is pinned in its place.
    case pinLost(OperatorState.Pin, GenerationFault)
    /// Not all records of generations can be read: until the next start nothing is forgotten that they may name.
    case historyUnreadable(FileError)
    /// Nothing can be written.
    case failing(FileError)
    case recovered
}

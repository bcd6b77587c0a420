public import ConfigSnapshot

/// What the fetch stage has to tell that no outcome of a flight tells.
public enum FetchNotice: Sendable, Equatable {
    /// A source is asked at another place from now on. Places are URLs as they may be shown.
    case moved(SourceName, from: String, to: String, because: String)
    /// It is asked at its first place again.
    case returned(SourceName, from: String, to: String)
    /// Two places of a source give different documents as one revision: one of them is wrong.
    case disagreement(SourceName, String, String)
    /// A host has failed so often that it is asked only once in a while.
    case hostSuspect(String, failures: Int, last: String)
    case hostRecovered(String)
    /// Nobody has read the source's document for its idle time: it is not asked any more until somebody does.
    case asleep(SourceName)
}

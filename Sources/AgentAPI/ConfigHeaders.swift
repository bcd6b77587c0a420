/// The headers that say where a value came from, in the answers to `GET /v1/config/KEY` and
/// `GET /v1/documents/SOURCE/KEY`.
public enum ConfigHeaders {
    /// The generation of the snapshot the value was read from, in decimal. None for a document on demand.
    public static let generation = "Agent-Generation"
    /// The source that gave the value; absent for an object put together from several.
    public static let source = "Agent-Source"
    /// That source's revision.
    public static let revision = "Agent-Revision"
    /// For a document on demand: `fresh`, or `last_good` when its source fails, or has not confirmed the stored copy yet.
    public static let state = "Agent-State"
    /// Changes whenever the value does; answered by `If-None-Match` with 304.
    public static let etag = "ETag"
}

public import ConfigSnapshot

/// What is known from before the start of a source that has mirrors: which of its places lag behind is told by it.
public struct SourcePast: Sendable {
    /// What its place said of the document in use, whatever is believed of that now.
    let said: Validators
    /// Whether a document was in use once, by the digest of the document itself and the signature as it came.
    let knows: @Sendable (ContentDigest, [UInt8]?) -> Bool

    public init(said: Validators, knows: @escaping @Sendable (ContentDigest, [UInt8]?) -> Bool) {
        self.said = said
        self.knows = knows
    }
}

public import ConfigSnapshot
internal import Crypto

/// The verify stage: are these the bytes that the source meant?
///
/// Thread-safe: a value without state.
public struct Verifier: Sendable {
    /// The most bytes a document may have.
    public let maxBytes: Int

    public init(maxBytes: Int) { self.maxBytes = maxBytes }

    /// Checks size and computes the digest, before anything is parsed.
    ///
    /// - Parameter now: the monotonic clock, read when the check is done.
    public func verify(
        _ document: FetchedDocument,
        now: () -> UInt64
    ) throws(StageFailure) -> VerifiedDocument {
        guard !document.body.isEmpty else {
            throw StageFailure(
                .verify,
                "empty",
                "the document is empty",
                hint: "an empty configuration is written as {}"
            )
        }
        guard document.body.count <= maxBytes else {
            throw StageFailure(
                .verify,
                "too_large",
                "the document has \(document.body.count) bytes, more than the limit of \(maxBytes)",
                hint: "raise 'guard.max_bytes' of source '\(document.source)' if that is meant"
            )
        }
        // SAFETY of `guard`: SHA-256 always yields 32 bytes.
        guard let digest = ContentDigest(bytes: SHA256.hash(data: document.body)) else {
            throw StageFailure(.verify, "internal", "no digest")
        }
        var trace = document.trace
        trace[.verified] = now()
        return VerifiedDocument(verified: document, digest: digest, trace: trace)
    }
}

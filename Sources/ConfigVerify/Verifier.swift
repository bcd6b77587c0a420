public import ConfigSnapshot
public import ConfigTrust
internal import Crypto

/// The verify stage: are these the bytes that the source meant?
///
/// Thread-safe: a value without state.
public struct Verifier: Sendable {
    /// The most bytes a document may have, its signature not counted.
    public let maxBytes: Int
    /// What its signature has to be; `nil` where none is required.
    public let policy: SignaturePolicy?

    public init(maxBytes: Int, policy: SignaturePolicy? = nil) {
        self.maxBytes = maxBytes
        self.policy = policy
    }

    /// A document, and what its signature has come to where one is required.
    public struct Verdict: Sendable {
        public let document: VerifiedDocument
        public let accepted: SignaturePolicy.Accepted?
    }

    /// Checks size and signature and computes the digest, before anything is parsed.
    ///
    /// - Parameters:
    ///   - moment: what is asked of the signature.
    ///   - now: the monotonic clock, read when the check is done.
    public func verify(
        _ fetched: FetchedDocument,
        _ moment: SignaturePolicy.Moment,
        now: () -> UInt64
    ) throws(StageFailure) -> Verdict {
        let (signature, body) = try parts(of: fetched)
        guard !body.isEmpty else {
            throw StageFailure(
                .verify,
                "empty",
                "the document is empty",
                hint: "an empty configuration is written as {}"
            )
        }
        guard body.count <= maxBytes else {
            throw StageFailure(
                .verify,
                "too_large",
                "the document has \(body.count) bytes, more than the limit of \(maxBytes)",
                hint: "raise 'guard.max_bytes' of source '\(fetched.source)' if that is meant"
            )
        }
        // SAFETY of `guard`: SHA-256 always yields 32 bytes.
        guard let digest = ContentDigest(bytes: SHA256.hash(data: body)) else {
            throw StageFailure(.verify, "internal", "no digest")
        }
        let accepted: SignaturePolicy.Accepted? =
            if let policy { try policy.check(signature, of: fetched.source, digest: digest, moment) } else { nil }
        var trace = fetched.trace
        trace[.verified] = now()
        let document = VerifiedDocument(
            verified: fetched,
            body: body,
            signature: signature,
            signed: accepted?.signed,
            digest: digest,
            trace: trace
        )
        return Verdict(document: document, accepted: accepted)
    }

    /// The signature that came beside a document or before it, and the document. One that carries a signature is taken
    /// apart whether it has to carry one or not: so documents can be signed before signatures are required.
    private func parts(of fetched: FetchedDocument) throws(StageFailure) -> (signature: [UInt8]?, body: [UInt8]) {
        if let signature = fetched.signature { return (signature, fetched.body) }
        do throws(TrustError) {
            let (signature, document) = try SignedDocument.split(fetched.body)
            return signature == nil ? (nil, fetched.body) : (signature.map { Array($0) }, Array(document))
        } catch {
            throw StageFailure(.verify, "bad_signature", error.message, hint: "sign the document again")
        }
    }
}

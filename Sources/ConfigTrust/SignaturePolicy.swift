public import ConfigSnapshot

/// What a source's signatures have to be.
public struct SignaturePolicy: Hashable, Sendable {
    /// What is asked of a signature at the moment.
    public enum Moment: Hashable, Sendable {
        /// The document is to be taken: nothing revoked, nothing expired. Seconds since 1970.
        case taking(at: Int64)
        /// The document was taken once, and its copy is to be used again: whatever has become of its keys and its time
        /// since, it has to be the same.
        case keeping
        /// Somebody goes back to it knowingly: its time may be over, but its keys have to be believed still.
        case goingBack
    }

    public var ring: KeyRing
    /// How many different keys have to have signed, at least.
    public var threshold: Int
    /// The names that this host goes by: an envelope is for everybody, or for one of them.
    public var audience: Set<String>
    /// Where the keys come from a trust file: which one, so that no older one is believed.
    public var trust: TrustVersion?

    public init(ring: KeyRing, threshold: Int = 1, audience: Set<String> = [], trust: TrustVersion? = nil) {
        self.ring = ring
        self.threshold = threshold
        self.audience = audience
        self.trust = trust
    }

    /// Why what was taken once would not be taken any more, whatever its time; `nil` where it would.
    public func distrust(of signed: Signed?) -> String? {
        guard let signed else { return "it was taken before a signature was required" }
        let keys = signed.keys.compactMap { KeyID($0) }
        guard keys.count(where: ring.trusted.contains) < threshold else { return nil }
        return keys.contains(where: ring.revoked.contains)
            ? "a key that signed it is revoked" : "of the keys that signed it too few are trusted any more"
    }

    /// An envelope that has been checked, and who has signed it.
    public struct Accepted: Hashable, Sendable {
        public var envelope: Envelope
        /// Those whose signature counted, in order.
        public var signers: [KeyID]

        /// The same for whoever only looks.
        public var signed: Signed {
            Signed(
                version: envelope.version,
                issued: envelope.issued,
                expires: envelope.expires,
                keys: signers.map(\.text)
            )
        }
    }

    /// Checks signatures and, only then, reads what they stand under.
    ///
    /// - Parameters:
    ///   - signature: as it came; `nil` for a document without one.
    ///   - digest: of the document.
    /// - Throws: in the verify stage: `unsigned`, `bad_signature`, `revoked_key`, `wrong_source`, `wrong_audience`,
    ///   `expired`, `signature_mismatch`.
    public func check(
        _ signature: [UInt8]?,
        of source: SourceName,
        digest: ContentDigest,
        _ moment: Moment
    ) throws(StageFailure) -> Accepted {
        guard let signature else {
            throw Self.failure(
                "unsigned",
                "the document carries no signature, and source '\(source)' requires one",
                "sign it with 'agentctl sign'; if it was signed, somebody has taken the signature away"
            )
        }
        let file: SignatureFile
        do throws(TrustError) { file = try SignatureFile(parsing: signature) } catch {
            throw Self.failure("bad_signature", error.message, Self.signAgain)
        }
        let signers = try signers(of: file, moment)
        let envelope: Envelope
        do throws(TrustError) { envelope = try Envelope(parsing: file.envelope) } catch {
            throw Self.failure("bad_signature", error.message, Self.signAgain)
        }
        let counted = signers.filter { envelope.keys.contains($0) }.sorted()
        guard counted.count >= threshold else {
            throw Self.failure(
                "bad_signature",
                "\(counted.count) of the keys that the envelope names \(has(counted.count)) signed it, and \(threshold) "
                    + "\(has(threshold)) to",
                "sign it with \(threshold) of the trusted keys"
            )
        }
        try check(envelope, source, digest, moment)
        return Accepted(envelope: envelope, signers: counted)
    }

    private static let signAgain = "sign the document again, with 'agentctl sign'"

    /// The keys with a right signature, of those that count.
    private func signers(of file: SignatureFile, _ moment: Moment) throws(StageFailure) -> [KeyID] {
        var signers: [KeyID] = []
        var revoked: [KeyID] = []
        for signature in file.signatures {
            if moment != .keeping, ring.revoked.contains(signature.key) {
                revoked.append(signature.key)
            } else if ring.keys[signature.key]?.verifies(signature.bytes, under: file.envelope) == true {
                signers.append(signature.key)
            }
        }
        if signers.count >= threshold { return signers }
        if let key = revoked.first {
            throw Self.failure(
                "revoked_key",
                "the document is signed with key \(key), which is revoked",
                "sign it with a key that is trusted"
            )
        }
        let known = file.signatures.contains { ring.keys[$0.key] != nil }
        let count = "\(signers.count) trusted \(signers.count == 1 ? "key has" : "keys have")"
        throw Self.failure(
            "bad_signature",
            known
                ? "\(count) signed the document rightly, and \(threshold) \(has(threshold)) to"
                : "none of the keys that have signed the document is trusted",
            known ? Self.signAgain : "sign it with a trusted key, or see to it that the key that signed it is trusted"
        )
    }

    private func check(
        _ envelope: Envelope,
        _ source: SourceName,
        _ digest: ContentDigest,
        _ moment: Moment
    ) throws(StageFailure) {
        guard envelope.source == source else {
            throw Self.failure(
                "wrong_source",
                "the document is signed for source '\(envelope.source)', and not for '\(source)'",
                "sign it with --source \(source), or mend the URL"
            )
        }
        guard envelope.audience.isEmpty || !audience.isDisjoint(with: envelope.audience) else {
            let names = audience.isEmpty ? "no name" : audience.sorted().joined(separator: ", ")
            throw Self.failure(
                "wrong_audience",
                "the document is for \(envelope.audience.joined(separator: ", ")), and not for this host",
                "this host goes by \(names): see 'verify.audience'"
            )
        }
        guard envelope.digest == digest else {
            throw Self.failure(
                "signature_mismatch",
                "the signature is another document's: it may be that one of the two is not yet up to date",
                "publish a document and its signature together"
            )
        }
        if case .taking(let now) = moment, now >= envelope.expires {
            throw Self.failure(
                "expired",
                "the signature of version \(envelope.version) expired \(now - envelope.expires) seconds ago",
                "sign the document again; if it was not meant to expire so soon, see whether this machine's clock is right"
            )
        }
    }

    private func has(_ count: Int) -> String { count == 1 ? "has" : "have" }

    private static func failure(_ code: String, _ message: String, _ hint: String) -> StageFailure {
        StageFailure(.verify, code, message, hint: hint)
    }
}

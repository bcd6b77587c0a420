public import ConfigSnapshot
public import ConfigTrust

/// Somebody who signs documents.
public struct Signer: Sendable {
    public let keys: [PrivateKey]
    public var source = "app"
    public var audience: [String] = []
    /// Seconds since 1970.
    public var issued: Int64
    public var expires: Int64

    /// - Parameter keys: as many of them as are to sign.
    public init(_ keys: PrivateKey...) {
        self.keys = keys
        issued = WallClock.nowNanoseconds / 1_000_000_000
        expires = issued + 3_600
    }

    public func with(_ change: (inout Signer) -> Void) -> Signer {
        var signer = self
        change(&signer)
        return signer
    }

    public func envelope(_ document: String, _ version: UInt64) throws -> Envelope {
        envelope(Array(document.utf8), version)
    }

    private func envelope(_ document: [UInt8], _ version: UInt64) -> Envelope {
        Envelope(
            source: sourceName(source),
            audience: audience,
            version: version,
            issued: issued,
            expires: expires,
            keys: keys.map(\.publicKey.id),
            digest: digest(of: document)
        )
    }

    /// The bytes of the file that belongs beside `document`.
    public func signature(_ document: String, _ version: UInt64) throws -> [UInt8] {
        try signature(Array(document.utf8), version)
    }

    public func signature(_ document: [UInt8], _ version: UInt64) throws -> [UInt8] {
        let envelope = Array(envelope(document, version).text.utf8)
        let signatures = try keys.map {
            SignatureFile.Signature(key: $0.publicKey.id, bytes: try $0.sign(envelope))
        }
        return Array(SignatureFile(envelope: envelope, signatures: signatures).text.utf8)
    }

    /// Document and signature as one.
    public func carried(_ document: String, _ version: UInt64) throws -> [UInt8] {
        try carried(Array(document.utf8), version)
    }

    public func carried(_ document: [UInt8], _ version: UInt64) throws -> [UInt8] {
        SignedDocument.join(signature: try signature(document, version), document)
    }
}

public func digest(of bytes: [UInt8]) -> ContentDigest {
    guard let digest = ContentDigest(of: bytes) else { preconditionFailure("SHA-256 yields 32 bytes") }
    return digest
}

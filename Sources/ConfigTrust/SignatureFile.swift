/// An envelope and the signatures under it: what lies beside a document, or before it.
public struct SignatureFile: Hashable, Sendable {
    public struct Signature: Hashable, Sendable {
        public var key: KeyID
        /// 64 bytes.
        public var bytes: [UInt8]

        public init(key: KeyID, bytes: [UInt8]) {
            self.key = key
            self.bytes = bytes
        }

        /// `KEYID BASE64`.
        init?(line: Substring) {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2, let key = KeyID(words[0]), let bytes = Base64.decode(words[1]), bytes.count == 64
            else { return nil }
            self.init(key: key, bytes: bytes)
        }
    }

    /// The exact bytes that are signed.
    public var envelope: [UInt8]
    public var signatures: [Signature]

    public init(envelope: [UInt8], signatures: [Signature]) {
        self.envelope = envelope
        self.signatures = signatures
    }

    static let title = "config-agent signature 1"
    /// Bytes of the whole file.
    public static let largest = 64 << 10

    /// As it is written to a file.
    public var text: String {
        var lines = [Self.title, "envelope: \(Base64.encode(envelope))"]
        lines += signatures.map { "signature: \($0.key) \(Base64.encode($0.bytes))" }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads what ``text`` makes, and nothing else.
    public init(parsing bytes: some Collection<UInt8>) throws(TrustError) {
        guard bytes.count <= Self.largest, let text = String(validating: bytes, as: UTF8.self) else {
            throw TrustError("the signature is not text of at most \(Self.largest) bytes")
        }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard lines.popFirst() == Substring(Self.title) else {
            throw TrustError("the signature does not begin with '\(Self.title)'")
        }
        guard let line = lines.popFirst(), line.hasPrefix("envelope: "),
            let envelope = Base64.decode(line.dropFirst(10))
        else { throw TrustError("the signature holds no envelope") }
        guard lines.popLast() == "" else { throw TrustError("the signature is cut off") }
        guard lines.count <= Envelope.mostKeys else {
            throw TrustError("there are more than \(Envelope.mostKeys) signatures")
        }
        var signatures: [Signature] = []
        for line in lines {
            guard line.hasPrefix("signature: "), let signature = Signature(line: line.dropFirst(11)) else {
                throw TrustError("a line of the signature is neither a key's nor its end")
            }
            guard !signatures.contains(where: { $0.key == signature.key }) else {
                throw TrustError("a key has signed twice")
            }
            signatures.append(signature)
        }
        self.init(envelope: envelope, signatures: signatures)
    }

    // MARK: By other tools

    /// A signature as another tool has written it: 64 bytes as `openssl pkeyutl -sign -rawin` does, or a file of
    /// `signify -S`.
    public static func foreign(_ bytes: [UInt8]) throws(TrustError) -> [UInt8] {
        if bytes.count == 64 { return bytes }
        if let payload = String(validating: bytes, as: UTF8.self).flatMap({ SignifyFile.payload(of: $0) }),
            payload.count == 74
        {
            return Array(payload[10...])
        }
        throw TrustError("this is no signature: 64 bytes as openssl writes them, or a file of signify")
    }
}

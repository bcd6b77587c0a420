internal import Crypto

/// The name of a key: the first half of the SHA-256 of its 32 bytes, as 32 hexadecimal digits.
public struct KeyID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// - Returns: `nil` for anything but 32 digits in lower case.
    public init?(_ text: some StringProtocol) {
        let isHex = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        guard text.utf8.count == 32, isHex else { return nil }
        self.text = String(text)
    }

    fileprivate init(ofKey raw: [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in SHA256.hash(data: raw).prefix(16) { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        self.text = String(decoding: text, as: UTF8.self)
    }

    public var description: String { text }

    public static func < (left: KeyID, right: KeyID) -> Bool { left.text < right.text }
}

/// An Ed25519 public key.
public struct PublicKey: Hashable, Sendable {
    /// 32 bytes.
    public let raw: [UInt8]
    public let id: KeyID

    fileprivate init(_ key: Curve25519.Signing.PublicKey) {
        raw = Array(key.rawRepresentation)
        id = KeyID(ofKey: raw)
    }

    /// - Returns: `nil` unless `raw` is 32 bytes that are a key.
    public init?(raw: [UInt8]) {
        guard raw.count == 32, (try? Curve25519.Signing.PublicKey(rawRepresentation: raw)) != nil else { return nil }
        self.raw = raw
        id = KeyID(ofKey: raw)
    }

    /// What stands before the 32 bytes in the DER form of RFC 8410.
    private static let prefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]

    /// Reads a key file: PEM as `openssl pkey -pubout` writes it, or one of `signify`.
    public init(file text: String) throws(TrustError) {
        if let der = PEMBlock.read("PUBLIC KEY", in: text) {
            guard der.starts(with: Self.prefix), let key = PublicKey(raw: Array(der.dropFirst(Self.prefix.count)))
            else {
                throw TrustError("this is a public key, but not of Ed25519")
            }
            self = key
            return
        }
        if PEMBlock.read("PRIVATE KEY", in: text) != nil {
            throw TrustError("this is a private key: it belongs to whoever signs, and nowhere near the agent")
        }
        guard let bytes = SignifyFile.payload(of: text), bytes.count == 42,
            let key = PublicKey(raw: Array(bytes[10...]))
        else {
            throw TrustError("this is no public key: PEM as 'agentctl keygen' or openssl write it, or one of signify")
        }
        self = key
    }

    /// The same as PEM.
    public var pem: String { PEMBlock.write("PUBLIC KEY", Self.prefix + raw) }

    /// Whether `signature` is this key's under exactly `bytes`.
    public func verifies(_ signature: [UInt8], under bytes: [UInt8]) -> Bool {
        guard signature.count == 64, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: raw) else {
            return false
        }
        return key.isValidSignature(signature, for: bytes)
    }
}

/// An Ed25519 private key. Only `agentctl` ever has one.
public struct PrivateKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey
    public let publicKey: PublicKey

    /// A new one.
    public init() { self.init(Curve25519.Signing.PrivateKey()) }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        self.key = key
        publicKey = PublicKey(key.publicKey)
    }

    private static let prefix: [UInt8] = [
        0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ]

    /// Reads PEM as `openssl genpkey -algorithm ed25519` writes it.
    public init(file text: String) throws(TrustError) {
        guard let der = PEMBlock.read("PRIVATE KEY", in: text), der.starts(with: Self.prefix),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: der.dropFirst(Self.prefix.count).prefix(32))
        else {
            throw TrustError("this is no private key of Ed25519 in PEM, without a passphrase")
        }
        self.init(key)
    }

    public var pem: String { PEMBlock.write("PRIVATE KEY", Self.prefix + Array(key.rawRepresentation)) }

    /// 64 bytes.
    public func sign(_ bytes: [UInt8]) throws(TrustError) -> [UInt8] {
        do { return Array(try key.signature(for: bytes)) } catch { throw TrustError("cannot sign: \(error)") }
    }
}

/// `-----BEGIN LABEL-----`, base64, `-----END LABEL-----`.
enum PEMBlock {
    static func read(_ label: String, in text: String) -> [UInt8]? {
        let lines = text.split(whereSeparator: \.isNewline)
        guard let begin = lines.firstIndex(of: "-----BEGIN \(label)-----"),
            let end = lines[begin...].firstIndex(of: "-----END \(label)-----")
        else { return nil }
        return Base64.decode(lines[(begin + 1)..<end].joined())
    }

    static func write(_ label: String, _ bytes: [UInt8]) -> String {
        var rest = Substring(Base64.encode(bytes))
        var lines: [Substring] = ["-----BEGIN \(label)-----"]
        while !rest.isEmpty {
            lines.append(rest.prefix(64))
            rest = rest.dropFirst(64)
        }
        return (lines + ["-----END \(label)-----"]).joined(separator: "\n") + "\n"
    }
}

/// A comment and a line of base64: the files of `signify` and `minisign`.
enum SignifyFile {
    private static let comment = "untrusted comment:"

    /// What the base64 says: two letters `Ed`, a number of eight bytes, the key or the signature.
    static func payload(of text: String) -> [UInt8]? {
        let lines = text.split(whereSeparator: \.isNewline)
        guard lines.count >= 2, lines[0].hasPrefix(comment), let bytes = Base64.decode(lines[1]),
            bytes.starts(with: "Ed".utf8)
        else { return nil }
        return bytes
    }
}

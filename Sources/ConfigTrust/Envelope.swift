public import ConfigSnapshot
internal import Crypto

/// What is signed: which document is meant, for whom, and for how long.
///
/// Its form is a few lines of text of which the exact bytes are signed, so that any tool that signs a file can sign it.
public struct Envelope: Hashable, Sendable {
    /// Whose document it is: for another source it means nothing.
    public var source: SourceName
    /// For whom it is; empty for everybody.
    public var audience: [String]
    /// Grows with each document: nothing older than what was accepted once is accepted again.
    public var version: UInt64
    /// Seconds since 1970.
    public var issued: Int64
    /// From then on nothing new is taken from it, and what is in use is called expired. Seconds since 1970.
    public var expires: Int64
    /// The keys that are meant to sign it: signatures of others do not count.
    public var keys: [KeyID]
    /// Of the document's bytes.
    public var digest: ContentDigest

    public init(
        source: SourceName,
        audience: [String],
        version: UInt64,
        issued: Int64,
        expires: Int64,
        keys: [KeyID],
        digest: ContentDigest
    ) {
        self.source = source
        self.audience = audience
        self.version = version
        self.issued = issued
        self.expires = expires
        self.keys = keys
        self.digest = digest
    }

    static let title = "config-agent envelope 1"
    public static let mostKeys = 16
    private static let mostAudiences = 64
    /// Seconds since 1970: such times can be counted in nanoseconds, too.
    private static let times: ClosedRange<Int64> = 0...9_000_000_000
    /// Bytes: nothing that is allowed needs more.
    static let largest = 16 << 10

    /// Whether `name` may stand for somebody in an audience.
    public static func isAudience(_ name: some StringProtocol) -> Bool {
        !name.isEmpty && name.utf8.count <= 253
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ",") }
    }

    /// The bytes to be signed.
    public var text: String {
        """
        \(Self.title)
        source: \(source)
        audience: \(audience.isEmpty ? "*" : audience.joined(separator: " "))
        version: \(version)
        issued: \(issued)
        expires: \(expires)
        keys: \(keys.map(\.text).joined(separator: " "))
        digest: \(digest)

        """
    }

    /// Reads what ``text`` makes, and nothing else: each line in its place, each number in one way.
    public init(parsing bytes: [UInt8]) throws(TrustError) {
        guard bytes.count <= Self.largest, let text = String(validating: bytes, as: UTF8.self) else {
            throw TrustError("the envelope is not text of at most \(Self.largest) bytes")
        }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard lines.popFirst() == Substring(Self.title) else {
            throw TrustError("the envelope does not begin with '\(Self.title)'")
        }
        func field(_ name: String) throws(TrustError) -> Substring {
            guard let line = lines.popFirst(), line.hasPrefix(name + ": ") else {
                throw TrustError("the envelope has no '\(name)' in its place")
            }
            return line.dropFirst(name.utf8.count + 2)
        }
        func number<Number: FixedWidthInteger>(_ name: String) throws(TrustError) -> Number {
            let text = try field(name)
            guard let number = Number(text), "\(number)" == text else {
                throw TrustError("the envelope's '\(name)' is not a number")
            }
            return number
        }
        guard let source = SourceName(String(try field("source"))) else {
            throw TrustError("the envelope names no source")
        }
        let audience = try field("audience").split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let version: UInt64 = try number("version")
        let issued: Int64 = try number("issued")
        let expires: Int64 = try number("expires")
        let names = try field("keys").split(separator: " ", omittingEmptySubsequences: false)
        let keys = names.compactMap { KeyID($0) }
        let digest = ContentDigest(text: try field("digest"))
        guard audience.count <= Self.mostAudiences, audience == ["*"] || !audience.contains("*"),
            audience.allSatisfy({ Self.isAudience($0) })
        else { throw TrustError("the envelope's 'audience' is not a list of names") }
        guard keys.count == names.count, keys.count <= Self.mostKeys, Set(keys).count == keys.count else {
            throw TrustError("the envelope's 'keys' are not 1 to \(Self.mostKeys) different key ids")
        }
        guard Self.times.contains(issued), Self.times.contains(expires) else {
            throw TrustError("the envelope's 'issued' or 'expires' is no time of this age")
        }
        guard let digest else { throw TrustError("the envelope's 'digest' is not one") }
        guard lines == [""] else { throw TrustError("the envelope goes on behind its end") }
        self.init(
            source: source,
            audience: audience == ["*"] ? [] : audience,
            version: version,
            issued: issued,
            expires: expires,
            keys: keys,
            digest: digest
        )
    }
}

extension ContentDigest {
    /// - Returns: never `nil`: SHA-256 always yields 32 bytes.
    public init?(of body: [UInt8]) { self.init(bytes: SHA256.hash(data: body)) }
}

public import ConfigSnapshot
internal import Crypto

/// Tells a document, its signature included, from every other: the first half of a SHA-256.
public struct DocumentID: Hashable, Sendable, CustomStringConvertible {
    // Two words and no text: there may be as many as there are layers, for each generation that is kept.
    private let high: UInt64
    private let low: UInt64

    /// - Parameter digest: of the document itself.
    public init(digest: ContentDigest, signature: [UInt8]?) {
        guard let signature else {
            self.init(digest.bytes)
            return
        }
        var hash = SHA256()
        hash.update(data: digest.bytes)
        hash.update(data: signature)
        self.init(Array(hash.finalize()))
    }

    private init(_ bytes: [UInt8]) {
        high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.dropFirst(8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// - Returns: `nil` for anything but what ``description`` writes: it is part of a file's name.
    init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.dropFirst(16), radix: 16)
        else { return nil }
        self.high = high
        self.low = low
        guard description == text else { return nil }
    }

    /// 32 hexadecimal digits.
    public var description: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

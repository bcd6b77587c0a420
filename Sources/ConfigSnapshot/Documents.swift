/// The name of a source as the operator wrote it: `[A-Za-z0-9][A-Za-z0-9_-]*`, at most 64 characters.
public struct SourceName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let text: String

    /// - Returns: `nil` when `text` is not a source's name. Such names are also file names in the state directory.
    public init?(_ text: String) {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= 64,
            text.utf8.allSatisfy({ isAlphanumeric($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.text = text
    }

    public var description: String { text }

    public static func < (left: SourceName, right: SourceName) -> Bool { left.text < right.text }
}

/// What a source told about the version of a document, to be sent back with the next request.
public struct Validators: Hashable, Sendable {
    /// Where a document stands in its source's own count, for sources that have one.
    public struct Order: Hashable, Sendable {
        /// Which count this is: numbers of two are not to be compared.
        public var series: UInt64
        public var number: Int64

        public init(series: UInt64, number: Int64) {
            self.series = series
            self.number = number
        }
    }

    /// The `ETag` header, verbatim, quotes and all.
    public var etag: String?
    /// The `Last-Modified` header, verbatim. Sent back only where there is no ETag.
    public var lastModified: String?

    /// Whether the document had just been changed when it was sent. Validators made from time and size (nginx's
    /// ETag is) do not tell it from another change within the same second, so these are not to be relied on yet.
    public var areYoung: Bool
    /// For sources with mirrors, so that nothing older is taken from another place.
    public var order: Order?
    /// For sources with mirrors: a digest of the mirror's URL; `nil` for the first place.
    public var mirror: String?

    public init(
        etag: String? = nil,
        lastModified: String? = nil,
        areYoung: Bool = false,
        order: Order? = nil,
        mirror: String? = nil
    ) {
        self.etag = etag
        self.lastModified = lastModified
        self.areYoung = areYoung
        self.order = order
        self.mirror = mirror
    }

    public static let none = Validators()
}

/// A SHA-256 digest: 32 bytes.
public struct ContentDigest: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// - Returns: `nil` unless there are exactly 32 bytes.
    public init?(bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Reads what ``description`` writes: `sha256:` and 64 hexadecimal digits in lower case.
    public init?(text: some StringProtocol) {
        guard text.hasPrefix("sha256:") else { return nil }
        self.init(hex: text.dropFirst(7))
    }

    /// Reads what ``hex`` writes: 64 hexadecimal digits in lower case.
    public init?(hex: some StringProtocol) {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        let digits = hex.utf8.map(value)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// 64 hexadecimal digits.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The first 12 hexadecimal digits: enough for people.
    public var short: String { String(hex.prefix(12)) }
    public var description: String { "sha256:" + hex }
}

/// How the bytes of a document are to be read.
public enum DocumentFormat: String, Sendable, Hashable {
    case json
    case yaml
}

/// A document as it came from a source. Nothing about it has been checked but its size.
public struct FetchedDocument: Sendable {
    public let source: SourceName
    public let body: [UInt8]
    /// The signature that came beside it, as it came; `nil` where none did. One may also stand in `body`, before the
    /// document itself.
    public let signature: [UInt8]?
    public let validators: Validators
    /// The media type without parameters, lower case, where the source named one.
    public let contentType: String?
    public var trace: Trace

    public init(
        source: SourceName,
        body: [UInt8],
        signature: [UInt8]? = nil,
        validators: Validators,
        contentType: String?,
        trace: Trace
    ) {
        self.source = source
        self.body = body
        self.signature = signature
        self.validators = validators
        self.contentType = contentType
        self.trace = trace
    }
}

/// A document whose bytes are the ones the source meant. Made by `ConfigVerify` only.
public struct VerifiedDocument: Sendable {
    public let source: SourceName
    /// The document alone, without what may have been carried with it.
    public let body: [UInt8]
    /// Its signature as it came, kept for the stored copy; `nil` where it has none.
    public let signature: [UInt8]?
    /// What the signature says; `nil` where none is required.
    public let signed: Signed?
    public let validators: Validators
    public let contentType: String?
    /// Of `body`.
    public let digest: ContentDigest
    public var trace: Trace

    package init(
        verified fetched: FetchedDocument,
        body: [UInt8],
        signature: [UInt8]?,
        signed: Signed?,
        digest: ContentDigest,
        trace: Trace
    ) {
        self.source = fetched.source
        self.body = body
        self.signature = signature
        self.signed = signed
        self.validators = fetched.validators
        self.contentType = fetched.contentType
        self.digest = digest
        self.trace = trace
    }
}

/// A document whose content is understood. Made by `ConfigDecode` only.
public struct DecodedDocument: Sendable {
    public let source: SourceName
    /// The bytes that were decoded, kept for the stored copy.
    public let body: [UInt8]
    /// Their signature, kept with them.
    public let signature: [UInt8]?
    public let signed: Signed?
    public let format: DocumentFormat
    public let validators: Validators
    public let digest: ContentDigest
    public let table: LeafTable
    public var trace: Trace

    package init(decoded verified: VerifiedDocument, format: DocumentFormat, table: LeafTable, trace: Trace) {
        self.source = verified.source
        self.body = verified.body
        self.signature = verified.signature
        self.signed = verified.signed
        self.format = format
        self.validators = verified.validators
        self.digest = verified.digest
        self.table = table
        self.trace = trace
    }
}

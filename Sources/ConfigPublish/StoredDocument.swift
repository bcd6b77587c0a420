public import ConfigSnapshot
internal import Crypto

/// The copy of a source's document that is in use: its raw bytes and what has to be known to go on from it.
public struct StoredDocument: Sendable {
    public var source: SourceName
    /// Where it came from, see ``location(url:unixSocket:)``: the validators mean nothing anywhere else.
    public var location: String
    public var body: [UInt8]
    /// Its signature as it came, so that it can be checked again; `nil` where it had none.
    public var signature: [UInt8]?
    public var format: DocumentFormat
    public var validators: Validators
    public var digest: ContentDigest
    /// Nanoseconds since 1970.
    public var fetchedAt: Int64
    /// The generation in which it was published.
    public var generation: UInt64

    public init(
        source: SourceName,
        location: String,
        body: [UInt8],
        signature: [UInt8]? = nil,
        format: DocumentFormat,
        validators: Validators,
        digest: ContentDigest,
        fetchedAt: Int64,
        generation: UInt64
    ) {
        self.source = source
        self.location = location
        self.body = body
        self.signature = signature
        self.format = format
        self.validators = validators
        self.digest = digest
        self.fetchedAt = fetchedAt
        self.generation = generation
    }

    public var id: DocumentID { DocumentID(digest: digest, signature: signature) }

    /// A digest of where a source is: URLs may hold secrets, so the URL itself is not kept.
    public static func location(url: String, unixSocket: String?) -> String {
        let digest = SHA256.hash(data: Array("\(url)\n\(unixSocket ?? "")".utf8))
        return ContentDigest(bytes: digest)?.hex ?? ""
    }
}

/// Why a stored copy cannot be used.
public enum StoredDocumentFault: Error, Sendable, Hashable, CustomStringConvertible {
    case file(FileError)
    /// Not one of our files, or cut off within the first two lines.
    case notOurs
    case newerFormat(String)
    /// The checksum does not fit the content.
    case damaged
    /// The checksum fits, but something that has to be there is missing or belongs to another source.
    case incomplete(String)

    /// Whether the file was moved out of the way; one that could not even be read is left where it is.
    public var wasSetAside: Bool {
        if case .file = self { false } else { true }
    }

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .notOurs: "the file is not a stored document"
        case .newerFormat(let version): "the file has the format '\(version)', which this version does not know"
        case .damaged: "the checksum does not fit the content"
        case .incomplete(let what): "the file lacks a valid '\(what)'"
        }
    }
}

/// The file form of a stored document: a line that names the format, a line with the SHA-256 of all that follows,
/// header lines, an empty line, the signature's bytes where there is one, the document's bytes.
enum StoredForm {
    static let title = "config-agent document 1"
    /// With a signature: whoever knows only the first form says so, and not that the file is damaged.
    static let signedTitle = "config-agent document 2"
    private static let titlePrefix = "config-agent document "
    /// Bytes: a document of at most 1 GiB, its signature, and a header.
    static let largestFile = (1 << 30) + (256 << 10)

    static func encode(_ document: StoredDocument) -> [[UInt8]] {
        var header = "source: \(document.source)\nlocation: \(document.location)\nformat: \(document.format.rawValue)\n"
        header += "digest: \(document.digest.hex)\nfetched-at: \(document.fetchedAt)\n"
        header += "generation: \(document.generation)\nlength: \(document.body.count)\n"
        // HTTP header values hold no line breaks, so these lines cannot be broken out of.
        if let etag = document.validators.etag { header += "etag: \(etag)\n" }
        if let lastModified = document.validators.lastModified { header += "last-modified: \(lastModified)\n" }
        if document.validators.areYoung { header += "validators: young\n" }
        if let order = document.validators.order { header += "order: \(order.series) \(order.number)\n" }
        if let mirror = document.validators.mirror { header += "mirror: \(mirror)\n" }
        if let signature = document.signature { header += "signature-length: \(signature.count)\n" }
        header += "\n"
        let signature = document.signature ?? []
        var hash = SHA256()
        hash.update(data: Array(header.utf8))
        hash.update(data: signature)
        hash.update(data: document.body)
        let checksum = ContentDigest(bytes: hash.finalize())?.hex ?? ""
        let title = document.signature == nil ? title : signedTitle
        return [Array("\(title)\n\(checksum)\n\(header)".utf8), signature, document.body]
    }

    static func decode(_ bytes: [UInt8], of source: SourceName) throws(StoredDocumentFault) -> StoredDocument {
        var rest = bytes[...]
        guard let first = line(&rest), first.hasPrefix(titlePrefix) else { throw .notOurs }
        guard first == title || first == signedTitle else {
            throw .newerFormat(String(first.dropFirst(titlePrefix.count)))
        }
        guard let checksum = line(&rest) else { throw .notOurs }
        guard ContentDigest(bytes: SHA256.hash(data: rest))?.hex == checksum else { throw .damaged }
        var fields: [String: String] = [:]
        while let text = line(&rest), !text.isEmpty {
            guard let colon = text.firstIndex(of: ":") else { throw .incomplete("header line") }
            // By bytes: a mark at the start of a value makes one character with the space before it.
            fields[String(text[..<colon])] = String(Substring(text[colon...].utf8.dropFirst().drop { $0 == 0x20 }))
        }
        guard fields["source"] == source.text else { throw .incomplete("source") }
        guard let location = fields["location"] else { throw .incomplete("location") }
        guard let format = fields["format"].flatMap(DocumentFormat.init(rawValue:)) else { throw .incomplete("format") }
        guard let fetchedAt = fields["fetched-at"].flatMap({ Int64(time: $0) }) else { throw .incomplete("fetched-at") }
        guard let generation = fields["generation"].flatMap({ UInt64(generation: $0) }) else {
            throw .incomplete("generation")
        }
        let signature = try signature(&rest, length: fields["signature-length"], isExpected: first == signedTitle)
        guard let length = fields["length"].flatMap({ Int($0) }), length == rest.count else {
            throw .incomplete("length")
        }
        guard let digest = ContentDigest(bytes: SHA256.hash(data: rest)), digest.hex == fields["digest"] else {
            throw .incomplete("digest")
        }
        return StoredDocument(
            source: source,
            location: location,
            body: Array(rest),
            signature: signature,
            format: format,
            validators: Validators(
                etag: fields["etag"],
                lastModified: fields["last-modified"],
                areYoung: fields["validators"] == "young",
                order: fields["order"].flatMap(order),
                mirror: fields["mirror"]
            ),
            digest: digest,
            fetchedAt: fetchedAt,
            generation: generation
        )
    }

    private static func signature(
        _ rest: inout ArraySlice<UInt8>,
        length text: String?,
        isExpected: Bool
    ) throws(StoredDocumentFault) -> [UInt8]? {
        guard isExpected else { return nil }
        guard let length = text.flatMap({ Int($0) }), (0...rest.count).contains(length) else {
            throw .incomplete("signature-length")
        }
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
    }

    private static func order(_ text: String) -> Validators.Order? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let series = UInt64(parts[0]), let number = Int64(parts[1]) else { return nil }
        return Validators.Order(series: series, number: number)
    }

    private static func line(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { rest = rest[(end + 1)...] }
        return String(validating: rest[..<end], as: UTF8.self)
    }
}

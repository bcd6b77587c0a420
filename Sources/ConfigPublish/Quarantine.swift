public import ConfigSnapshot

/// The documents that rules have refused lately, and those that an operator has taken all the same.
///
/// Kept by their digests: whoever accepts one has named it byte for byte, and it is taken from its source and nowhere else.
public struct Quarantine: Hashable, Sendable {
    public struct Document: Hashable, Sendable {
        public var source: SourceName
        public var digest: ContentDigest
        /// What of it breaks rules, in words, without values; the first few.
        public var reasons: [String]
        /// How many there are.
        public var count: Int
        /// When it was first and last refused: nanoseconds since 1970.
        public var since: Int64
        public var last: Int64
        /// How often, since the agent was started.
        public var times = 0
        /// Who has taken it all the same.
        public var accepted: Command?
    }

    /// More are not kept: the oldest go first, of those that nobody has accepted.
    public static let most = 64
    /// Hexadecimal digits: with fewer one document is easily taken for another.
    public static let shortestDigest = 8

    /// The one refused first at the front.
    public private(set) var documents: [Document] = []

    public init() {}

    /// A document was refused.
    ///
    /// - Returns: whether that is news.
    public mutating func note(
        _ source: SourceName,
        _ digest: ContentDigest,
        reasons: [String],
        count: Int,
        at time: Int64
    ) -> Bool {
        if let index = index(of: source, digest) {
            documents[index].last = time
            documents[index].times += 1
            guard documents[index].reasons != reasons || documents[index].count != count else { return false }
            documents[index].reasons = reasons
            documents[index].count = count
            return true
        }
        while documents.count >= Self.most {
            documents.remove(at: documents.firstIndex { $0.accepted == nil } ?? 0)
        }
        documents.append(
            Document(source: source, digest: digest, reasons: reasons, count: count, since: time, last: time, times: 1)
        )
        return true
    }

    /// By whose word a document is taken all the same; `nil` where nobody has given it.
    public func acceptance(of source: SourceName, _ digest: ContentDigest) -> Command? {
        index(of: source, digest).flatMap { documents[$0].accepted }
    }

    /// The documents whose digests begin with `digits`.
    public func documents(_ digits: String) -> [Document] { documents.filter { $0.digest.hex.hasPrefix(digits) } }

    /// - Returns: `false` where it is not among them any more.
    public mutating func accept(_ document: Document, _ command: Command) -> Bool {
        guard let index = index(of: document.source, document.digest) else { return false }
        documents[index].accepted = command
        return true
    }

    /// It fulfils the rules after all.
    ///
    /// - Returns: whether it was among those refused.
    public mutating func forget(_ source: SourceName, _ digest: ContentDigest) -> Bool {
        guard let index = index(of: source, digest), documents[index].accepted == nil else { return false }
        documents.remove(at: index)
        return true
    }

    private func index(of source: SourceName, _ digest: ContentDigest) -> Int? {
        documents.firstIndex { $0.source == source && $0.digest == digest }
    }

    // MARK: The file

    private static let title = "config-agent quarantine 1"

    var bytes: [UInt8] {
        var text = FieldText(Self.title)
        for (number, document) in documents.enumerated() {
            let facts = "\(document.source) \(document.digest.hex) \(document.count) \(document.since) \(document.last)"
            text.add("document", facts)
            for reason in document.reasons { text.add("reason-\(number)", reason) }
            if let command = document.accepted { text.add(command, as: "accepted-\(number)") }
        }
        return text.bytes
    }

    init?(parsing bytes: [UInt8]) {
        guard let text = FieldText(Self.title, parsing: bytes) else { return nil }
        for (number, line) in text.all("document").enumerated() {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 5, let source = SourceName(String(words[0])),
                let digest = ContentDigest(hex: words[1]),
                let count = Int(words[2]), let since = Int64(time: words[3]), let last = Int64(time: words[4])
            else { return nil }
            let command = text.command("accepted-\(number)")
            if command == nil, text.first("accepted-\(number)") != nil { return nil }
            documents.append(
                Document(
                    source: source,
                    digest: digest,
                    reasons: text.all("reason-\(number)"),
                    count: count,
                    since: since,
                    last: last,
                    accepted: command
                )
            )
        }
    }
}

/// The answer to `GET /v1/quarantine`: the documents that rules have refused, and those that were accepted all the same.
public struct QuarantineReport: Codable, Sendable, Hashable {
    /// The one refused last first; some dozens at most.
    public var documents: [QuarantinedDocument]

    enum CodingKeys: String, CodingKey {
        case documents
    }

    public init(documents: [QuarantinedDocument]) { self.documents = documents }
}

/// The answer to `POST /v1/accept`.
public struct AcceptReport: Codable, Sendable, Hashable {
    /// What is accepted from now on.
    public var document: QuarantinedDocument
    /// Whether that would survive a restart.
    public var durable: Bool

    enum CodingKeys: String, CodingKey {
        case document
        case durable
    }

    public init(document: QuarantinedDocument, durable: Bool) {
        self.document = document
        self.durable = durable
    }
}

/// A document that the rules of its source have refused.
public struct QuarantinedDocument: Codable, Sendable, Hashable {
    /// Its source.
    public var source: String
    /// The SHA-256 of its bytes, in hexadecimal.
    public var digest: String
    /// What of it breaks rules: place, key, and what is asked. Without values. The first few.
    public var reasons: [String]
    /// How many there are.
    public var count: Int
    /// When it was first refused.
    public var since: WireTime
    /// When it was last refused.
    public var last: WireTime
    /// How often it was refused, since the agent was started.
    public var times: Int
    /// Who has accepted it all the same; absent where nobody has.
    public var accepted: CommandInfo?

    enum CodingKeys: String, CodingKey {
        case source
        case digest
        case reasons
        case count
        case since
        case last
        case times
        case accepted
    }

    public init(
        source: String,
        digest: String,
        reasons: [String],
        count: Int,
        since: WireTime,
        last: WireTime,
        times: Int,
        accepted: CommandInfo? = nil
    ) {
        self.source = source
        self.digest = digest
        self.reasons = reasons
        self.count = count
        self.since = since
        self.last = last
        self.times = times
        self.accepted = accepted
    }
}

/// The answer to `GET /v1/diff`: in what two generations differ.
public struct DiffReport: Codable, Sendable, Hashable {
    /// The generation that is gone from.
    public var from: UInt64
    /// The generation that is gone to.
    public var to: UInt64
    /// In key order.
    public var changes: [KeyChange]
    /// How many keys differ; of these, so many are listed as an answer may hold. Absent when there are too many to count.
    public var total: Int?

    enum CodingKeys: String, CodingKey {
        case from
        case to
        case changes
        case total
    }

    public init(from: UInt64, to: UInt64, changes: [KeyChange], total: Int?) {
        self.from = from
        self.to = to
        self.changes = changes
        self.total = total
    }
}

/// One key that differs.
public struct KeyChange: Codable, Sendable, Hashable {
    /// The key.
    public var key: String
    /// Its value before, as the text of its JSON; absent where it was not there.
    public var old: String?
    /// Its value after; absent where it is not there any more.
    public var new: String?

    enum CodingKeys: String, CodingKey {
        case key
        case old
        case new
    }

    public init(key: String, old: String? = nil, new: String? = nil) {
        self.key = key
        self.old = old
        self.new = new
    }
}

/// The answer to `GET /v1/explain/KEY`: why a key has its value.
public struct ExplainReport: Codable, Sendable, Hashable {
    /// The key.
    public var key: String
    /// Its value, as the text of its JSON; absent where it has none.
    public var value: String?
    /// The layers that give it, first one first: several only for an object.
    public var owners: [OwnerInfo]
    /// Since which generation it has this value.
    public var since: UInt64?
    /// When that was published.
    public var sinceAt: WireTime?
    /// Whether it may have had it for longer: nothing older is kept.
    public var mayBeOlder: Bool
    /// Its value before, as the text of its JSON; absent where it was not there, or nobody knows.
    public var before: String?
    /// Its value without the layer that gives it; absent where it would not be there.
    public var without: String?

    enum CodingKeys: String, CodingKey {
        case key
        case value
        case owners
        case since
        case sinceAt = "since_at"
        case mayBeOlder = "may_be_older"
        case before
        case without
    }

    public init(
        key: String,
        value: String? = nil,
        owners: [OwnerInfo],
        since: UInt64? = nil,
        sinceAt: WireTime? = nil,
        mayBeOlder: Bool,
        before: String? = nil,
        without: String? = nil
    ) {
        self.key = key
        self.value = value
        self.owners = owners
        self.since = since
        self.sinceAt = sinceAt
        self.mayBeOlder = mayBeOlder
        self.before = before
        self.without = without
    }
}

/// A layer that gives a value.
public struct OwnerInfo: Codable, Sendable, Hashable {
    /// Its source.
    public var source: String
    /// The revision in use.
    public var revision: String
    /// Its place among the layers, counted from 0; a later one wins.
    public var layer: Int

    enum CodingKeys: String, CodingKey {
        case source
        case revision
        case layer
    }

    public init(source: String, revision: String, layer: Int) {
        self.source = source
        self.revision = revision
        self.layer = layer
    }
}

/// What went wrong with a source.
public struct SourceError: Codable, Sendable, Hashable {
    /// When it happened.
    public var at: WireTime
    /// The stage that failed: fetch, verify, decode, guard or publish.
    public var stage: String
    /// A stable name for this kind of error, in snake_case.
    public var code: String
    /// What happened, for people.
    public var message: String
    /// What to do about it.
    public var hint: String?

    enum CodingKeys: String, CodingKey {
        case at
        case stage
        case code
        case message
        case hint
    }

    public init(at: WireTime, stage: String, code: String, message: String, hint: String? = nil) {
        self.at = at
        self.stage = stage
        self.code = code
        self.message = message
        self.hint = hint
    }
}

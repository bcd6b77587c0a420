/// The body of every answer whose status is not 2xx, on every socket.
public struct ErrorReport: Codable, Sendable, Hashable {
    /// Why the request was not answered as asked.
    public var error: ErrorDetail

    enum CodingKeys: String, CodingKey {
        case error
    }

    public init(error: ErrorDetail) {
        self.error = error
    }
}

/// Why a request was not answered as asked.
public struct ErrorDetail: Codable, Sendable, Hashable {
    /// A stable name for this kind of error, in snake_case.
    public var code: String
    /// What is wrong, for people.
    public var message: String
    /// What to do about it.
    public var hint: String?
    /// The names most like the one that does not exist, nearest first.
    public var nearest: [String]?
    /// Each thing that is wrong, where there are several.
    public var details: [String]?

    enum CodingKeys: String, CodingKey {
        case code
        case message
        case hint
        case nearest
        case details
    }

    public init(code: String, message: String, hint: String? = nil, nearest: [String]? = nil, details: [String]? = nil)
    {
        self.details = details
        self.code = code
        self.message = message
        self.hint = hint
        self.nearest = nearest
    }
}

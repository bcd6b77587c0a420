/// What a document's signature has said, once it had been checked.
public struct Signed: Sendable, Hashable {
    /// Grows with each document of the source.
    public var version: UInt64
    /// Seconds since 1970.
    public var issued: Int64
    /// From then on the document is out of date, whatever its source says. Seconds since 1970.
    public var expires: Int64
    /// The ids of the keys whose signatures counted, in order.
    public var keys: [String]

    public init(version: UInt64, issued: Int64, expires: Int64, keys: [String]) {
        self.version = version
        self.issued = issued
        self.expires = expires
        self.keys = keys
    }
}

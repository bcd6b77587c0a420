/// The answer to `GET /v1/sources`.
public struct SourcesReport: Codable, Sendable, Hashable {
    /// Each source, in the order of the layers.
    public var sources: [SourceDetail]

    enum CodingKeys: String, CodingKey {
        case sources
    }

    public init(sources: [SourceDetail]) {
        self.sources = sources
    }
}

public import ConfigSnapshot

/// Reads a document's bytes as JSON or YAML, strictly, and lays its values out flat.
///
/// Each document is read twice: once to see that it is whole and well-formed, which costs no memory to speak of, and
/// once more to build the table.
public struct DocumentDecoder: Sendable {
    /// What a document may ask for.
    public struct Limits: Sendable, Hashable {
        /// How many objects and arrays may stand inside one another, the outermost included.
        public var maxDepth: Int
        /// How many values a document may hold; an array counts as one.
        public var maxKeys: Int

        public init(maxDepth: Int = 64, maxKeys: Int = 1_000_000) {
            self.maxDepth = maxDepth
            self.maxKeys = maxKeys
        }
    }

    private let limits: Limits
    private let format: DocumentFormat?
    private let urlPath: String

    /// - Parameters:
    ///   - format: the configured format; `nil` to go by what the source says.
    ///   - urlPath: the path of the source's URL. Its suffix tells the format where nothing else does.
    public init(limits: Limits = Limits(), format: DocumentFormat?, urlPath: String) {
        self.limits = limits
        self.format = format
        self.urlPath = urlPath
    }

    /// Reads `document`.
    ///
    /// - Parameter now: the monotonic clock, asked once the document is decoded.
    public func decode(
        _ document: VerifiedDocument,
        now: () -> UInt64
    ) throws(DecodeError) -> DecodedDocument {
        let format = try format(of: document)
        if document.body.allSatisfy(TextEncoding.isSpace) {
            throw DecodeError(.empty, at: nil, "the document is empty")
        }
        let table = try table(from: document.body, format: format)
        var trace = document.trace
        trace[.decoded] = now()
        return DecodedDocument(decoded: document, format: format, table: table, trace: trace)
    }

    /// The same document as a tree, for rules that see more than single values.
    package func tree(of document: DecodedDocument) throws(DecodeError) -> DocumentNode {
        try DocumentNode.parse(document.body, as: document.format, maxDepth: limits.maxDepth)
    }

    private func table(from body: [UInt8], format: DocumentFormat) throws(DecodeError) -> LeafTable {
        var scan = ScanSink()
        try parse(body, as: format, into: &scan)
        let limits = TableBuilder.Limits(bodySize: body.count, maxKeys: limits.maxKeys)
        var builder = TableBuilder(limits: limits, expectedSize: body.count)
        try parse(body, as: format, into: &builder)
        return builder.table()
    }

    private func parse(
        _ body: [UInt8],
        as format: DocumentFormat,
        into sink: inout some DocumentSink
    ) throws(DecodeError) {
        switch format {
        case .json: try JSONParser.parse(body, maxDepth: limits.maxDepth, into: &sink)
        case .yaml: try YAMLParser.parse(body, maxDepth: limits.maxDepth, into: &sink)
        }
    }

    private func format(of document: VerifiedDocument) throws(DecodeError) -> DocumentFormat {
        if let format { return format }
        switch document.contentType {
        case "application/json": return .json
        case "application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml": return .yaml
        case "text/html", "application/xhtml+xml":
            throw DecodeError(
                .unsupported,
                at: nil,
                "the source answered with a web page (\(document.contentType ?? "")): a captive portal or an error "
                    + "page is likely; set 'format' if it is a document all the same"
            )
        case let type? where type.hasSuffix("+json"): return .json
        case let type? where type.hasSuffix("+yaml"): return .yaml
        default: break
        }
        let path = urlPath.lowercased()
        return path.hasSuffix(".yaml") || path.hasSuffix(".yml") ? .yaml : .json
    }
}

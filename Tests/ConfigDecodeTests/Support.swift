import ConfigSnapshot
import Testing

@testable import ConfigDecode

/// A document as the verify stage would hand it over.
func verified(_ body: [UInt8], contentType: String? = nil) throws -> VerifiedDocument {
    let source = try #require(SourceName("app"))
    let digest = try #require(ContentDigest(bytes: [UInt8](repeating: 7, count: 32)))
    let fetched = FetchedDocument(
        source: source,
        body: body,
        validators: .none,
        contentType: contentType,
        trace: Trace(id: 1)
    )
    return VerifiedDocument(
        verified: fetched,
        body: fetched.body,
        signature: nil,
        signed: nil,
        digest: digest,
        trace: fetched.trace
    )
}

/// Decodes `body` as `format` and writes each leaf as `key=value`.
func leaves(
    _ body: [UInt8],
    _ format: DocumentFormat,
    limits: DocumentDecoder.Limits = .init()
) throws -> [String] {
    let decoder = DocumentDecoder(limits: limits, format: format, urlPath: "/")
    return lines(try decoder.decode(verified(body), now: { 5 }).table)
}

func lines(_ table: LeafTable) -> [String] {
    table.leaves.map { "\(table.key($0))=\(String(decoding: table.value($0), as: UTF8.self))" }
}

/// The error that decoding `body` ends in; `nil` when it is accepted.
func refusal(
    _ body: [UInt8],
    _ format: DocumentFormat,
    limits: DocumentDecoder.Limits = .init()
) throws -> DecodeError? {
    let document = try verified(body)
    do {
        _ = try DocumentDecoder(limits: limits, format: format, urlPath: "/").decode(document, now: { 5 })
        return nil
    } catch {
        return error
    }
}

/// A document and the leaves it has to become.
struct Accepted: Sendable, CustomTestStringConvertible {
    var text: String
    var expected: [String]

    init(_ text: String, _ expected: String...) {
        self.text = text
        self.expected = expected
    }

    var testDescription: String { text }
}

/// A document, and why and where it has to be refused. Line 0 stands for no position.
struct Refused: Sendable, CustomTestStringConvertible {
    var bytes: [UInt8]
    var code: DecodeError.Code
    var line: Int
    var column: Int
    var fragment: String

    init(_ text: String, _ code: DecodeError.Code, _ line: Int, _ column: Int, _ fragment: String = "") {
        self.init(bytes: Array(text.utf8), code, line, column, fragment)
    }

    init(bytes: [UInt8], _ code: DecodeError.Code, _ line: Int, _ column: Int, _ fragment: String = "") {
        self.bytes = bytes
        self.code = code
        self.line = line
        self.column = column
        self.fragment = fragment
    }

    func check(_ format: DocumentFormat) throws {
        let error = try #require(try refusal(bytes, format), "was accepted")
        #expect(error.code == code, "\(error)")
        #expect(error.position == (line == 0 ? nil : Position(line: line, column: column)), "\(error)")
        #expect(fragment.isEmpty || error.message.contains(fragment), "\(error)")
    }

    var testDescription: String { String(decoding: bytes.prefix(60), as: UTF8.self) }
}

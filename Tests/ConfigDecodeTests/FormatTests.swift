import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("Which format a document has")
struct FormatTests {
    struct Row: Sendable {
        var configured: DocumentFormat?
        var contentType: String?
        var path: String
        var expected: DocumentFormat
    }

    static let rows: [Row] = [
        Row(configured: nil, contentType: nil, path: "/", expected: .json),
        Row(configured: nil, contentType: nil, path: "/a.json", expected: .json),
        Row(configured: nil, contentType: nil, path: "/a.yaml", expected: .yaml),
        Row(configured: nil, contentType: nil, path: "/a.YML", expected: .yaml),
        Row(configured: nil, contentType: nil, path: "/yaml", expected: .json),
        Row(configured: nil, contentType: "text/plain", path: "/a.yml", expected: .yaml),
        Row(configured: nil, contentType: "application/octet-stream", path: "/a", expected: .json),
        Row(configured: nil, contentType: "application/json", path: "/a.yaml", expected: .json),
        Row(configured: nil, contentType: "application/vnd.x+json", path: "/a.yaml", expected: .json),
        Row(configured: nil, contentType: "application/yaml", path: "/a.json", expected: .yaml),
        Row(configured: nil, contentType: "text/yaml", path: "/a.json", expected: .yaml),
        Row(configured: nil, contentType: "application/x-yaml", path: "/", expected: .yaml),
        Row(configured: nil, contentType: "application/openapi+yaml", path: "/", expected: .yaml),
        Row(configured: .yaml, contentType: "application/json", path: "/a.json", expected: .yaml),
        Row(configured: .json, contentType: "application/yaml", path: "/a.yaml", expected: .json),
        Row(configured: .json, contentType: "text/html", path: "/", expected: .json),
    ]

    @Test(arguments: rows)
    func format(_ row: Row) throws {
        // Only YAML reads the first text; both read the second.
        let decoder = DocumentDecoder(format: row.configured, urlPath: row.path)
        let yaml = try? decoder.decode(verified(Array("a: 1".utf8), contentType: row.contentType), now: { 1 })
        #expect((yaml != nil) == (row.expected == .yaml))
        let json = try decoder.decode(verified(Array(#"{"a": 1}"#.utf8), contentType: row.contentType), now: { 1 })
        #expect(json.format == row.expected)
    }

    @Test func webPage() throws {
        for contentType in ["text/html", "application/xhtml+xml"] {
            let document = try verified(Array(#"{"a": 1}"#.utf8), contentType: contentType)
            let error = try #require(throws: DecodeError.self) {
                try DocumentDecoder(format: nil, urlPath: "/a.json").decode(document, now: { 1 })
            }
            #expect(error.code == .unsupported)
            #expect(error.position == nil)
            #expect(error.message.contains("captive portal"))
        }
    }

    @Test func clockIsAskedLast() throws {
        var asked = 0
        let decoder = DocumentDecoder(format: .json, urlPath: "/")
        _ = try? decoder.decode(verified(Array("{".utf8))) {
            asked += 1
            return 1
        }
        #expect(asked == 0)
        let decoded = try decoder.decode(verified(Array("{}".utf8))) {
            asked += 1
            return 42
        }
        #expect(asked == 1)
        #expect(decoded.trace[.decoded] == 42)
        #expect(decoded.table.count == 0)
    }
}

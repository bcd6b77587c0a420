import ConfigDecode
import ConfigSnapshot
import Testing

@testable import ConfigGuard

@Suite("Hostile schemas")
struct HostileSchemaTests {
    @Test("A reference leads to the name of its bytes, not to a twin of it")
    func twins() throws {
        let text = """
            {"$defs": {"\u{E9}": {"type": "string"}, "e\u{301}": {"type": "integer"}},
             "properties": {"a": {"$ref": "#/$defs/\u{E9}"}, "b": {"$ref": "#/$defs/e\u{301}"}}}
            """
        let rules = GuardRules(schema: try Schema(DocumentNode.parse(Array(text.utf8), as: .json)))
        func findings(_ json: String) throws -> Int {
            rules.check(try DocumentNode.parse(Array(json.utf8), as: .json), count: 1, before: nil).count
        }
        #expect(try findings(#"{"a": "text", "b": 1}"#) == 0)
        #expect(try findings(#"{"a": 1, "b": "text"}"#) == 2)
    }
}

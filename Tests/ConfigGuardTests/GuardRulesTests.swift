import ConfigDecode
import ConfigSnapshot
import Testing

@testable import ConfigGuard

@Suite("Rules")
struct GuardRulesTests {
    private func tree(_ json: String) throws -> DocumentNode { try DocumentNode.parse(Array(json.utf8), as: .json) }
    private func schema(_ json: String) throws -> Schema { try Schema(try tree(json)) }

    private func findings(_ rules: GuardRules, _ json: String, count: Int = 1, before: Int? = nil) throws -> [String] {
        rules.check(try tree(json), count: count, before: before).first.map(\.description)
    }

    @Test("What is broken is told with its place, its key and what is asked, and without its value")
    func messages() throws {
        let rules = GuardRules(
            schema: try schema(
                """
                {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                  "name": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]+$"},
                  "port": {"type": "integer", "minimum": 1, "maximum": 65535, "multipleOf": 5},
                  "level": {"enum": ["debug", "info", 3, null]}, "version": {"const": 2},
                  "hosts": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true,
                            "items": {"properties": {"port": {"exclusiveMaximum": 10}}}, "contains": {"type": "object"}},
                  "a": {"anyOf": [{"type": "null"}, {"minimum": 5}]}, "o": {"oneOf": [true, true]},
                  "n": {"not": {"type": "string"}}, "map": {"propertyNames": {"pattern": "^x"}, "maxProperties": 1},
                  "d": {"dependentRequired": {"tls": ["cert"]}}, "t": {"type": ["string", "null"]}
                }}
                """
            )
        )
        let cases: [(String, [String])] = [
            (#"{"name": "ab"}"#, []),
            ("{}", ["line 1, column 1: name: is missing"]),
            (
                #"{"name": "Secret"}"#,
                [
                    "line 1, column 10: name: has to have at most 3 characters, not 6",
                    "line 1, column 10: name: has to match ^[a-z]+$",
                ]
            ),
            (#"{"name": "ab", "port": 70000}"#, ["line 1, column 24: port: has to be at most 65535"]),
            (
                #"{"name": "ab", "port": 2.5}"#,
                [
                    "line 1, column 24: port: has to be of type integer, not number",
                    "line 1, column 24: port: has to be a multiple of 5",
                ]
            ),
            (
                #"{"name": "ab", "level": "x"}"#,
                [
                    #"line 1, column 25: level: has to be one of "debug", "info", 3, null"#
                ]
            ),
            (#"{"name": "ab", "version": 1}"#, ["line 1, column 27: version: has to be 2"]),
            (#"{"name": "ab", "typo": 1}"#, ["line 1, column 24: typo: is not allowed here"]),
            (
                #"{"name": "ab", "hosts": [{"port": 10}, {"port": 10.0}]}"#,
                [
                    "line 1, column 35: hosts[0].port: has to be less than 10",
                    "line 1, column 49: hosts[1].port: has to be less than 10",
                    "line 1, column 40: hosts[1]: is in the array already",
                ]
            ),
            (
                #"{"name": "ab", "hosts": [1]}"#,
                [
                    "line 1, column 25: hosts: has to have at least 1 items of the kind that is asked for, not 0"
                ]
            ),
            (#"{"name": "ab", "a": 4}"#, ["line 1, column 21: a: fits none of 2 alternatives"]),
            (#"{"name": "ab", "o": 4}"#, ["line 1, column 21: o: has to fit one of 2 alternatives, and fits 2"]),
            (#"{"name": "ab", "n": "s"}"#, ["line 1, column 21: n: is of a kind that is not allowed here"]),
            (
                #"{"name": "ab", "map": {"x.y": 1, "z": 2}}"#,
                [
                    "line 1, column 34: map.z: is not a name that is allowed here",
                    "line 1, column 23: map: has to have at most 1 members, not 2",
                ]
            ),
            (
                #"{"name": "ab", "d": {"tls": true}}"#,
                [
                    "line 1, column 21: d.cert: is missing, beside 'tls'"
                ]
            ),
            (#"{"name": "ab", "t": 1}"#, ["line 1, column 21: t: has to be of type null or string, not integer"]),
        ]
        for (document, expected) in cases {
            let found = try findings(rules, document)
            #expect(Set(found) == Set(expected), "\(document): \(found)")
        }
    }

    @Test("Rules for keys: by name, by form, with the same words as in a schema")
    func keys() throws {
        func names(_ names: String?...) -> [[UInt8]?] { names.map { $0.map { Array($0.utf8) } } }
        let rules = GuardRules(
            required: [["db", "host"], ["a.b"]],
            keys: [
                .init(path: names("db", "port"), schema: try schema(#"{"type": "integer", "maximum": 10}"#)),
                .init(path: names("db", nil, "weight"), schema: try schema(#"{"minimum": 0}"#)),
                .init(path: names(), schema: try schema(#"{"maxProperties": 2}"#)),
            ]
        )
        #expect(try findings(rules, #"{"db": {"host": "h", "port": 1}, "a.b": 1}"#) == [])
        #expect(
            Set(try findings(rules, #"{"db": {"port": 11, "x": {"weight": -1}, "y": {"weight": 1}}, "b": 1, "c": 1}"#))
                == [
                    "db.host: is missing", #""a.b": is missing"#,
                    "line 1, column 17: db.port: has to be at most 10",
                    "line 1, column 37: db.x.weight: has to be at least 0",
                    "line 1, column 1: has to have at most 2 members, not 3",
                ]
        )
    }

    @Test("Empty, and shrunk: to the last value")
    func counts() {
        let empty = GuardRules(refusesEmpty: true)
        #expect(!empty.needsTree && !empty.isEmpty && GuardRules().isEmpty)
        #expect(empty.check(nil, count: 0, before: nil).first.map(\.rule) == ["guard.refuse_empty"])
        #expect(empty.check(nil, count: 1, before: nil).isEmpty)
        let shrunk = GuardRules(maxShrink: 30)
        let cases: [(Int, Int?, Bool)] = [
            (70, 100, true), (69, 100, false), (0, 1, false), (0, 0, true), (0, nil, true), (200, 100, true),
            (7, 10, true), (6, 10, false), (699, 1_000, false), (700, 1_000, true),
        ]
        for (count, before, isFine) in cases {
            #expect(shrunk.check(nil, count: count, before: before).isEmpty == isFine, "\(count) \(before ?? -1)")
        }
        #expect(GuardRules(maxShrink: 0).check(nil, count: 9, before: 10).count == 1)
        #expect(GuardRules(maxShrink: 100).check(nil, count: 0, before: 10).isEmpty)
    }

    @Test("Of a thousand findings the first are told, and how many there are")
    func many() throws {
        let members = (0..<1_000).map { "\"k\($0)\": 1" }.joined(separator: ",")
        let rules = GuardRules(schema: try schema(#"{"additionalProperties": {"type": "string"}}"#))
        let findings = rules.check(try tree("{\(members)}"), count: 1_000, before: nil)
        #expect(findings.count == 1_000 && findings.first.count == Findings.mostKept)
    }

    @Test("Twins that only look alike are two names and two values")
    func twins() throws {
        let rules = GuardRules(
            schema: try schema("{\"required\": [\"\u{E9}\"], \"properties\": {\"x\": {\"const\": \"\u{E9}\"}}}")
        )
        #expect(try findings(rules, "{\"\u{E9}\": 1, \"x\": \"\u{E9}\"}").isEmpty)
        #expect(try findings(rules, "{\"e\u{301}\": 1, \"x\": \"e\u{301}\"}").count == 2)
        let unique = GuardRules(schema: try schema(#"{"properties": {"l": {"uniqueItems": true}}}"#))
        #expect(try findings(unique, "{\"l\": [\"\u{E9}\", \"e\u{301}\", {\"\u{E9}\": 1}, {\"e\u{301}\": 1}]}").isEmpty)
    }

    @Test(
        "Alternatives that multiply come to an end, and so does nesting",
        arguments: [
            // Each level tries both alternatives, and both look at all that is below.
            ##"{"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"additionalProperties": {"$ref": "#/$defs/n"}, "not": true}, {"additionalProperties": {"$ref": "#/$defs/n"}, "not": true}]}}}"##,
            ##"{"$ref": "#/$defs/n", "$defs": {"n": {"oneOf": [{"items": {"$ref": "#/$defs/n"}}, {"additionalProperties": {"$ref": "#/$defs/n"}}, {"additionalProperties": {"$ref": "#/$defs/n"}}]}}}"##,
        ]
    )
    func exponential(_ text: String) throws {
        let depth = 60
        let document = String(repeating: #"{"a":"#, count: depth) + "1" + String(repeating: "}", count: depth)
        let rules = GuardRules(schema: try schema(text))
        let findings = rules.check(try tree(document), count: 1, before: nil)
        #expect(findings.first.contains { $0.rule == "guard.too_complex" })
    }

    @Test("A long way from reference to reference is refused in time, not by the stack")
    func deep() throws {
        let chain = (0..<4_000).map { "\"d\($0)\": {\"allOf\": [{\"$ref\": \"#/$defs/d\($0 + 1)\"}]}" }.joined(
            separator: ","
        )
        let rules = GuardRules(schema: try schema("{\"$ref\": \"#/$defs/d0\", \"$defs\": {\(chain), \"d4000\": {}}}"))
        #expect(rules.check(try tree("{}"), count: 0, before: nil).first.map(\.rule) == ["guard.too_complex"])
    }

    @Test("A long number that many rules look at costs a look at all of its digits each time, and comes to an end")
    func longNumbers() throws {
        let branches = (1...200).map { #"{"type": "integer", "minimum": \#($0), "maximum": \#($0)}"# }
        let rules = GuardRules(
            schema: try schema(#"{"properties": {"v": {"oneOf": [\#(branches.joined(separator: ","))]}}}"#)
        )
        let digits = String(repeating: "1", count: 2_000_000)
        let found = try findings(rules, #"{"v": \#(digits)}"#)
        #expect(found.count == 1 && found[0].contains("take too long"), "\(found.map { $0.prefix(200) })")
        // One rule may look at it.
        let few = GuardRules(schema: try schema(#"{"properties": {"v": {"type": "integer"}}}"#))
        #expect(try findings(few, #"{"v": \#(digits)}"#).isEmpty)
    }
}

@Suite("Schemas that are none")
struct SchemaProblemTests {
    @Test(
        "Each is refused with its place and what to do",
        arguments: [
            (#"{"minumum": 1}"#, "minumum: unknown keyword", "did you mean 'minimum'?"),
            (#"{"properties": {"a": {"format": "email"}}}"#, "properties.a.format: is not supported", "'pattern'"),
            (#"{"type": "int"}"#, #"type: not a type: "int""#, "known are null, boolean"),
            (#"{"type": []}"#, "", ""),
            (#"{"required": "a"}"#, "required: has to be an array", ""),
            (#"{"required": [1]}"#, "required: has to be a list of names", ""),
            (#"{"minimum": "1"}"#, "minimum: has to be a number", ""),
            (#"{"minLength": -1}"#, "minLength: has to be a whole number", ""),
            (#"{"maxItems": 1.5}"#, "maxItems: has to be a whole number", ""),
            (#"{"multipleOf": 0}"#, "multipleOf: has to be more than zero", ""),
            (#"{"pattern": "("}"#, "pattern: not a pattern: a group without ')'", ""),
            (#"{"patternProperties": {"[": true}}"#, #"patternProperties.[: not a pattern"#, ""),
            (#"{"items": [true]}"#, "items: has to be one schema", "'prefixItems'"),
            (#"{"allOf": []}"#, "allOf: has to have at least one schema", ""),
            (#"{"allOf": {}}"#, "allOf: has to be an array", ""),
            (#"{"properties": []}"#, "properties: has to be an object", ""),
            (#"{"not": 1}"#, "not: has to be a schema", ""),
            (#"{"uniqueItems": 1}"#, "uniqueItems: has to be true or false", ""),
            (#"{"$ref": "other.json"}"#, "$ref: leads elsewhere", "$defs"),
            (##"{"$ref": "#/$defs/none"}"##, "$ref: leads to no schema", "$defs"),
            (##"{"$ref": "#name"}"##, "$ref: names an anchor", "$defs"),
            (##"{"$ref": "#"}"##, "a reference leads back to itself", ""),
            (
                ##"{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}"##,
                "a reference leads back to itself", ""
            ),
            (#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#, "$schema: another dialect", "2020-12"),
            (#"{"properties": {"a": {"$id": "x"}}}"#, "only the whole schema", ""),
            (#"{"then": 1}"#, "then: has to be a schema", ""),
            ("1", "has to be a schema", ""),
        ]
    )
    func refused(_ text: String, _ message: String, _ advice: String) throws {
        let node = try DocumentNode.parse(Array(text.utf8), as: .json)
        if message.isEmpty {
            // Nothing is of none of the types.
            #expect(!GuardRules(schema: try Schema(node)).check(node, count: 1, before: nil).isEmpty)
            return
        }
        let problem = #expect(throws: SchemaProblem.self) { _ = try Schema(node) }
        let told = problem.map { ($0.key.isEmpty ? "" : "\($0.key): ") + $0.message } ?? ""
        #expect(told.contains(message), "\(told)")
        #expect(advice.isEmpty || problem?.advice?.contains(advice) == true, "\(problem?.advice ?? "none")")
    }

    @Test("A place is that of the keyword")
    func place() throws {
        let text = "{\n  \"properties\": {\n    \"a\": {\"minumum\": 1}\n  }\n}"
        let node = try DocumentNode.parse(Array(text.utf8), as: .json)
        let problem = #expect(throws: SchemaProblem.self) { _ = try Schema(node) }
        #expect(problem?.position == Position(line: 3, column: 11))
    }
}

import ConfigDecode
import ConfigSnapshot
import Foundation
import Testing

@testable import ConfigGuard

/// The cases of others: the official suite of JSON Schema, as Debian has it.
@Suite("JSON Schema's own cases")
struct SchemaSuiteTests {
    private struct Group {
        var name: String
        var schema: DocumentNode
        var cases: [(name: String, data: DocumentNode, isValid: Bool)]
    }

    private static func groups(in path: String, _ file: String) throws -> [Group] {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(file)")))
        let root = try DocumentNode.parse(bytes, as: .json)
        guard case .sequence(let groups) = root.kind else { return [] }
        return try groups.map { group in
            guard case .sequence(let cases)? = group.member("tests")?.kind else { throw CocoaError(.coderInvalidValue) }
            return Group(
                name: "\(file): \(try #require(group.member("description")?.text))",
                schema: try #require(group.member("schema")),
                cases: try cases.map { test in
                    guard case .scalar(.bool(let isValid))? = test.member("valid")?.kind else {
                        throw CocoaError(.coderInvalidValue)
                    }
                    let name = try #require(test.member("description")?.text)
                    return (name, try #require(test.member("data")), isValid)
                }
            )
        }
    }

    /// Holds every case of `files` against its verdict.
    ///
    /// - Parameters:
    ///   - exceptions: why a schema is refused: by file, where that is so of something in it, or by file and name.
    ///   - different: those whose verdicts are others in 2020-12.
    /// - Returns: how many verdicts were right.
    private func run(
        _ path: String,
        _ files: [String],
        except exceptions: [String: String],
        different: Set<String> = []
    ) throws -> Int {
        var verdicts = 0
        var used: Set<String> = []
        for file in files {
            for group in try Self.groups(in: path, file) {
                let schema: Schema
                do throws(SchemaProblem) { schema = try Schema(group.schema) } catch {
                    let exception = exceptions[group.name] == nil ? file : group.name
                    used.insert(exception)
                    #expect(exceptions[exception] != nil, "\(group.name): \(error)")
                    continue
                }
                let rules = GuardRules(schema: schema)
                for test in group.cases where !different.contains(group.name) {
                    let findings = rules.check(test.data, count: 1, before: nil)
                    #expect(findings.isEmpty == test.isValid, "\(group.name), \(test.name): \(findings.first)")
                    if findings.isEmpty == test.isValid { verdicts += 1 }
                }
            }
        }
        #expect(Set(exceptions.keys).subtracting(used).isEmpty, "no exceptions any more")
        return verdicts
    }

    private static func files(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }.sorted()
    }

    private static let anchors = "anchors are not supported"
    private static let identifiers = "only the whole schema may have an identifier"
    private static let elsewhere = "nothing is fetched: a reference leads to the same file"
    private static let unevaluated = "what others have looked at is not kept track of"

    @Test("Of 2020-12 every verdict is right, and what is not supported is refused")
    func draft2020() throws {
        let path = "/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance/tests/draft2020-12"
        let optional = ["bignum", "ecmascript-regex", "float-overflow", "non-bmp-regex"].map { "optional/\($0).json" }
        let exceptions = [
            "anchor.json": Self.anchors,
            "content.json": "content is not looked into",
            "dynamicRef.json": Self.anchors,
            "format.json": "formats are not enforced",
            "unevaluatedItems.json": Self.unevaluated,
            "unevaluatedProperties.json": Self.unevaluated,
            "refRemote.json": Self.elsewhere,
            "vocabulary.json": "there is one dialect",
            "id.json": Self.identifiers,
            "defs.json: validate definition against metaschema": Self.elsewhere,
            "not.json: collect annotations inside a 'not', even if collection is disabled": Self.unevaluated,
            "optional/ecmascript-regex.json: \\a is not an ECMA 262 control escape": Self.elsewhere,
            "ref.json: $id must be resolved against nearest parent, not just immediate parent": Self.identifiers,
            "ref.json: Recursive references between schemas": Self.identifiers,
            "ref.json: URN base URI with URN and anchor ref": Self.anchors,
            "ref.json: URN base URI with f-component": Self.elsewhere,
            "ref.json: URN ref with nested pointer ref": Self.identifiers,
            "ref.json: order of evaluation: $id and $anchor and $ref": Self.anchors,
            "ref.json: order of evaluation: $id and $ref": Self.identifiers,
            "ref.json: ref creates new scope when adjacent to keywords": Self.unevaluated,
            "ref.json: ref to else": Self.identifiers,
            "ref.json: ref to if": Self.identifiers,
            "ref.json: ref to then": Self.identifiers,
            "ref.json: ref with absolute-path-reference": Self.identifiers,
            "ref.json: refs with relative uris and defs": Self.identifiers,
            "ref.json: relative refs with absolute uris and defs": Self.identifiers,
            "ref.json: remote ref, containing refs itself": Self.elsewhere,
            "unknownKeyword.json": "what is not known is refused",
        ]
        #expect(try run(path, try Self.files(path) + optional, except: exceptions) >= 830)
    }

    @Test("Of draft 7 every verdict that both dialects share")
    func draft7() throws {
        let path = "/usr/share/json-schema-test-suite/tests/draft7"
        let lists = "2020-12 writes prefixItems for a list, and items for the others"
        let exceptions = [
            "additionalItems.json": lists,
            "items.json": lists,
            "definitions.json": Self.elsewhere,
            "dependencies.json": "2020-12 writes dependentRequired or dependentSchemas",
            "refRemote.json": Self.elsewhere,
            "ref.json: Recursive references between schemas": Self.identifiers,
            "ref.json: escaped pointer ref": "what it leads to is no keyword's",
            "ref.json: relative pointer ref to array": lists,
            "ref.json: remote ref, containing refs itself": Self.elsewhere,
        ]
        // Draft 7 ignores what stands beside a reference; 2020-12 does not.
        let different: Set = ["ref.json: ref overrides any sibling keywords"]
        #expect(try run(path, try Self.files(path), except: exceptions, different: different) >= 345)
    }
}

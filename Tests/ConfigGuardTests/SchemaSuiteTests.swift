import ConfigDecode
import ConfigSnapshot
import Foundation
import Testing

@testable import ConfigGuard

/// The cases of others: the official suite of JSON Schema, as Debian has it in two packages.
///
/// Every file of the two directories is read, the optional ones too. What is refused, and what has another verdict, is
/// listed to the last group, and all of it is counted. The lists and the counts are those of the packages' versions
/// 1.019 and 2.0.0: a newer suite may well change both.
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

    /// Why a schema is refused, and how that is said.
    private struct Refusal {
        var reason: String
        var message: String
        /// About one of which it is said.
        var keywords: Set<String>

        init(_ reason: String, _ message: String, _ keywords: String...) {
            (self.reason, self.message, self.keywords) = (reason, message, Set(keywords))
        }

        func fits(_ problem: SchemaProblem) -> Bool {
            guard let keyword = DottedKey.split(problem.key.utf8)?.last else { return false }
            return problem.message == message && keywords.contains(keyword)
        }
    }

    private struct Counts: Equatable {
        var groups = 0
        var tests = 0
        /// Groups whose schema is refused, and the tests in them, of which there is no verdict.
        var refusedGroups = 0
        var refusedTests = 0
    }

    /// Holds every case of every file against its verdict.
    ///
    /// - Parameters:
    ///   - exceptions: why schemas are refused: by file and name, by file or by directory. A file's or a directory's
    ///     reason is that of each one in it that has none of its own.
    ///   - different: the tests whose verdicts are others in 2020-12.
    ///   - empty: files in which there is nothing.
    private func run(
        _ path: String,
        except exceptions: [String: Refusal],
        different: Set<String> = [],
        empty: Set<String> = []
    ) throws -> Counts {
        var counts = Counts()
        var used: Set<String> = []
        var wrong: Set<String> = []
        var without: Set<String> = []
        for file in try Self.files(path) {
            let groups = try Self.groups(in: path, file)
            if groups.isEmpty { without.insert(file) }
            let directory = file.split(separator: "/").dropLast().map { $0 + "/" }.joined()
            for group in groups {
                counts.groups += 1
                counts.tests += group.cases.count
                let exception = [group.name, file, directory].first { exceptions[$0] != nil }
                let schema: Schema
                do throws(SchemaProblem) { schema = try Schema(group.schema) } catch {
                    counts.refusedGroups += 1
                    counts.refusedTests += group.cases.count
                    if let exception { used.insert(exception) }
                    let refusal = exception.flatMap { exceptions[$0] }
                    let isAsListed = refusal?.fits(error) ?? false
                    #expect(isAsListed, "\(group.name): \(error), listed: \(refusal?.reason ?? "no")")
                    continue
                }
                #expect(exception == nil, "\(group.name): no exception any more")
                let rules = GuardRules(schema: schema)
                for test in group.cases {
                    let findings = rules.check(test.data, count: 1, before: nil)
                    if findings.isEmpty != test.isValid { wrong.insert("\(group.name), \(test.name)") }
                }
            }
        }
        #expect(used == Set(exceptions.keys), "no exceptions any more")
        #expect(wrong == different)
        #expect(without == empty)
        return counts
    }

    private static func files(_ path: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: path).filter { $0.hasSuffix(".json") }.sorted()
    }

    private static let anchors = Refusal(
        "a part of a schema is found by its place alone",
        "is not supported",
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef"
    )
    private static let identifiers = Refusal(
        "a part of a schema is found by its place alone, so only the whole has a name of its own",
        "only the whole schema may have an identifier",
        "$id"
    )
    private static let elsewhere = Refusal(
        "nothing is fetched, not even the dialect's own schema: a reference leads to the same file",
        "leads elsewhere",
        "$ref"
    )
    private static let dialect = Refusal(
        "there is one dialect, and no vocabularies to choose from",
        "another dialect than 2020-12",
        "$schema"
    )
    private static let unevaluated = Refusal(
        "what others have looked at is not kept track of",
        "is not supported",
        "unevaluatedItems",
        "unevaluatedProperties"
    )
    private static let formats = Refusal(
        "2020-12 leaves it open whether a format is looked at: what might not be enforced is refused",
        "is not supported",
        "format"
    )
    private static let content = Refusal(
        "2020-12 asks nobody to look into content: what is not enforced is refused",
        "is not supported",
        "contentMediaType",
        "contentEncoding"
    )
    private static let dependencies = Refusal(
        "2020-12 has dependentRequired and dependentSchemas, and dependencies only for older schemas' sake",
        "is not supported",
        "dependencies"
    )
    private static let unknown = Refusal(
        "a keyword that is not known is an error, so nothing stands below one that could be referred to",
        "unknown keyword",
        "unknown-keyword",
        "array_of_schemas",
        "tilda~field"
    )
    private static let lists = Refusal(
        "2020-12 has prefixItems for a list of schemas",
        "has to be one schema",
        "items"
    )
    private static let additionalItems = Refusal(
        "2020-12 has items for those behind prefixItems",
        "is not supported",
        "additionalItems"
    )

    @Test("Of 2020-12 every verdict is right, and what is not supported is refused")
    func draft2020() throws {
        // libtest-json-schema-acceptance-perl: the other package ends with draft 7.
        let path = "/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance/tests/draft2020-12"
        let exceptions = [
            "anchor.json: $anchor inside an enum is not a real identifier": Self.anchors,
            "anchor.json: Location-independent identifier": Self.anchors,
            "anchor.json: Location-independent identifier with absolute URI": Self.identifiers,
            "anchor.json: Location-independent identifier with base URI change in subschema": Self.identifiers,
            "anchor.json: invalid anchors": Self.elsewhere,
            "anchor.json: same $anchor with different base uri": Self.identifiers,
            "content.json": Self.content,
            "defs.json: validate definition against metaschema": Self.elsewhere,
            "dynamicRef.json": Self.anchors,
            "dynamicRef.json: after leaving a dynamic scope, it is not used by a $dynamicRef": Self.identifiers,
            "dynamicRef.json: multiple dynamic paths to the $dynamicRef keyword": Self.identifiers,
            "format.json": Self.formats,
            "id.json: $id inside an enum is not a real identifier": Self.identifiers,
            "id.json: Invalid use of fragments in location-independent $id": Self.elsewhere,
            "id.json: Unnormalized $ids are allowed but discouraged": Self.elsewhere,
            "id.json: Valid use of empty fragments in location-independent $id": Self.elsewhere,
            "not.json: collect annotations inside a 'not', even if collection is disabled": Self.unevaluated,
            "optional/cross-draft.json": Self.elsewhere,
            "optional/dependencies-compatibility.json": Self.dependencies,
            "optional/ecmascript-regex.json: \\a is not an ECMA 262 control escape": Self.elsewhere,
            "optional/format-assertion.json": Self.dialect,
            "optional/format/": Self.formats,
            "optional/refOfUnknownKeyword.json": Self.unknown,
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
            "refRemote.json": Self.elsewhere,
            "refRemote.json: base URI change": Self.identifiers,
            "refRemote.json: base URI change - change folder": Self.identifiers,
            "refRemote.json: base URI change - change folder in subschema": Self.identifiers,
            "unevaluatedItems.json": Self.unevaluated,
            "unevaluatedProperties.json": Self.unevaluated,
            "unknownKeyword.json": Self.unknown,
            "vocabulary.json": Self.dialect,
        ]
        let counts = try run(path, except: exceptions, empty: ["optional/unicode.json"])
        #expect(counts == Counts(groups: 414, tests: 1_788, refusedGroups: 177, refusedTests: 954))
    }

    /// Of the older drafts in the package it is the nearest one, and draft 6 has hardly a case that it has not: 3 and 4
    /// write other things with the same words.
    @Test("Of draft 7 every verdict that both dialects share")
    func draft7() throws {
        let path = "/usr/share/json-schema-test-suite/tests/draft7"
        let exceptions = [
            "additionalItems.json": Self.lists,
            "additionalItems.json: additionalItems as false without items": Self.additionalItems,
            "additionalItems.json: items is schema, no additionalItems": Self.additionalItems,
            "definitions.json": Self.elsewhere,
            "dependencies.json": Self.dependencies,
            "items.json: an array of schemas for items": Self.lists,
            "items.json: items with boolean schemas": Self.lists,
            "optional/content.json": Self.content,
            "optional/ecmascript-regex.json": Self.formats,
            "optional/format/": Self.formats,
            "ref.json: Recursive references between schemas": Self.identifiers,
            "ref.json: escaped pointer ref": Self.unknown,
            "ref.json: relative pointer ref to array": Self.lists,
            "ref.json: remote ref, containing refs itself": Self.elsewhere,
            "refRemote.json": Self.elsewhere,
            "refRemote.json: base URI change": Self.identifiers,
            "refRemote.json: base URI change - change folder": Self.identifiers,
            "refRemote.json: base URI change - change folder in subschema": Self.identifiers,
        ]
        // Draft 7 ignores what stands beside a reference; 2020-12 does not.
        let different: Set = ["ref.json: ref overrides any sibling keywords, ref valid, maxItems ignored"]
        let counts = try run(path, except: exceptions, different: different)
        #expect(counts == Counts(groups: 155, tests: 566, refusedGroups: 46, refusedTests: 204))
    }
}

@testable import ConfigDecode
@testable import ConfigGuard
@testable import ConfigSnapshot

/// A schema and a document. Reading the schema throws, or gives one whose check comes to an end; and the check says the
/// same of a document however it is written, and the opposite of the opposite.
func fuzzSchema(_ bytes: [UInt8]) {
    let parts = parts(of: bytes, atMost: 2)
    guard let source = read(parts[0]) else { return }
    let schema: Schema
    do throws(SchemaProblem) { schema = try Schema(source) } catch { return }
    let document = parts.count > 1 ? read(parts[1]) : source
    guard let document else { return }

    let findings = check(document, schema)
    require(check(document, schema) == findings, "the same document is another one")
    let rewritten = Reading(document.json, as: .json).tree
    let again = rewritten.map { check($0, schema) }
    require(
        again?.count == findings.count && again?.first.map(\.key) == findings.first.map(\.key),
        "a document that says the same breaks other rules"
    )

    // What leads elsewhere would lead nowhere from one level below.
    let text = String(decoding: source.json, as: UTF8.self)
    guard !["\"$ref\"", "\"$id\"", "\"$schema\""].contains(where: text.contains) else { return }
    let (fits, isEnded) = (findings.isEmpty, !isTooComplex(findings))
    for (keyword, expected) in [("not", !fits), ("allOf", fits), ("anyOf", fits), ("oneOf", fits)] {
        guard isEnded, let inner = try? Schema(wrapped(source, keyword)) else { continue }
        let found = check(document, inner)
        require(isTooComplex(found) || found.isEmpty == expected, "'\(keyword)' of it says otherwise")
    }
}

private func read(_ text: [UInt8]) -> DocumentNode? {
    Reading(text, as: .json).tree ?? Reading(text, as: .yaml).tree
}

private func check(_ document: DocumentNode, _ schema: Schema) -> Findings {
    // Some rule for the values below any name, too: so it is reached by both ways.
    let rules = GuardRules(required: [["a", "b"]], keys: [.init(path: [nil], schema: schema)], schema: schema)
    _ = rules.check(document, count: 1, before: 2)
    return GuardRules(schema: schema).check(document, count: 1, before: nil)
}

private func isTooComplex(_ findings: Findings) -> Bool {
    // It is the last one to be found.
    findings.count > findings.first.count || findings.first.contains { $0.rule == "guard.too_complex" }
}

private func wrapped(_ source: DocumentNode, _ keyword: String) -> DocumentNode {
    let value = keyword == "not" ? source : DocumentNode(kind: .sequence([source]), position: source.position)
    let member = DocumentNode.Member(name: keyword, namePosition: source.position, node: value)
    return DocumentNode(kind: .mapping([member]), position: source.position)
}

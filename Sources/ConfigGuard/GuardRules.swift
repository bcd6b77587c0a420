package import ConfigSnapshot

/// What a source's documents have to fulfil, beyond being well-formed.
///
/// Thread-safe: a value without state.
package struct GuardRules: Sendable, Equatable {
    /// A rule for a key, or for all keys of a form.
    package struct KeyRule: Sendable, Equatable {
        /// The names down to it; `nil` for any one name.
        package var path: [[UInt8]?]
        package var schema: Schema

        package init(path: [[UInt8]?], schema: Schema) {
            self.path = path
            self.schema = schema
        }
    }

    /// Keys that have to be there, with a value or with others below them.
    package var required: [[String]]
    package var keys: [KeyRule]
    package var schema: Schema?
    /// Whether a document without a single value is refused.
    package var refusesEmpty: Bool
    /// By how many percent of its values a document may be smaller than the one before; `nil` for any.
    package var maxShrink: Int?
    /// What has the last word, after all that needs no command.
    package var check: Check?

    package init(
        required: [[String]] = [],
        keys: [KeyRule] = [],
        schema: Schema? = nil,
        refusesEmpty: Bool = false,
        maxShrink: Int? = nil,
        check: Check? = nil
    ) {
        self.required = required
        self.keys = keys
        self.schema = schema
        self.refusesEmpty = refusesEmpty
        self.maxShrink = maxShrink
        self.check = check
    }

    /// Whether they look at more than the number of values.
    package var needsTree: Bool { !required.isEmpty || !keys.isEmpty || schema != nil }
    package var isEmpty: Bool { !needsTree && !refusesEmpty && maxShrink == nil && check == nil }

    /// Holds a document against the rules.
    ///
    /// - Parameters:
    ///   - tree: where ``needsTree``.
    ///   - count: how many values it has.
    ///   - before: how many the one has that it is to follow; `nil` where there is none.
    package func check(_ tree: DocumentNode?, count: Int, before: Int?) -> Findings {
        var check = SchemaCheck(values: count)
        for finding in findings(in: count, before: before) { check.add(finding) }
        guard let tree else { return check.findings }
        for names in required where !tree.has(names) {
            check.add(Finding(key: DottedKey.join(names), rule: "guard.required", message: "is missing"))
        }
        for rule in keys {
            tree.each(rule.path[...], at: []) { node, path in check.check(node, rule.schema, at: path) }
        }
        if let schema { check.check(tree, schema) }
        return check.findings
    }

    private func findings(in count: Int, before: Int?) -> [Finding] {
        var findings: [Finding] = []
        if refusesEmpty, count == 0 {
            findings.append(Finding(rule: "guard.refuse_empty", message: "the document has no values"))
        }
        // Exactly: a tenth of ten is one.
        if let maxShrink, let before, before > 0, (before - count) * 100 > maxShrink * before {
            let message =
                "the document has \(count) values, the one in use \(before): more than \(maxShrink) % less"
            findings.append(Finding(rule: "guard.max_shrink", message: message))
        }
        return findings
    }
}

extension Findings {
    /// What a command has said against a document.
    package init(check reasons: [String]) {
        self.init()
        for reason in reasons { add(Finding(rule: "guard.check", message: reason)) }
        // No findings would mean that all is well.
        if isEmpty { add(Finding(rule: "guard.check", message: "its check gave no reason")) }
    }
}

/// What a document was found to break: the first of it, and how much there was.
package struct Findings: Sendable, Equatable {
    /// Of a document that breaks its rules a million times nobody reads more.
    package static let mostKept = 20

    package private(set) var first: [Finding] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    package mutating func add(_ finding: Finding) {
        count += 1
        if first.count < Self.mostKept { first.append(finding) }
    }
}

extension DocumentNode {
    fileprivate func has(_ names: [String]) -> Bool {
        var node = self
        for name in names {
            guard let next = node.member(name) else { return false }
            node = next
        }
        return true
    }

    /// Calls `body` with each value at `path`.
    fileprivate func each(_ path: ArraySlice<[UInt8]?>, at place: [UInt8], _ body: (DocumentNode, [UInt8]) -> Void) {
        guard let step = path.first else { return body(self, place) }
        guard case .mapping(let members) = kind else { return }
        for member in members where step == nil || member.name.utf8.elementsEqual(step ?? []) {
            var below = place
            DottedKey.append(member.name.utf8, to: &below)
            member.node.each(path.dropFirst(), at: below, body)
        }
    }
}

extension Schema {
    /// Reads a schema.
    package init(_ source: DocumentNode) throws(SchemaProblem) { self = try SchemaReader.read(source) }
}

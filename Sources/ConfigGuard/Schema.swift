package import ConfigSnapshot

/// A JSON Schema (draft 2020-12), ready to be held against documents: of its keywords those that can be told from the
/// document alone. A keyword that is not known, or not supported, is an error when the schema is read: none is ignored.
package struct Schema: Sendable, Equatable {
    /// What it was read from.
    private let source: DocumentNode
    /// All schemas in it, by their numbers.
    let parts: [[Assertion]]
    let root: Int

    init(source: DocumentNode, parts: [[Assertion]], root: Int) {
        self.source = source
        self.parts = parts
        self.root = root
    }

    package static func == (left: Self, right: Self) -> Bool { left.source == right.source }

    /// One thing that is asked of a value.
    enum Assertion: Sendable {
        case value(ValueAssertion)
        case array(ArrayAssertion)
        case object(ObjectAssertion)
        case combined(Combination)
        /// Nothing fits.
        case never
    }

    enum ValueAssertion: Sendable {
        case types(Set<ValueType>)
        /// In their canonical form, and as they are shown.
        case among(Set<[UInt8]>, shown: [String])
        case bound(DecimalNumber, Bound, shown: String)
        case multiple(DecimalNumber.Divisor, shown: String)
        /// In code points.
        case length(ClosedRange<Int>)
        case pattern(Pattern)
    }

    enum Bound: Sendable { case minimum, maximum, above, below }

    enum ArrayAssertion: Sendable {
        case count(ClosedRange<Int>)
        case unique
        case first([Int])
        /// From this place on.
        case items(Int, from: Int)
        case contains(Int, ClosedRange<Int>)
    }

    enum ObjectAssertion: Sendable {
        case count(ClosedRange<Int>)
        case required([[UInt8]])
        case requiredBeside([UInt8], [[UInt8]])
        case schemaBeside([UInt8], Int)
        case names(Int)
        case members(Members)
    }

    /// What is asked of the members of an object.
    struct Members: Sendable {
        var named: [[UInt8]: Int] = [:]
        var matching: [(pattern: Pattern, part: Int)] = []
        /// Of those that nothing else is asked of.
        var others: Int?
    }

    enum Combination: Sendable {
        case all([Int])
        case any([Int])
        case exactlyOne([Int])
        case not(Int)
        case conditional(Int, then: Int?, otherwise: Int?)
    }
}

/// What kinds of values there are.
package enum ValueType: String, Sendable, CaseIterable {
    case null, boolean, object, array, number, string, integer
}

/// Why a schema is none.
package struct SchemaProblem: Error, Sendable, Hashable {
    package var position: Position
    /// The keyword it is about, with those above it.
    package var key: String
    package var message: String
    package var advice: String?
}

/// One rule that a document breaks. Values are not shown: they may be secret.
package struct Finding: Sendable, Hashable {
    /// The dotted key; empty for the whole document. Items of arrays have their place behind it: `hosts[2].port`.
    package var key: String
    /// `nil` for what is no place.
    package var position: Position?
    /// Stable: the keyword in a schema, or the name of the rule.
    package var rule: String
    package var message: String

    package init(key: String = "", position: Position? = nil, rule: String, message: String) {
        self.key = key
        self.position = position
        self.rule = rule
        self.message = message
    }
}

extension Finding: CustomStringConvertible {
    package var description: String {
        let place = position.map { "line \($0.line), column \($0.column): " } ?? ""
        return place + (key.isEmpty ? "" : "\(key): ") + message
    }
}

extension DocumentNode {
    /// Itself, in a form that equal values share: numbers by their value, members in any order.
    var canonical: [UInt8] {
        var bytes: [UInt8] = []
        appendCanonical(to: &bytes)
        return bytes
    }

    private func appendCanonical(to bytes: inout [UInt8]) {
        switch kind {
        case .scalar(.null): bytes.append(UInt8(ascii: "z"))
        case .scalar(.bool(let value)): bytes.append(UInt8(ascii: value ? "t" : "f"))
        case .scalar(.number(let text)): Self.append("n", Array(DecimalNumber(text).canonical.utf8), to: &bytes)
        case .scalar(.string(let text)): Self.append("s", text, to: &bytes)
        case .sequence(let items):
            bytes.append(UInt8(ascii: "["))
            for item in items { item.appendCanonical(to: &bytes) }
            bytes.append(UInt8(ascii: "]"))
        case .mapping(let members):
            bytes.append(UInt8(ascii: "{"))
            let sorted = members.map { (Array($0.name.utf8), $0.node) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
            for (name, node) in sorted {
                Self.append("s", name, to: &bytes)
                node.appendCanonical(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// Its length before it, so that no two values are ever written alike.
    private static func append(_ mark: String, _ text: some Collection<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\(mark)\(text.count):".utf8)
        bytes.append(contentsOf: text)
    }

    /// For messages; shortened.
    var shown: String {
        switch kind {
        case .scalar(.null): "null"
        case .scalar(.bool(let value)): "\(value)"
        case .scalar(.number(let text)): String(decoding: text.prefix(40), as: UTF8.self)
        case .scalar(.string(let text)):
            "\"" + String(decoding: text, as: UTF8.self).prefix(40) + (text.count > 160 ? "…\"" : "\"")
        case .sequence: "an array"
        case .mapping: "an object"
        }
    }
}

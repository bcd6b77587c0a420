internal import ConfigSnapshot

/// Holds a document against schemas.
struct SchemaCheck {
    /// How many steps it may take for each value of a document, and at least: a schema whose alternatives are tried over
    /// and over again for each other is not a reason to stop.
    static let stepsPerValue = 100
    static let leastSteps = 5_000_000
    /// How many schemas may be open inside one another.
    private static let mostDepth = 1_500

    private var parts: [[Schema.Assertion]] = []
    private(set) var findings = Findings()
    private var budget: Int
    private var depth = 0
    /// Over zero, what does not fit is no finding of its own.
    private var quiet = 0
    private var path: [UInt8] = []
    /// It came to no end.
    private var isTooMuch = false

    /// - Parameter count: how many values there are to check.
    init(values count: Int) { budget = max(Self.leastSteps, count * Self.stepsPerValue) }

    /// - Parameter path: where `node` stands.
    mutating func check(_ node: DocumentNode, _ schema: Schema, at path: [UInt8] = []) {
        guard !isTooMuch else { return }
        parts = schema.parts
        self.path = path
        _ = fits(node, schema.root)
        guard isTooMuch else { return }
        findings.add(Finding(rule: "guard.too_complex", message: "the rules take too long with this document"))
    }

    mutating func add(_ finding: Finding) { findings.add(finding) }

    /// - Returns: whether it does, as far as that was found out.
    private mutating func fits(_ node: DocumentNode, _ part: Int) -> Bool {
        guard spend(1), depth < Self.mostDepth else {
            isTooMuch = true
            return false
        }
        depth += 1
        defer { depth -= 1 }
        var fits = true
        for assertion in parts[part] {
            if !holds(assertion, node) { fits = false }
            // Nobody wants to know what else is wrong.
            if !fits, quiet > 0 || isTooMuch { return false }
        }
        return fits
    }

    private mutating func spend(_ steps: Int) -> Bool {
        budget -= steps
        return budget >= 0 && !isTooMuch
    }

    private mutating func holds(_ assertion: Schema.Assertion, _ node: DocumentNode) -> Bool {
        switch assertion {
        case .value(let assertion): return holds(assertion, node)
        case .combined(let combination): return holds(combination, node)
        case .array(let assertion):
            guard case .sequence(let items) = node.kind else { return true }
            return holds(assertion, items, node)
        case .object(let assertion):
            guard case .mapping(let members) = node.kind else { return true }
            return holds(assertion, members, node)
        case .never: return refuse(node, "false", "is not allowed here")
        }
    }

    private mutating func refuse(_ node: DocumentNode, _ rule: String, _ message: String) -> Bool {
        refuse(node.position, rule, message)
    }

    private mutating func refuse(_ position: Position, _ rule: String, _ message: @autoclosure () -> String) -> Bool {
        guard quiet == 0, !isTooMuch else { return false }
        let key = String(decoding: path, as: UTF8.self)
        findings.add(Finding(key: key, position: position, rule: rule, message: message()))
        return false
    }

    private mutating func quietly(_ node: DocumentNode, _ part: Int) -> Bool {
        quiet += 1
        defer { quiet -= 1 }
        return fits(node, part)
    }

    private mutating func inside(_ name: some Collection<UInt8>, _ body: (inout Self) -> Bool) -> Bool {
        let length = path.count
        DottedKey.append(name, to: &path)
        defer { path.removeLast(path.count - length) }
        return body(&self)
    }

    private mutating func inside(item: Int, _ body: (inout Self) -> Bool) -> Bool {
        let length = path.count
        path.append(contentsOf: "[\(item)]".utf8)
        defer { path.removeLast(path.count - length) }
        return body(&self)
    }

    // MARK: Values

    private mutating func holds(_ assertion: Schema.ValueAssertion, _ node: DocumentNode) -> Bool {
        // Each look at a value goes through all of its bytes.
        guard spend(node.scalarLength / 16) else {
            isTooMuch = true
            return false
        }
        switch assertion {
        case .types(let types):
            if node.is(types) { return true }
            let wanted = types.map(\.rawValue).sorted().joined(separator: " or ")
            return refuse(node, "type", "has to be of type \(wanted), not \(node.type.rawValue)")
        case .among(let values, let shown): return isAmong(values, shown, node)
        case .bound(let limit, let bound, let shown):
            guard let number = node.number else { return true }
            return bound.holds(number, limit) || refuse(node, bound.rule, "\(bound.words) \(shown)")
        case .multiple(let divisor, let shown):
            guard let number = node.number else { return true }
            return number.isMultiple(of: divisor) || refuse(node, "multipleOf", "has to be a multiple of \(shown)")
        case .length(let range):
            guard case .scalar(.string(let text)) = node.kind else { return true }
            let count = String(decoding: text, as: UTF8.self).unicodeScalars.count
            return counts(count, in: range, node, ("minLength", "maxLength"), "characters")
        case .pattern(let pattern): return matches(pattern, node)
        }
    }

    private mutating func isAmong(_ values: Set<[UInt8]>, _ shown: [String], _ node: DocumentNode) -> Bool {
        let canonical = node.canonical
        guard spend(canonical.count / 16) else {
            isTooMuch = true
            return false
        }
        if values.contains(canonical) { return true }
        guard values.count > 1 else { return refuse(node, "const", "has to be \(shown.joined())") }
        let list = shown.joined(separator: ", ") + (values.count > shown.count ? ", …" : "")
        return refuse(node, "enum", "has to be one of \(list)")
    }

    private mutating func matches(_ pattern: Pattern, _ node: DocumentNode) -> Bool {
        guard case .scalar(.string(let text)) = node.kind else { return true }
        return matches(pattern, text) || refuse(node, "pattern", "has to match \(pattern.source)")
    }

    private mutating func matches(_ pattern: Pattern, _ text: some Collection<UInt8>) -> Bool {
        let found = pattern.matches(String(decoding: text, as: UTF8.self).unicodeScalars, budget: &budget)
        if found == nil { isTooMuch = true }
        return found ?? false
    }

    private mutating func counts(
        _ count: Int,
        in range: ClosedRange<Int>,
        _ node: DocumentNode,
        _ rules: (least: String, most: String),
        _ what: String
    ) -> Bool {
        if range.contains(count) { return true }
        if count < range.lowerBound {
            return refuse(node, rules.least, "has to have at least \(range.lowerBound) \(what), not \(count)")
        }
        return refuse(node, rules.most, "has to have at most \(range.upperBound) \(what), not \(count)")
    }

    // MARK: Arrays

    private mutating func holds(
        _ assertion: Schema.ArrayAssertion,
        _ items: [DocumentNode],
        _ node: DocumentNode
    ) -> Bool {
        switch assertion {
        case .count(let range): return counts(items.count, in: range, node, ("minItems", "maxItems"), "items")
        case .unique:
            var seen: Set<[UInt8]> = []
            for (index, item) in items.enumerated() {
                let canonical = item.canonical
                guard spend(1 + canonical.count / 16) else {
                    isTooMuch = true
                    return false
                }
                guard seen.insert(canonical).inserted else {
                    return inside(item: index) { $0.refuse(item, "uniqueItems", "is in the array already") }
                }
            }
            return true
        case .first(let parts): return all(zip(items, parts).map { ($0, $1) }, from: 0)
        case .items(let part, let first): return all(items.dropFirst(first).lazy.map { ($0, part) }, from: first)
        case .contains(let part, let range):
            var count = 0
            for item in items where quietly(item, part) { count += 1 }
            if isTooMuch { return false }
            if range.lowerBound == Int.max { return refuse(node, "contains", "no number of items would do") }
            return counts(count, in: range, node, ("contains", "maxContains"), "items of the kind that is asked for")
        }
    }

    private mutating func all(_ items: some Sequence<(DocumentNode, Int)>, from first: Int) -> Bool {
        var fit = true
        for (index, (item, part)) in items.enumerated() where !inside(item: first + index, { $0.fits(item, part) }) {
            fit = false
            if quiet > 0 || isTooMuch { break }
        }
        return fit
    }

    // MARK: Objects

    private mutating func holds(
        _ assertion: Schema.ObjectAssertion,
        _ members: [DocumentNode.Member],
        _ node: DocumentNode
    ) -> Bool {
        switch assertion {
        case .count(let range):
            return counts(members.count, in: range, node, ("minProperties", "maxProperties"), "members")
        case .required(let names): return has(names, members, node, "required", "is missing")
        case .requiredBeside(let name, let names):
            guard members.contains(where: { $0.name.utf8.elementsEqual(name) }) else { return true }
            let other = String(decoding: name, as: UTF8.self)
            return has(names, members, node, "dependentRequired", "is missing, beside '\(other)'")
        case .schemaBeside(let name, let part):
            return !members.contains { $0.name.utf8.elementsEqual(name) } || fits(node, part)
        case .names(let part): return all(members) { $0.checkName($1, part) }
        case .members(let rules): return all(members) { $0.check($1, rules) }
        }
    }

    private mutating func all(
        _ members: [DocumentNode.Member],
        _ check: (inout Self, DocumentNode.Member) -> Bool
    ) -> Bool {
        var fit = true
        for member in members where !check(&self, member) {
            fit = false
            if quiet > 0 || isTooMuch { break }
        }
        return fit
    }

    private mutating func has(
        _ names: [[UInt8]],
        _ members: [DocumentNode.Member],
        _ node: DocumentNode,
        _ rule: String,
        _ message: String
    ) -> Bool {
        guard spend(members.count) else {
            isTooMuch = true
            return false
        }
        let present = Set(members.map { Array($0.name.utf8) })
        var hasAll = true
        for name in names where !present.contains(name) {
            hasAll = inside(name) { $0.refuse(node, rule, message) }
        }
        return hasAll
    }

    private mutating func checkName(_ member: DocumentNode.Member, _ part: Int) -> Bool {
        let kind = DocumentNode.Kind.scalar(.string(Array(member.name.utf8)[...]))
        let name = DocumentNode(kind: kind, position: member.namePosition)
        if quietly(name, part) { return true }
        return inside(member.name.utf8) {
            $0.refuse(member.namePosition, "propertyNames", "is not a name that is allowed here")
        }
    }

    private mutating func check(_ member: DocumentNode.Member, _ rules: Schema.Members) -> Bool {
        let name = Array(member.name.utf8)
        var parts = rules.named[name].map { [$0] } ?? []
        for rule in rules.matching where matches(rule.pattern, name) { parts.append(rule.part) }
        if isTooMuch { return false }
        if parts.isEmpty, let others = rules.others { parts = [others] }
        return parts.isEmpty
            || inside(name) { check in
                var fit = true
                for part in parts where !check.fits(member.node, part) { fit = false }
                return fit
            }
    }

    // MARK: Combinations

    private mutating func holds(_ combination: Schema.Combination, _ node: DocumentNode) -> Bool {
        switch combination {
        case .all(let parts):
            var fit = true
            for part in parts where !fits(node, part) { fit = false }
            return fit
        case .any(let parts):
            for part in parts where quietly(node, part) { return true }
            return refuse(node, "anyOf", "fits none of \(parts.count) alternatives")
        case .exactlyOne(let parts):
            var count = 0
            for part in parts where quietly(node, part) { count += 1 }
            if count == 1, !isTooMuch { return true }
            return refuse(node, "oneOf", "has to fit one of \(parts.count) alternatives, and fits \(count)")
        case .not(let part):
            let fits = quietly(node, part)
            return (!fits && !isTooMuch) || refuse(node, "not", "is of a kind that is not allowed here")
        case .conditional(let condition, let then, let otherwise):
            guard let part = quietly(node, condition) ? then : otherwise, !isTooMuch else { return !isTooMuch }
            return fits(node, part)
        }
    }
}

extension Schema.Bound {
    func holds(_ number: DecimalNumber, _ limit: DecimalNumber) -> Bool {
        switch self {
        case .minimum: !(number < limit)
        case .maximum: !(limit < number)
        case .above: limit < number
        case .below: number < limit
        }
    }

    var rule: String {
        switch self {
        case .minimum: "minimum"
        case .maximum: "maximum"
        case .above: "exclusiveMinimum"
        case .below: "exclusiveMaximum"
        }
    }

    var words: String {
        switch self {
        case .minimum: "has to be at least"
        case .maximum: "has to be at most"
        case .above: "has to be more than"
        case .below: "has to be less than"
        }
    }
}

extension DocumentNode {
    var type: ValueType {
        switch kind {
        case .scalar(.null): .null
        case .scalar(.bool): .boolean
        case .scalar(.string): .string
        case .scalar(.number(let text)): DecimalNumber(text).isInteger ? .integer : .number
        case .sequence: .array
        case .mapping: .object
        }
    }

    func `is`(_ types: Set<ValueType>) -> Bool {
        let type = type
        return types.contains(type) || (type == .integer && types.contains(.number))
    }
}

extension DocumentNode {
    /// `nil` for what is none.
    fileprivate var number: DecimalNumber? {
        if case .scalar(.number(let text)) = kind { DecimalNumber(text) } else { nil }
    }

    /// Bytes of a value that holds no other.
    fileprivate var scalarLength: Int {
        switch kind {
        case .scalar(.number(let text)), .scalar(.string(let text)): text.count
        default: 0
        }
    }
}

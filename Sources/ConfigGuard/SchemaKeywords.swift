internal import ConfigSnapshot

/// A keyword with its value, and where it stands.
struct SchemaKeyword {
    let node: DocumentNode
    /// In which it stands, with what stands beside it.
    let schema: DocumentNode
    let number: Int
    let place: SchemaPlace
}

/// What each keyword asks.
enum SchemaKeywords {
    typealias Reader = @Sendable (inout SchemaReader, SchemaKeyword) throws(SchemaProblem) -> [Schema.Assertion]

    /// They ask for nothing.
    static let annotations: Set<String> = [
        "$comment", "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples",
    ]

    /// Known, not supported, and what to do.
    static let unsupported: [String: String] = {
        let anchors = "refer to parts by '#/$defs/NAME'"
        let unevaluated = "say with 'properties', 'items' and 'additionalProperties' what is allowed"
        return [
            "format": "it would not be enforced: use 'pattern'",
            "$anchor": anchors, "$dynamicAnchor": anchors, "$dynamicRef": anchors, "$recursiveRef": anchors,
            "$recursiveAnchor": anchors, "$vocabulary": "leave it away",
            "unevaluatedProperties": unevaluated, "unevaluatedItems": unevaluated,
            "contentEncoding": "use 'pattern'", "contentMediaType": "use 'pattern'", "contentSchema": "use 'pattern'",
            "dependencies": "write 'dependentRequired' or 'dependentSchemas'",
            "additionalItems": "write 'items', and 'prefixItems' for those before",
        ]
    }()

    static let readers: [String: Reader] = values.merging(arrays) { $1 }.merging(objects) { $1 }
        .merging(combinations) { $1 }

    // MARK: Values

    private static let values: [String: Reader] = [
        "type": { (_, keyword) throws(SchemaProblem) in try types(keyword) },
        "enum": { (_, keyword) throws(SchemaProblem) in among(try keyword.place.items(of: keyword.node)) },
        "const": { (_, keyword) throws(SchemaProblem) in among([keyword.node]) },
        "minimum": { (_, keyword) throws(SchemaProblem) in try bound(keyword, .minimum) },
        "maximum": { (_, keyword) throws(SchemaProblem) in try bound(keyword, .maximum) },
        "exclusiveMinimum": { (_, keyword) throws(SchemaProblem) in try bound(keyword, .above) },
        "exclusiveMaximum": { (_, keyword) throws(SchemaProblem) in try bound(keyword, .below) },
        "multipleOf": { (_, keyword) throws(SchemaProblem) in
            guard let divisor = DecimalNumber.Divisor(try keyword.place.number(keyword.node)) else {
                throw keyword.place.problem("has to be more than zero, with up to 18 digits", nil)
            }
            return [.value(.multiple(divisor, shown: keyword.node.shown))]
        },
        "minLength": { (_, keyword) throws(SchemaProblem) in [.value(.length(try atLeast(keyword)))] },
        "maxLength": { (_, keyword) throws(SchemaProblem) in [.value(.length(try atMost(keyword)))] },
        "pattern": { (_, keyword) throws(SchemaProblem) in
            guard let text = keyword.node.text else { throw keyword.place.problem("has to be text", nil) }
            return [.value(.pattern(try keyword.place.pattern(text)))]
        },
    ]

    private static func types(_ keyword: SchemaKeyword) throws(SchemaProblem) -> [Schema.Assertion] {
        let nodes: [DocumentNode]
        if case .sequence(let items) = keyword.node.kind { nodes = items } else { nodes = [keyword.node] }
        var types: Set<ValueType> = []
        for node in nodes {
            guard let type = node.text.flatMap(ValueType.init) else {
                let known = ValueType.allCases.map(\.rawValue).joined(separator: ", ")
                throw keyword.place.problem("not a type: \(node.shown)", "known are \(known)")
            }
            types.insert(type)
        }
        return [.value(.types(types))]
    }

    private static func among(_ nodes: [DocumentNode]) -> [Schema.Assertion] {
        [.value(.among(Set(nodes.map(\.canonical)), shown: nodes.prefix(6).map(\.shown)))]
    }

    private static func bound(
        _ keyword: SchemaKeyword,
        _ bound: Schema.Bound
    ) throws(SchemaProblem) -> [Schema.Assertion] {
        [.value(.bound(try keyword.place.number(keyword.node), bound, shown: keyword.node.shown))]
    }

    private static func atLeast(_ keyword: SchemaKeyword) throws(SchemaProblem) -> ClosedRange<Int> {
        try keyword.place.count(keyword.node)...Int.max
    }

    private static func atMost(_ keyword: SchemaKeyword) throws(SchemaProblem) -> ClosedRange<Int> {
        0...(try keyword.place.count(keyword.node))
    }

    // MARK: Arrays

    private static let arrays: [String: Reader] = [
        "minItems": { (_, keyword) throws(SchemaProblem) in [.array(.count(try atLeast(keyword)))] },
        "maxItems": { (_, keyword) throws(SchemaProblem) in [.array(.count(try atMost(keyword)))] },
        "uniqueItems": { (_, keyword) throws(SchemaProblem) in
            guard case .scalar(.bool(let isAsked)) = keyword.node.kind else {
                throw keyword.place.problem("has to be true or false", nil)
            }
            return isAsked ? [.array(.unique)] : []
        },
        "prefixItems": { (reader, keyword) throws(SchemaProblem) in
            [.array(.first(try list(&reader, keyword, isSame: false)))]
        },
        "items": { (reader, keyword) throws(SchemaProblem) in
            var before = 0
            if case .sequence(let items)? = keyword.schema.member("prefixItems")?.kind { before = items.count }
            if case .sequence = keyword.node.kind {
                throw keyword.place.problem("has to be one schema", "write 'prefixItems' for a list of them")
            }
            return [.array(.items(try reader.part(keyword.node, keyword.place), from: before))]
        },
        "contains": { (reader, keyword) throws(SchemaProblem) in
            func limit(_ name: String) throws(SchemaProblem) -> Int? {
                guard let node = keyword.schema.member(name) else { return nil }
                return try keyword.place.count(node)
            }
            let (least, most) = (try limit("minContains") ?? 1, try limit("maxContains") ?? Int.max)
            let part = try reader.part(keyword.node, keyword.place)
            return least <= most
                ? [.array(.contains(part, least...most))] : [.array(.contains(part, Int.max...Int.max))]
        },
        // Read with 'contains'; without it they ask for nothing.
        "minContains": { (_, keyword) throws(SchemaProblem) in
            _ = try keyword.place.count(keyword.node)
            return []
        },
        "maxContains": { (_, keyword) throws(SchemaProblem) in
            _ = try keyword.place.count(keyword.node)
            return []
        },
    ]

    private static func list(
        _ reader: inout SchemaReader,
        _ keyword: SchemaKeyword,
        isSame: Bool
    ) throws(SchemaProblem) -> [Int] {
        var parts: [Int] = []
        for (index, item) in try keyword.place.items(of: keyword.node).enumerated() {
            let place = keyword.place.below("\(index)", at: item.position)
            parts.append(
                isSame ? try reader.partOfSame(item, of: keyword.number, place) : try reader.part(item, place)
            )
        }
        guard !parts.isEmpty else { throw keyword.place.problem("has to have at least one schema", nil) }
        return parts
    }

    // MARK: Objects

    private static let objects: [String: Reader] = [
        "minProperties": { (_, keyword) throws(SchemaProblem) in [.object(.count(try atLeast(keyword)))] },
        "maxProperties": { (_, keyword) throws(SchemaProblem) in [.object(.count(try atMost(keyword)))] },
        "required": { (_, keyword) throws(SchemaProblem) in
            [.object(.required(try keyword.place.names(in: keyword.node)))]
        },
        "dependentRequired": { (_, keyword) throws(SchemaProblem) in
            var assertions: [Schema.Assertion] = []
            for member in try keyword.place.members(of: keyword.node) {
                let place = keyword.place.below(member.name, at: member.namePosition)
                assertions.append(.object(.requiredBeside(Array(member.name.utf8), try place.names(in: member.node))))
            }
            return assertions
        },
        "dependentSchemas": { (reader, keyword) throws(SchemaProblem) in
            var assertions: [Schema.Assertion] = []
            for member in try keyword.place.members(of: keyword.node) {
                let place = keyword.place.below(member.name, at: member.namePosition)
                let part = try reader.partOfSame(member.node, of: keyword.number, place)
                assertions.append(.object(.schemaBeside(Array(member.name.utf8), part)))
            }
            return assertions
        },
        "propertyNames": { (reader, keyword) throws(SchemaProblem) in
            [.object(.names(try reader.part(keyword.node, keyword.place)))]
        },
        "properties": { (reader, keyword) throws(SchemaProblem) in try members(&reader, keyword) },
        "patternProperties": { (reader, keyword) throws(SchemaProblem) in
            keyword.schema.member("properties") == nil ? try members(&reader, keyword) : []
        },
        "additionalProperties": { (reader, keyword) throws(SchemaProblem) in
            let others = ["properties", "patternProperties"].contains { keyword.schema.member($0) != nil }
            return others ? [] : try members(&reader, keyword)
        },
    ]

    /// The three that have to know of one another, read with the first of them.
    private static func members(
        _ reader: inout SchemaReader,
        _ keyword: SchemaKeyword
    ) throws(SchemaProblem) -> [Schema.Assertion] {
        var members = Schema.Members()
        guard case .mapping(let all) = keyword.schema.kind, let above = keyword.place.above else { return [] }
        for member in all {
            let place = above.below(member.name, at: member.namePosition)
            switch member.name {
            case "properties":
                for property in try place.members(of: member.node) {
                    let inner = place.below(property.name, at: property.namePosition)
                    members.named[Array(property.name.utf8)] = try reader.part(property.node, inner)
                }
            case "patternProperties":
                for property in try place.members(of: member.node) {
                    let inner = place.below(property.name, at: property.namePosition)
                    members.matching.append((try inner.pattern(property.name), try reader.part(property.node, inner)))
                }
            case "additionalProperties": members.others = try reader.part(member.node, place)
            default: break
            }
        }
        return [.object(.members(members))]
    }

    // MARK: Combinations

    private static let combinations: [String: Reader] = [
        "allOf": { (reader, keyword) throws(SchemaProblem) in
            [.combined(.all(try list(&reader, keyword, isSame: true)))]
        },
        "anyOf": { (reader, keyword) throws(SchemaProblem) in
            [.combined(.any(try list(&reader, keyword, isSame: true)))]
        },
        "oneOf": { (reader, keyword) throws(SchemaProblem) in
            [.combined(.exactlyOne(try list(&reader, keyword, isSame: true)))]
        },
        "not": { (reader, keyword) throws(SchemaProblem) in
            [.combined(.not(try reader.partOfSame(keyword.node, of: keyword.number, keyword.place)))]
        },
        "if": { (reader, keyword) throws(SchemaProblem) in
            let condition = try reader.partOfSame(keyword.node, of: keyword.number, keyword.place)
            let then = try beside("then", &reader, keyword)
            let otherwise = try beside("else", &reader, keyword)
            return [.combined(.conditional(condition, then: then, otherwise: otherwise))]
        },
        "then": { (reader, keyword) throws(SchemaProblem) in try alone(&reader, keyword) },
        "else": { (reader, keyword) throws(SchemaProblem) in try alone(&reader, keyword) },
    ]

    private static func beside(
        _ name: String,
        _ reader: inout SchemaReader,
        _ keyword: SchemaKeyword
    ) throws(SchemaProblem) -> Int? {
        guard let node = keyword.schema.member(name), let above = keyword.place.above else { return nil }
        return try reader.partOfSame(node, of: keyword.number, above.below(name, at: node.position))
    }

    /// Without 'if' they ask for nothing, but what stands there has to be a schema all the same.
    private static func alone(
        _ reader: inout SchemaReader,
        _ keyword: SchemaKeyword
    ) throws(SchemaProblem) -> [Schema.Assertion] {
        if keyword.schema.member("if") == nil { _ = try reader.part(keyword.node, keyword.place) }
        return []
    }
}

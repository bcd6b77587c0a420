internal import ConfigSnapshot

/// Reads schemas: each keyword is known, and each has the form that it has to have.
struct SchemaReader {
    static let dialect = "https://json-schema.org/draft/2020-12/schema"
    private static let mostParts = 10_000

    private let source: DocumentNode
    /// Of the whole, where it has one.
    private var id = ""
    var parts: [[Schema.Assertion]] = []
    /// By the bytes of their pointers: two forms of one letter are two names.
    private var places: [[UInt8]: Int] = [:]
    /// References that are still to be followed: from where, to where, and where it is written.
    private var references: [(part: Int, index: Int, target: String, place: SchemaPlace)] = []
    /// By part: those that look at the same value.
    var sameValue: [Int: [Int]] = [:]

    static func read(_ source: DocumentNode) throws(SchemaProblem) -> Schema {
        var reader = SchemaReader(source)
        let root = try reader.part(source, SchemaPlace(position: source.position))
        try reader.resolve()
        try reader.checkCycles()
        return Schema(source: source, parts: reader.parts, root: root)
    }

    private init(_ source: DocumentNode) { self.source = source }

    /// Reads one schema.
    mutating func part(_ node: DocumentNode, _ place: SchemaPlace) throws(SchemaProblem) -> Int {
        guard parts.count < Self.mostParts else {
            throw place.problem("more than \(Self.mostParts) schemas in one", nil)
        }
        let number = parts.count
        places[Array(place.pointer.utf8)] = number
        parts.append([])
        switch node.kind {
        case .scalar(.bool(let isAnything)):
            if !isAnything { parts[number] = [.never] }
        case .mapping(let members):
            for member in members {
                try read(member, of: node, into: number, place.below(member.name, at: member.namePosition))
            }
        case .scalar, .sequence:
            throw place.problem("has to be a schema: an object, true or false", nil)
        }
        return number
    }

    /// Reads a schema that is about the same value as another one.
    mutating func partOfSame(_ node: DocumentNode, of number: Int, _ place: SchemaPlace) throws(SchemaProblem) -> Int {
        let part = try part(node, place)
        sameValue[number, default: []].append(part)
        return part
    }

    private mutating func read(
        _ member: DocumentNode.Member,
        of schema: DocumentNode,
        into number: Int,
        _ place: SchemaPlace
    ) throws(SchemaProblem) {
        if SchemaKeywords.annotations.contains(member.name) { return }
        switch member.name {
        case "$schema":
            guard member.node.text == Self.dialect || member.node.text == Self.dialect + "#" else {
                throw place.problem("another dialect than 2020-12", "write \(Self.dialect), or leave it away")
            }
        case "$id":
            guard place.depth == 1, let text = member.node.text, !text.contains("#") else {
                throw place.problem("only the whole schema may have an identifier", "refer to parts by '#/$defs/NAME'")
            }
            id = text
        case "$ref":
            guard let text = member.node.text else { throw place.problem("has to be text", nil) }
            references.append((number, parts[number].count, text, place))
            parts[number].append(.never)
        case "$defs", "definitions":
            for definition in try place.members(of: member.node) {
                _ = try part(definition.node, place.below(definition.name, at: definition.namePosition))
            }
        default:
            guard let read = SchemaKeywords.readers[member.name] else { throw Self.unknown(member.name, place) }
            parts[number] += try read(
                &self,
                SchemaKeyword(node: member.node, schema: schema, number: number, place: place)
            )
        }
    }

    private static func unknown(_ name: String, _ place: SchemaPlace) -> SchemaProblem {
        if let advice = SchemaKeywords.unsupported[name] { return place.problem("is not supported", advice) }
        let known = Array(SchemaKeywords.readers.keys) + ["$ref", "$defs"]
        let nearest = NearestKeys.nearest(to: name, among: known, limit: 1).first.map { "did you mean '\($0)'?" }
        return place.problem("unknown keyword", nearest ?? "none is ignored: take it away, or write what it is to mean")
    }

    // MARK: References

    private mutating func resolve() throws(SchemaProblem) {
        for reference in references {
            var target = reference.target[...]
            if !id.isEmpty, target.hasPrefix(id) { target = target.dropFirst(id.count) }
            guard target.isEmpty || target.hasPrefix("#") else {
                throw reference.place.problem("leads elsewhere", "put what it names below '$defs', in the same file")
            }
            guard target.count <= 1 || target.hasPrefix("#/") else {
                throw reference.place.problem("names an anchor, which is not supported", "write '#/$defs/NAME'")
            }
            guard let pointer = PercentEncoding.decode(target.dropFirst(), allowsZero: true),
                let part = places[Array(pointer.utf8)]
            else {
                throw reference.place.problem("leads to no schema", "write '#/$defs/NAME'")
            }
            parts[reference.part][reference.index] = .combined(.all([part]))
            sameValue[reference.part, default: []].append(part)
        }
    }

    /// A schema that leads to itself about the same value would never come to an end.
    private func checkCycles() throws(SchemaProblem) {
        var isDone = [Bool](repeating: false, count: parts.count)
        var isOpen = isDone
        for start in parts.indices where !isDone[start] {
            var path: [(part: Int, next: Int)] = [(start, 0)]
            isOpen[start] = true
            while let (part, next) = path.last {
                let others = sameValue[part] ?? []
                guard next < others.count else {
                    (isDone[part], isOpen[part]) = (true, false)
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let other = others[next]
                if isOpen[other] {
                    throw SchemaPlace(position: source.position).problem(
                        "a reference leads back to itself before any value is looked at",
                        "let it name another schema"
                    )
                }
                if !isDone[other] {
                    isOpen[other] = true
                    path.append((other, 0))
                }
            }
        }
    }
}

/// Where something stands in a schema.
struct SchemaPlace {
    private(set) var pointer = ""
    private(set) var names: [String] = []
    private(set) var position: Position
    private var parents: [(String, Position)] = []

    init(position: Position) { self.position = position }

    var depth: Int { names.count }

    /// The schema in which a keyword stands; `nil` for what is no keyword.
    var above: SchemaPlace? {
        guard let last = parents.last else { return nil }
        var place = self
        place.names.removeLast()
        place.parents.removeLast()
        (place.pointer, place.position) = last
        return place
    }

    func below(_ name: String, at position: Position) -> SchemaPlace {
        var place = self
        let escaped = name.utf8.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "~"): Array("~0".utf8)
            case UInt8(ascii: "/"): Array("~1".utf8)
            default: [byte]
            }
        }
        place.pointer += "/" + String(decoding: escaped, as: UTF8.self)
        place.names.append(name)
        place.parents.append((pointer, self.position))
        place.position = position
        return place
    }

    func problem(_ message: String, _ advice: String?) -> SchemaProblem {
        SchemaProblem(position: position, key: DottedKey.join(names), message: message, advice: advice)
    }

    func members(of node: DocumentNode) throws(SchemaProblem) -> [DocumentNode.Member] {
        guard case .mapping(let members) = node.kind else { throw problem("has to be an object", nil) }
        return members
    }

    func items(of node: DocumentNode) throws(SchemaProblem) -> [DocumentNode] {
        guard case .sequence(let items) = node.kind else { throw problem("has to be an array", nil) }
        return items
    }

    func names(in node: DocumentNode) throws(SchemaProblem) -> [[UInt8]] {
        var names: [[UInt8]] = []
        for item in try items(of: node) {
            guard case .scalar(.string(let text)) = item.kind else { throw problem("has to be a list of names", nil) }
            names.append(Array(text))
        }
        return names
    }

    func number(_ node: DocumentNode) throws(SchemaProblem) -> DecimalNumber {
        guard case .scalar(.number(let text)) = node.kind else { throw problem("has to be a number", nil) }
        return DecimalNumber(text)
    }

    func count(_ node: DocumentNode) throws(SchemaProblem) -> Int {
        guard let count = try number(node).count else { throw problem("has to be a whole number from 0 on", nil) }
        return count
    }

    func pattern(_ text: String) throws(SchemaProblem) -> Pattern {
        do throws(PatternProblem) { return try Pattern(text) } catch {
            throw problem("not a pattern: \(error.message)", nil)
        }
    }
}

extension DocumentNode {
    var text: String? {
        if case .scalar(.string(let text)) = kind { String(decoding: text, as: UTF8.self) } else { nil }
    }

    func member(_ name: String) -> DocumentNode? {
        guard case .mapping(let members) = kind else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.node
    }
}

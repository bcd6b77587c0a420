import AgentAPI
import FoundationEssentials

/// The part of JSON Schema that our schemas use. A keyword it does not know is an error, not silence.
struct Schema {
    let root: JSONValue

    init(named name: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().path
        let file = URL(filePath: "\(folder)/../../Sources/AgentAPI/schema/\(name).schema.json")
        self.root = try WireJSON.decode(JSONValue.self, from: [UInt8](Data(contentsOf: file)))
    }

    /// What is wrong with `value`, with its place; empty when it is as the schema says.
    func faults(in value: JSONValue) -> [String] { faults(value, root, "") }

    /// Each property that the schema describes, as `definition.property`.
    var properties: Set<String> {
        var found = Set(root["properties"]?.members.keys.map { "." + $0 } ?? [])
        for (name, definition) in root["$defs"]?.members ?? [:] {
            found.formUnion(definition["properties"]?.members.keys.map { "\(name).\($0)" } ?? [])
        }
        return found
    }

    /// Those of `properties` that occur in `value`.
    func properties(in value: JSONValue) -> Set<String> {
        var found: Set<String> = []
        visit(value, root, "", &found)
        return found
    }

    private static let annotations: Set<String> = ["$schema", "$id", "$defs", "title", "description", "format"]

    private func faults(_ value: JSONValue, _ schema: JSONValue, _ place: String) -> [String] {
        schema.members.sorted { $0.key < $1.key }.flatMap { keyword, argument -> [String] in
            switch keyword {
            case "items":
                value.elements.enumerated().flatMap { faults($1, argument, "\(place)[\($0)]") }
            case "properties":
                argument.members.flatMap { name, inner in
                    value[name].map { faults($0, inner, "\(place).\(name)") } ?? []
                }
            case "required":
                argument.elements.compactMap(\.text).filter { value[$0] == nil }.map { "\(place).\($0): missing" }
            case "additionalProperties": additional(value, schema, argument, place)
            case "$ref": faults(value, resolve(argument), place)
            default: breach(value, keyword, argument, place).map { ["\(place): \($0)"] } ?? []
            }
        }
    }

    private func breach(_ value: JSONValue, _ keyword: String, _ argument: JSONValue, _ place: String) -> String? {
        switch keyword {
        case "type": isType(value, argument.text ?? "") ? nil : "not \(argument.text ?? "")"
        case "enum": argument.elements.contains(value) ? nil : "not one of the enumerated"
        case "const": argument == value ? nil : "not the constant"
        case "minimum": isAtLeast(value, argument) ? nil : "too small"
        case "pattern": matches(value, argument) ? nil : "not the pattern"
        case "oneOf": argument.elements.count { faults(value, $0, place).isEmpty } == 1 ? nil : "not one of"
        default: Self.annotations.contains(keyword) ? nil : "unknown keyword \(keyword)"
        }
    }

    private func additional(
        _ value: JSONValue,
        _ schema: JSONValue,
        _ argument: JSONValue,
        _ place: String
    ) -> [String] {
        let known = schema["properties"]?.members ?? [:]
        let rest = value.members.filter { known[$0.key] == nil }
        if argument == .bool(false) { return rest.keys.map { "\(place).\($0): not in the schema" } }
        return rest.flatMap { faults($1, argument, "\(place).\($0)") }
    }

    private func resolve(_ reference: JSONValue) -> JSONValue {
        let name = String((reference.text ?? "").dropFirst("#/$defs/".count))
        return root["$defs"]?[name] ?? .object(["type": .string("definition \(name)")])
    }

    private func isType(_ value: JSONValue, _ type: String) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("number", .number), ("string", .string), ("array", .array),
            ("object", .object):
            true
        case ("integer", .number(let number)): number == number.rounded()
        default: false
        }
    }

    private func isAtLeast(_ value: JSONValue, _ bound: JSONValue) -> Bool {
        guard case .number(let value) = value, case .number(let bound) = bound else { return false }
        return value >= bound
    }

    private func matches(_ value: JSONValue, _ pattern: JSONValue) -> Bool {
        guard let text = value.text, let regex = try? Regex(pattern.text ?? "") else { return false }
        return text.contains(regex)
    }

    private func visit(_ value: JSONValue, _ schema: JSONValue, _ name: String, _ found: inout Set<String>) {
        if let reference = schema["$ref"] {
            let target = String((reference.text ?? "").dropFirst("#/$defs/".count))
            visit(value, resolve(reference), target, &found)
        }
        for inner in schema["oneOf"]?.elements ?? [] { visit(value, inner, name, &found) }
        for element in value.elements { visit(element, schema["items"] ?? .null, name, &found) }
        for (member, inner) in value.members {
            if let property = schema["properties"]?[member] {
                found.insert("\(name).\(member)")
                visit(inner, property, name, &found)
            } else {
                visit(inner, schema["additionalProperties"] ?? .null, name, &found)
            }
        }
    }
}

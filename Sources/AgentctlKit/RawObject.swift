internal import AgentAPI

/// The members of a JSON object with their values untouched: a number stays as the source wrote it.
struct RawObject {
    let members: [(name: String, value: ArraySlice<UInt8>)]

    /// - Parameter json: compact, well-formed JSON, as the agent writes it.
    /// - Returns: `nil` when it is no object.
    init?(_ json: ArraySlice<UInt8>) {
        guard json.first == UInt8(ascii: "{"), json.last == UInt8(ascii: "}") else { return nil }
        var members: [(name: String, value: ArraySlice<UInt8>)] = []
        var rest = json.dropFirst().dropLast()
        while !rest.isEmpty {
            let nameEnd = Self.end(ofValue: rest)
            guard nameEnd < rest.endIndex, rest[nameEnd] == UInt8(ascii: ":"),
                let name = try? WireJSON.decode(String.self, from: Array(rest[..<nameEnd]))
            else { return nil }
            rest = rest[(nameEnd + 1)...]
            let end = Self.end(ofValue: rest)
            members.append((name, rest[..<end]))
            rest = rest[end...].dropFirst()
        }
        self.members = members
    }

    subscript(name: String) -> ArraySlice<UInt8>? { members.first { $0.name == name }?.value }

    /// The first comma or colon that stands neither in a string nor in a bracket.
    private static func end(ofValue json: ArraySlice<UInt8>) -> Int {
        var depth = 0
        var isInString = false
        var position = json.startIndex
        while position < json.endIndex {
            switch json[position] {
            case UInt8(ascii: "\\") where isInString: position += 1
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: "{") where !isInString, UInt8(ascii: "[") where !isInString: depth += 1
            case UInt8(ascii: "}") where !isInString, UInt8(ascii: "]") where !isInString: depth -= 1
            case UInt8(ascii: ",") where !isInString && depth == 0, UInt8(ascii: ":") where !isInString && depth == 0:
                return position
            default: break
            }
            position += 1
        }
        return json.endIndex
    }
}

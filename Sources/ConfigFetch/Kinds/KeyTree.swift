internal import ConfigSnapshot

/// Puts keys such as `db/url` and their values together to one JSON document: `{"db":{"url":"…"}}`. Every value is text.
struct KeyTree {
    private indirect enum Node {
        case value([UInt8])
        case branch([String: Node])
    }

    /// No document may be deeper than this.
    private static let mostParts = 512

    private var root: [String: Node] = [:]
    private(set) var count = 0

    /// - Parameter path: below the prefix, its parts parted by slashes. Empty parts count for nothing; a path that has
    ///   no other stands for a directory, which Consul makes of keys that end with a slash.
    mutating func insert(_ path: String, _ value: [UInt8]) throws(StageFailure) {
        let parts = path.split(separator: "/").map(String.init)
        if parts.isEmpty || path.hasSuffix("/") { return }
        guard parts.count <= Self.mostParts else {
            throw StageFailure(
                .fetch,
                "too_deep",
                "the key '\(Self.shown(path))' has more than \(Self.mostParts) parts",
                hint: "remove it, or keep it outside the prefix"
            )
        }
        guard String(validating: value, as: UTF8.self) != nil else {
            throw StageFailure(
                .fetch,
                "not_text",
                "the value of key '\(Self.shown(path))' is not UTF-8",
                hint: "keep binary values outside the prefix, or base64-encode them"
            )
        }
        try Self.insert(parts[...], .value(value), into: &root, path)
        count += 1
    }

    private static func insert(
        _ parts: ArraySlice<String>,
        _ value: Node,
        into branch: inout [String: Node],
        _ path: String
    ) throws(StageFailure) {
        guard let first = parts.first else { return }
        let rest = parts.dropFirst()
        let conflict = StageFailure(
            .fetch,
            "key_conflict",
            "key '\(shown(path))' is both a value and a directory, or there twice",
            hint: "remove one of the two"
        )
        if rest.isEmpty {
            guard branch[first] == nil else { throw conflict }
            branch[first] = value
            return
        }
        var below: [String: Node] = [:]
        switch branch[first] {
        case .value: throw conflict
        case .branch(let known): below = known
        case nil: break
        }
        // Else a copy would be made of what is there.
        branch[first] = nil
        try insert(rest, value, into: &below, path)
        branch[first] = .branch(below)
    }

    private static func shown(_ path: String) -> String { String(path.prefix(200)) }

    /// The document, its keys in order, so that the same keys give the same bytes.
    var json: [UInt8] {
        var output: [UInt8] = []
        Self.write(root, to: &output)
        return output
    }

    private static func write(_ branch: [String: Node], to output: inout [UInt8]) {
        output.append(UInt8(ascii: "{"))
        for (index, (key, node)) in branch.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            writeText(key.utf8, to: &output)
            output.append(UInt8(ascii: ":"))
            switch node {
            case .value(let bytes): writeText(bytes, to: &output)
            case .branch(let below): write(below, to: &output)
            }
        }
        output.append(UInt8(ascii: "}"))
    }

    private static func writeText(_ bytes: some Sequence<UInt8>, to output: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        output.append(UInt8(ascii: "\""))
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: output += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}

internal import ConfigSnapshot

/// Puts keys such as `db/url` and their values together to one JSON document: `{"db":{"url":"…"}}`. Every value is text.
///
/// Values are only named here, and asked for one after the other when the document is written: there may be as many of them
/// as fit into a document.
struct KeyTree<Value> {
    private struct Entry {
        /// Of its parts, parted by slashes.
        let path: Range<Int>
        let value: Value
    }

    private var paths: [UInt8] = []
    private var entries: [Entry] = []

    var count: Int { entries.count }

    /// - Parameter path: below the prefix, its parts parted by slashes. Empty parts count for nothing; a path that has
    ///   no other stands for a directory, which Consul makes of keys that end with a slash.
    mutating func insert(_ path: some Collection<UInt8>, _ value: Value) throws(StageFailure) {
        let start = paths.count
        var last: UInt8 = KeyTreeText.slash
        var parts = 0
        for byte in path {
            if byte != KeyTreeText.slash, last == KeyTreeText.slash {
                if parts > 0 { paths.append(KeyTreeText.slash) }
                parts += 1
            }
            if byte != KeyTreeText.slash { paths.append(byte) }
            last = byte
        }
        // Also for an empty one.
        guard last != KeyTreeText.slash else {
            paths.removeLast(paths.count - start)
            return
        }
        guard parts <= KeyTreeText.mostParts else {
            throw StageFailure(
                .fetch,
                "too_deep",
                "the key '\(KeyTreeText.shown(paths[start...]))' has more than \(KeyTreeText.mostParts) parts",
                hint: "remove it, or keep it outside the prefix"
            )
        }
        entries.append(Entry(path: start..<paths.count, value: value))
    }

    /// The document, its keys in the order of their bytes, so that the same keys give the same bytes.
    ///
    /// - Parameters:
    ///   - size: about as many bytes as it will have.
    ///   - text: what a value says.
    func json(size: Int = 0, text: (Value) throws(StageFailure) -> [UInt8]) throws(StageFailure) -> [UInt8] {
        let sorted = entries.sorted { KeyTreeText.precedes(paths[$0.path], paths[$1.path]) }
        var output: [UInt8] = []
        output.reserveCapacity(size)
        output.append(UInt8(ascii: "{"))
        var open: ArraySlice<ArraySlice<UInt8>> = []
        var previous: ArraySlice<UInt8>?
        for entry in sorted {
            let path = paths[entry.path]
            if let previous, path.starts(with: previous),
                path.count == previous.count || path[path.startIndex + previous.count] == KeyTreeText.slash
            {
                throw StageFailure(
                    .fetch,
                    "key_conflict",
                    "key '\(KeyTreeText.shown(previous))' is both a value and a directory, or there twice",
                    hint: "remove one of the two"
                )
            }
            guard String(validating: path, as: UTF8.self) != nil else {
                throw Self.notText("key '\(KeyTreeText.shown(path))'")
            }
            let parts = path.split(separator: KeyTreeText.slash)[...]
            let common = zip(open, parts.dropLast()).prefix { $0 == $1 }.count
            for _ in common..<open.count { output.append(UInt8(ascii: "}")) }
            if previous != nil { output.append(UInt8(ascii: ",")) }
            for part in parts.dropFirst(common).dropLast() {
                KeyTreeText.write(part, to: &output)
                output += [UInt8(ascii: ":"), UInt8(ascii: "{")]
            }
            let value = try text(entry.value)
            guard String(validating: value, as: UTF8.self) != nil else {
                throw Self.notText("value of key '\(KeyTreeText.shown(path))'")
            }
            if let last = parts.last { KeyTreeText.write(last, to: &output) }
            output.append(UInt8(ascii: ":"))
            KeyTreeText.write(value[...], to: &output)
            open = parts.dropLast()
            previous = path
        }
        for _ in 0...open.count { output.append(UInt8(ascii: "}")) }
        return output
    }

    private static func notText(_ what: String) -> StageFailure {
        StageFailure(
            .fetch,
            "not_text",
            "the \(what) is not UTF-8",
            hint: "keep binary values outside the prefix, or base64-encode them"
        )
    }
}

private enum KeyTreeText {
    static let slash = UInt8(ascii: "/")
    /// No document may be deeper than this.
    static let mostParts = 512

    static func shown(_ path: ArraySlice<UInt8>) -> String { String(String(decoding: path, as: UTF8.self).prefix(200)) }

    /// Part by part: a slash comes before every other byte, so that what is below a key follows it at once.
    static func precedes(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
        func rank(_ byte: UInt8) -> Int { byte == slash ? -1 : Int(byte) }
        return left.lexicographicallyPrecedes(right) { rank($0) < rank($1) }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    static func write(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
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

extension StageFailure {
    /// All that lies below a prefix is places for keys, and no keys.
    static let onlyDirectories = StageFailure(
        .fetch,
        "not_found",
        "there are only directories below the prefix",
        hint: "an empty configuration is never taken over"
    )
}

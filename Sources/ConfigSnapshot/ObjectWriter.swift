/// Writes a run of leaves back as one nested JSON object.
enum ObjectWriter {
    /// - Parameters:
    ///   - range: leaves that share the first `prefix` bytes of their keys (and the dot after them).
    ///   - prefix: the length of the ancestor's key; 0 for the whole document.
    static func json(of table: LeafTable, range: Range<Int>, below prefix: Int) -> [UInt8] {
        var out: [UInt8] = [UInt8(ascii: "{")]
        var open: [[UInt8]] = []
        var isFirst = true
        for position in range {
            let leaf = table.leaves[position]
            let start = leaf.key.lowerBound + (prefix == 0 ? 0 : prefix + 1)
            let names = rawNames(table.bytes[start..<leaf.key.upperBound])
            var shared = 0
            while shared < open.count, shared < names.count - 1, open[shared] == names[shared] { shared += 1 }
            while open.count > shared {
                out.append(UInt8(ascii: "}"))
                open.removeLast()
            }
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            for name in names[shared..<(names.count - 1)] {
                appendName(name, to: &out)
                out.append(UInt8(ascii: "{"))
                open.append(name)
            }
            appendName(names[names.count - 1], to: &out)
            out.append(contentsOf: table.value(leaf))
        }
        out.append(contentsOf: repeatElement(UInt8(ascii: "}"), count: open.count + 1))
        return out
    }

    private static func rawNames(_ key: ArraySlice<UInt8>) -> [[UInt8]] {
        let bytes = Array(key)
        var names: [[UInt8]] = []
        var position = 0
        while let (name, next) = DottedKey.scanName(bytes, from: position) {
            names.append(name)
            position = next + 1
        }
        return names
    }

    private static func appendName(_ name: [UInt8], to out: inout [UInt8]) {
        JSONText.appendString(name, to: &out)
        out.append(UInt8(ascii: ":"))
    }
}

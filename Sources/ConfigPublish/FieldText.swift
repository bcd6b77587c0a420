internal import ConfigSnapshot
internal import Crypto

/// The form of our small files: a title, the SHA-256 of all that follows, and lines of names and values. Half of one is none.
struct FieldText {
    var title: String
    var lines: [(name: String, value: String)] = []

    mutating func add(_ name: String, _ value: some CustomStringConvertible) {
        lines.append((name, "\(value)"))
    }

    func first(_ name: String) -> String? { lines.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { lines.filter { $0.name == name }.map(\.value) }
    func number<Number: FixedWidthInteger>(_ name: String) -> Number? { first(name).flatMap { Number($0) } }

    var bytes: [UInt8] {
        let body = lines.map { "\($0.name): \(Self.escaped($0.value))\n" }.joined()
        return Array("\(title)\n\(Self.checksum(body))\n\(body)".utf8)
    }

    init(_ title: String) { self.title = title }

    /// - Returns: `nil` for anything but the whole of a file with this title.
    init?(_ title: String, parsing bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self), text.hasPrefix(title + "\n") else { return nil }
        let rest = text.dropFirst(title.count + 1)
        guard let end = rest.firstIndex(of: "\n") else { return nil }
        let body = rest[rest.index(after: end)...]
        guard rest[..<end] == Self.checksum(String(body)) else { return nil }
        self.title = title
        for line in body.split(separator: "\n") {
            guard let colon = line.firstRange(of: ": "),
                let value = PercentEncoding.decode(line[colon.upperBound...], allowsZero: true)
            else { return nil }
            lines.append((String(line[..<colon.lowerBound]), value))
        }
    }

    /// On one line, whatever somebody has put into it.
    private static func escaped(_ value: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in value.utf8 {
            if byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "%") {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func checksum(_ body: String) -> String {
        ContentDigest(bytes: SHA256.hash(data: Array(body.utf8)))?.hex ?? ""
    }
}

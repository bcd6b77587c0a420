internal import ConfigSnapshot
internal import Crypto

/// The form of our small files: a title, the SHA-256 of all that follows, and lines of names and values. Half of one is none.
struct FieldText {
    var title: String
    var lines: [(name: String, value: String)] = []

    mutating func add(_ name: String, _ value: some CustomStringConvertible) {
        lines.append((name, "\(value)"))
    }

    /// The first words of a value, and all that follows them. By bytes: a mark at the start of one makes one character
    /// with the space before it.
    static func words(_ value: String, atMost count: Int) -> [Substring] {
        value.utf8.split(separator: UInt8(ascii: " "), maxSplits: count - 1, omittingEmptySubsequences: false)
            .map(Substring.init)
    }

    func first(_ name: String) -> String? { lines.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { lines.filter { $0.name == name }.map(\.value) }
    func number<Number: FixedWidthInteger>(_ name: String) -> Number? { first(name).flatMap { Number($0) } }

    var bytes: [UInt8] {
        let body = lines.map { "\($0.name): \(Self.escaped($0.value))\n" }.joined()
        return Array("\(title)\n\(Self.checksum(Array(body.utf8)))\n\(body)".utf8)
    }

    init(_ title: String) { self.title = title }

    /// - Returns: `nil` for anything but the whole of a file with this title.
    init?(_ title: String, parsing bytes: [UInt8]) {
        // By bytes: a mark at the start of a value makes one character with the space before it.
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
        guard bytes.last == UInt8(ascii: "\n"), lines.popFirst()?.elementsEqual(title.utf8) == true,
            let checksum = lines.popFirst(),
            checksum.elementsEqual(Self.checksum(Array(bytes.dropFirst(title.utf8.count + checksum.count + 2))).utf8)
        else { return nil }
        self.title = title
        for line in lines.dropLast() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), line[colon...].starts(with: ": ".utf8),
                let name = String(validating: line[..<colon], as: UTF8.self),
                let text = String(validating: line[(colon + 2)...], as: UTF8.self),
                let value = PercentEncoding.decode(text[...], allowsZero: true)
            else { return nil }
            self.lines.append((name, value))
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

    private static func checksum(_ body: [UInt8]) -> String {
        ContentDigest(bytes: SHA256.hash(data: body))?.hex ?? ""
    }
}

import Foundation

/// A document that says its number many times over, so that a half or a mixed one is noticed: all of it follows from
/// source, number and mark.
struct Document {
    /// Whether it may ever be served.
    enum Mark: String {
        case good, forged
        /// Breaks a rule: to be served once an operator has accepted it.
        case refused
        /// The command that has the last word over its source says no, or says nothing for too long.
        case rejected, hanging
    }

    /// What one source was seen to give.
    struct Seen {
        let source: String
        let number: Int
        let mark: Mark
    }

    let source: String
    let number: Int
    var mark = Mark.good

    static let highestLimit = 1_000

    /// Of various sizes, now and then a large one. Below a prefix of etcd the keys have to stay the same.
    static func parts(_ source: String, _ number: Int) -> Int {
        if source == "etcd" { return 12 }
        return number % 50 == 0 ? 400 : 6 + Int(hash(source, number, -1) % 30)
    }

    /// FNV-1a.
    private static func hash(_ source: String, _ number: Int, _ part: Int) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(source)/\(number)/\(part)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    private static func part(_ source: String, _ number: Int, _ index: Int) -> String {
        let hash = hash(source, number, index)
        let filler = String(repeating: Character(UnicodeScalar(97 + UInt8(hash % 26))), count: Int(hash % 60))
        return "\(number)-\(String(hash, radix: 16))-\(filler)"
    }

    /// Its members in the order in which they are written.
    var members: [(name: String, text: String)] {
        let parts = Self.parts(source, number)
        let head = [("n", "\(number)"), ("parts", "\(parts)"), ("mark", mark.rawValue)]
        return head + (0..<parts).map { ("p\($0)", Self.part(source, number, $0)) }
    }

    var json: [UInt8] {
        let texts = members.map { "\"\($0.name)\":\"\($0.text)\"" }.joined(separator: ",")
        let limit = mark == .refused ? Self.highestLimit * 5 : 10
        return Array("{\"\(source)\":{\(texts),\"limit\":\(limit)}}".utf8)
    }

    /// One half of it is of another number: what a negative control lets loose.
    var mixed: [UInt8] {
        let other = Self.part(source, number - 1, 2)
        let texts = members.map { "\"\($0.name)\":\"\($0.name == "p2" ? other : $0.text)\"" }
        return Array("{\"\(source)\":{\(texts.joined(separator: ",")),\"limit\":10}}".utf8)
    }

    struct Torn: Error, CustomStringConvertible {
        let description: String
    }

    /// What a document is, when it is whole.
    static func read(_ value: [String: Any], of source: String) throws(Torn) -> Seen {
        guard let number = (value["n"] as? String).flatMap({ Int($0) }),
            let mark = (value["mark"] as? String).flatMap({ Mark(rawValue: $0) })
        else { throw Torn(description: "\(source): no number or mark among \(value.count) members") }
        let parts = parts(source, number)
        let others = source == "etcd" ? 3 : 4
        guard value["parts"] as? String == "\(parts)", value.count == parts + others else {
            throw Torn(description: "\(source) \(number): \(value.count) members, not \(parts + others)")
        }
        for index in 0..<parts where value["p\(index)"] as? String != part(source, number, index) {
            throw Torn(description: "\(source) \(number): part \(index) is \(value["p\(index)"] ?? "not there")")
        }
        return Seen(source: source, number: number, mark: mark)
    }
}

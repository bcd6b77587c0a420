import Testing

@testable import ConfigSnapshot

@Suite("Dotted keys")
struct DottedKeyTests {
    static let written: [([String], String)] = [
        (["a"], "a"),
        (["a", "b", "c"], "a.b.c"),
        ([""], #""""#),
        (["a", "", "b"], #"a."".b"#),
        (["a.b"], #""a.b""#),
        (["a.b", "c"], #""a.b".c"#),
        (["a\"b"], #""a\"b""#),
        (["a\\b"], #""a\\b""#),
        (["\n"], #""\u000a""#),
        (["\u{7F}"], #""\u007f""#),
        (["\u{0}x"], #""\u0000x""#),
        (["é", "😀"], "é.😀"),
        (["a b", "c-d", "e/f"], "a b.c-d.e/f"),
        (["\u{80}"], "\u{80}"),
    ]

    @Test(arguments: written)
    func areWritten(_ names: [String], _ key: String) {
        #expect(DottedKey.join(names) == key)
        #expect(DottedKey.split(key.utf8) == names)
    }

    static let malformed = [
        "", ".", "a.", ".a", "a..b", "\"", "\"a", "a\"", "a\"b", "\"a\"b", "\"a\\\"", #""a\n""#, #""\u00""#,
        #""\u000g""#,
        #""\u+00a""#, #""\u0080""#, #""\u0041""#, #""\u1234""#, "a\\b", "\"a\".", #""a"."#, #""a""b""#,
    ]

    @Test(arguments: malformed)
    func areRefused(_ key: String) { #expect(DottedKey.split(key.utf8) == nil) }

    @Test func upperCaseDigits() { #expect(DottedKey.split(#""\u000A""#.utf8) == ["\n"]) }

    @Test(arguments: 0..<20)
    func roundTrip(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var seen: [[UInt8]: [String]] = [:]
        for _ in 0..<500 {
            let names = (0..<Int.random(in: 1...4, using: &random)).map { _ in randomName(using: &random) }
            let key = DottedKey.join(names)
            let parts = DottedKey.split(key.utf8)
            #expect(parts?.map { Array($0.utf8) } == names.map { Array($0.utf8) }, "\(key)")
            // No two paths are written alike.
            let other = seen.updateValue(names, forKey: Array(key.utf8))
            if let other { #expect(other == names) }
        }
    }

    @Test(arguments: 0..<20)
    func orderKeepsSubtreesTogether(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var paths: [[String]] = []
        for _ in 0..<150 {
            let names = (0..<Int.random(in: 1...4, using: &random)).map { _ in randomName(using: &random) }
            paths.append(names)
        }
        let keys = Set(paths.map { Array(DottedKey.join($0).utf8) }).sorted { compare($0, $1) < 0 }
        for (position, key) in keys.enumerated() {
            #expect(compare(key, key) == 0)
            for (other, right) in keys.enumerated() where other != position {
                #expect((compare(key, right) < 0) == (position < other))
            }
            let names = DottedKey.split(key) ?? []
            let below = keys.indices.filter { index in
                let candidate = DottedKey.split(keys[index]) ?? []
                return candidate.count > names.count && Array(candidate.prefix(names.count)) == names
            }
            #expect(below == Array((position + 1)..<(position + 1 + below.count)), "what is below a key follows it")
            for index in keys.indices {
                let isBelow = keys[index].withUnsafeBytes { l in key.withUnsafeBytes { DottedKey.isBelow(l, $0) } }
                #expect(isBelow == below.contains(index))
            }
        }
    }

    @Test func order() {
        let sorted = ["a", "a.b", "a.b.c", "a.c", "a b", "a-", "a-b", "a/", "aa", "b"]
        #expect(sorted.shuffled().sorted { compare(Array($0.utf8), Array($1.utf8)) < 0 } == sorted)
    }

    /// The order as it is described, a byte at a time.
    private static func plainOrder(_ left: [UInt8], _ right: [UInt8]) -> Int {
        func rank(_ byte: UInt8) -> Int { byte == UInt8(ascii: ".") ? -1 : Int(byte) }
        for (l, r) in zip(left, right) where l != r { return rank(l) - rank(r) }
        return left.count - right.count
    }

    @Test("However much two keys have in common, wherever they lie in memory", arguments: 0..<20)
    func orderOfLongKeys(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let names = (0..<Int.random(in: 0...12, using: &random)).map { _ in randomName(using: &random) }
            let shared = Array(DottedKey.join(names).utf8)
            let keys = (0..<2).map { _ in shared + Array(randomName(using: &random).utf8) }
            let expected = Self.plainOrder(keys[0], keys[1])
            #expect(compare(keys[0], keys[1]) == expected)
            #expect(compare(keys[1], keys[0]) == -expected)
            let offset = Int.random(in: 1...7, using: &random)
            let moved = [UInt8](repeating: 0, count: offset) + keys[0]
            let order = moved.withUnsafeBytes { l in
                keys[1].withUnsafeBytes { r in DottedKey.compare(.init(rebasing: l[offset...]), r) }
            }
            #expect(order == expected)
        }
    }
}

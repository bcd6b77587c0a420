import ConfigDecode
import ConfigSnapshot
import Testing

@testable import ConfigPublish

@Suite("What changed, and when")
struct HistoryTests {
    private func changed(_ old: String, _ new: String) throws -> ChangedKeys? {
        ChangedKeys(from: try table(old), to: try table(new))
    }

    private func texts(_ keys: [[UInt8]]?) -> [String]? { keys?.map { String(decoding: $0, as: UTF8.self) } }

    @Test func changedKeys() throws {
        let old = #"{"a":1,"b":{"c":2,"d":[1]},"e":{},"same":"x"}"#
        let new = #"{"a":1.0,"b":{"d":[1],"f":2},"e":{"g":1},"same":"x"}"#
        let keys = try #require(try changed(old, new))
        #expect(texts(keys.keys(atOrBelow: [])) == ["a", "b.c", "b.f", "e", "e.g"])
        #expect(texts(keys.keys(atOrBelow: Array("b".utf8))) == ["b.c", "b.f"])
        #expect(texts(keys.keys(atOrBelow: Array("b.c".utf8))) == ["b.c"])
        #expect(texts(keys.keys(atOrBelow: Array("b.".utf8))) == [])
        #expect(try changed(old, old)?.count == 0)
        #expect(texts(try changed("{}", #"{"k":null}"#)?.keys(atOrBelow: [])) == ["k"])
    }

    @Test("Two ways to write one letter are two keys")
    func unicodeForms() throws {
        let keys = try #require(try changed(#"{"\u00e9":1}"#, #"{"e\u0301":1}"#))
        #expect(keys.keys(atOrBelow: []).count == 2)
    }

    @Test func tooMany() throws {
        let many = (0..<ChangedKeys.most).map { "\"k\($0)\":1" }.joined(separator: ",")
        #expect(try changed("{}", "{\(many)}")?.count == ChangedKeys.most)
        #expect(try changed("{}", "{\(many),\"x\":1}") == nil)
    }

    private func note(_ history: History, _ generation: UInt64, _ old: String, _ new: String) throws {
        history.note(History.Change(generation: generation, keys: try changed(old, new)))
    }

    @Test func joined() throws {
        let history = History()
        history.note(History.Change(generation: 10, keys: nil))
        try note(history, 11, "{}", #"{"a":1}"#)
        try note(history, 12, #"{"a":1}"#, #"{"a":1,"b":1}"#)
        try note(history, 13, #"{"a":1,"b":1}"#, #"{"a":2}"#)
        #expect(texts(history.changes(after: 12, through: 13, atOrBelow: [])) == ["a", "b"])
        #expect(texts(history.changes(after: 11, through: 12, atOrBelow: [])) == ["b"])
        #expect(texts(history.changes(after: 10, through: 13, atOrBelow: Array("b".utf8))) == ["b"])
        #expect(history.changes(after: 13, through: 13, atOrBelow: []) == [])
        #expect(history.changes(after: 9, through: 13, atOrBelow: []) == nil)
        #expect(history.changes(after: 13, through: 14, atOrBelow: []) == nil)
        #expect(history.changes(after: 14, through: 13, atOrBelow: []) == nil)
    }

    @Test func bounds() throws {
        let history = History()
        let last = UInt64(History.longest + 10)
        for generation in 1...last { try note(history, generation, "{}", "{\"k\(generation)\":1}") }
        #expect(history.changes(after: 11, through: last, atOrBelow: [])?.count == History.longest - 1)
        #expect(history.changes(after: 10, through: last, atOrBelow: []) == nil)
        // Long keys: bounded by their bytes.
        let long = String(repeating: "x", count: 4_000)
        let longest = UInt64(History.largest / 4_000)
        let newest = last + longest + 50
        for generation in (last + 1)...newest { try note(history, generation, "{}", "{\"\(long)\(generation)\":1}") }
        #expect(history.changes(after: newest - longest / 2, through: newest, atOrBelow: [])?.count == Int(longest / 2))
        #expect(history.changes(after: newest - longest - 1, through: newest, atOrBelow: []) == nil)
    }

    @Test("After a change too large to list, what came before it is of no use")
    func hole() throws {
        let history = History()
        try note(history, 1, "{}", #"{"a":1}"#)
        history.note(History.Change(generation: 2, keys: nil))
        try note(history, 3, #"{"a":1}"#, #"{"a":2}"#)
        #expect(history.changes(after: 1, through: 3, atOrBelow: []) == nil)
        #expect(texts(history.changes(after: 2, through: 3, atOrBelow: [])) == ["a"])
    }
}

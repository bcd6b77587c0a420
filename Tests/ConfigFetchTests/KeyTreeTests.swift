import ConfigSnapshot
import Testing

@testable import ConfigFetch

@Suite("Keys as a tree")
struct KeyTreeTests {
    private func json(_ pairs: [(String, [UInt8])]) throws -> String {
        var tree = KeyTree<[UInt8]>()
        for (path, value) in pairs { try tree.insert(path.utf8, value) }
        return String(decoding: try tree.json { $0 }, as: UTF8.self)
    }

    @Test func nested() throws {
        #expect(try json([]) == "{}")
        #expect(try json([("b", [0x31]), ("a/y", [0x32]), ("a/x", [])]) == #"{"a":{"x":"","y":"2"},"b":"1"}"#)
        #expect(try json([("//a//b", [0x31])]) == #"{"a":{"b":"1"}}"#)
        #expect(try json([("dir/", []), ("", [])]) == "{}")
    }

    @Test func escaping() throws {
        let text = "\"\\\n\t\u{1f}\u{7f}é€😀/"
        let expected = #"{"k\"":"\"\\\u000a\u0009\u001f"# + "\u{7f}é€😀/" + #""}"#
        #expect(try json([("k\"", Array(text.utf8))]) == expected)
    }

    @Test(arguments: [[("a", "1"), ("a/b", "2")], [("a/b", "2"), ("a", "1")], [("a", "1"), ("a", "2")]])
    func conflicts(pairs: [(String, String)]) {
        let error = #expect(throws: StageFailure.self) { try json(pairs.map { ($0, Array($1.utf8)) }) }
        #expect(error?.code == "key_conflict")
    }

    @Test("A key of very many parts is refused before anything descends into it")
    func depth() throws {
        let deep = Array(repeating: "a", count: 700_000).joined(separator: "/")
        let error = #expect(throws: StageFailure.self) { try json([(deep, [])]) }
        #expect(error?.code == "too_deep")
        #expect((error?.message.count ?? 0) < 300)
        #expect(try json([(Array(repeating: "a", count: 512).joined(separator: "/"), [])]).hasSuffix("}"))
    }

    @Test func binary() {
        let error = #expect(throws: StageFailure.self) { try json([("a", [0xFF])]) }
        #expect(error?.code == "not_text")
        #expect(error?.message == "the value of key 'a' is not UTF-8")
    }

    @Test(arguments: [
        ("etcd://h:2379/app/", "https://h:2379", "/app/", true), ("etcd+http://h/a%20b", "http://h", "/a b", false),
        ("consul+https://h:8500", "https://h:8500", "", true),
        ("nacos+http://[::1]:1/g/d?x=1", "http://[::1]:1", "/g/d", false),
    ])
    func urls(text: String, endpoint: String, path: String, isPrefix: Bool) {
        let url = KeyURL(text)
        #expect(url.endpoint == endpoint)
        #expect(url.path == path)
        #expect(url.isPrefix == isPrefix)
    }

    @Test func query() {
        #expect(KeyURL("etcd://h/?key=a%2Fb&empty=&flag#x").query == ["key": "a/b", "empty": "", "flag": ""])
    }

    @Test(arguments: [("", ""), ("aZ09-._~", "aZ09-._~"), ("a b/é=+", "a%20b%2F%C3%A9%3D%2B")])
    func percentEncoding(text: String, encoded: String) {
        #expect(PercentEncoding.encode(text) == encoded)
        #expect(PercentEncoding.decode(encoded[...], allowsZero: false) == text)
    }
}

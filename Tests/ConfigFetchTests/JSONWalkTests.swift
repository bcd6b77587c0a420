import ConfigSnapshot
import Testing

@testable import ConfigFetch

@Suite("An API's JSON, gone through once")
struct JSONWalkTests {
    /// The names and values of an array of objects with members `n` and `v`.
    private func pairs(_ text: String) throws -> [String] {
        var walk = JSONWalk(Array(text.utf8))
        var found: [String] = []
        try walk.elements { walk throws(StageFailure) in
            var pair = ["?", "?"]
            try walk.members { walk, name throws(StageFailure) in
                switch String(decoding: name, as: UTF8.self) {
                case "n": pair[0] = String(decoding: try walk.text() ?? Array("null".utf8), as: UTF8.self)
                case "v": pair[1] = String(decoding: try walk.text() ?? Array("null".utf8), as: UTF8.self)
                default: try walk.skip()
                }
            }
            found.append(pair.joined(separator: "="))
        }
        try walk.end()
        return found
    }

    @Test(arguments: [
        ("[]", []), (" null ", []), ("[ { } ]", ["?=?"]),
        (#"[{"n":"a","v":"b"},{"v":null,"n":"c"}]"#, ["a=b", "c=null"]),
        (#"[{"x":[1,{"n":"no"},[[]],"],}"],"n":"a","y":{"v":"no","z":{}},"v":"b","w":-1.5e9,"u":true}]"#, ["a=b"]),
        (#"[{"n":"\u003c\"\\\/\n\t\r\b\f","v":"\ud83d\ude00é"}]"#, ["<\"\\/\n\t\r\u{8}\u{c}=😀é"]),
    ])
    func understood(_ text: String, _ expected: [String]) throws { #expect(try pairs(text) == expected) }

    @Test(arguments: [
        "", "[", "[1,1,1]", "{}", #"[{"n":"a"}"#, #"[{"n":"a}]"#, #"[{"n" "a"}]"#, #"[{"n":"a"}] x"#, #"[{"n":1}]"#,
        #"[{"n":"\ud800"}]"#, #"[{"n":"\ud800\u0041"}]"#, #"[{"n":"\uzzzz"}]"#, #"[{"n":"\u00"}]"#, #"[{"n":"a\"#,
        #"[{"x":}]"#, #"[{"x":,}]"#, "[{\"x\":" + String(repeating: "[", count: 100_000),
        "[{\"x\":" + String(repeating: "{\"a\":", count: 100_000),
    ])
    func refused(_ text: String) {
        let error = #expect(throws: StageFailure.self) { try pairs(text) }
        #expect(error?.code == "bad_response")
    }

    @Test("Cut off anywhere, it is refused")
    func cutOff() {
        let whole = Array(#"[{"x":[1,{"a":"b"}],"n":"\u0041","v":"w"}]"#.utf8)
        for length in 0..<whole.count {
            let text = String(decoding: whole[..<length], as: UTF8.self)
            #expect(throws: StageFailure.self, "\(text)") { try pairs(text) }
        }
    }
}

import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("JSON that is read")
struct JSONAcceptTests {
    static let rows: [Accepted] = [
        Accepted("{}"),
        Accepted(" \t\r\n{ \t\r\n} \t\r\n"),
        Accepted(#"{"a":1}"#, "a=1"),
        Accepted(#"{ "a" : 1 , "b" : 2 }"#, "a=1", "b=2"),
        Accepted("{\n\"a\"\n:\n1\n}\n", "a=1"),
        Accepted(#"{"a":null,"b":true,"c":false}"#, "a=null", "b=true", "c=false"),
        Accepted(#"{"a":{"b":{"c":1}}}"#, "a.b.c=1"),
        Accepted(#"{"b":1,"a":2}"#, "a=2", "b=1"),
        Accepted(#"{"a":{},"b":{"c":{}}}"#, "a={}", "b.c={}"),
        Accepted(#"{"a":[]}"#, "a=[]"),
        Accepted(#"{"a":[1, 2 ,[ 3 ],{}]}"#, "a=[1,2,[3],{}]"),
        Accepted(#"{"a":[{"b":1,"c":[{}]},{"b":2}]}"#, #"a=[{"b":1,"c":[{}]},{"b":2}]"#),
        Accepted(#"{"a":[[],[[]],{"b":{}},""]}"#, #"a=[[],[[]],{"b":{}},""]"#),
        Accepted(#"{"a":["x[","y{","z:"]}"#, #"a=["x[","y{","z:"]"#),
        Accepted(#"{"a":[null,true,false]}"#, "a=[null,true,false]"),
        Accepted(#"{"a":{"x":[1]},"b":[2],"c":3}"#, "a.x=[1]", "b=[2]", "c=3"),
        // Numbers stay as they were written.
        Accepted(#"{"a":0}"#, "a=0"),
        Accepted(#"{"a":-0}"#, "a=-0"),
        Accepted(#"{"a":-1}"#, "a=-1"),
        Accepted(#"{"a":1.0}"#, "a=1.0"),
        Accepted(#"{"a":1.50}"#, "a=1.50"),
        Accepted(#"{"a":0.1}"#, "a=0.1"),
        Accepted(#"{"a":1e5}"#, "a=1e5"),
        Accepted(#"{"a":1E5}"#, "a=1E5"),
        Accepted(#"{"a":1e+05}"#, "a=1e+05"),
        Accepted(#"{"a":-0.5E-10}"#, "a=-0.5E-10"),
        Accepted(#"{"a":123456789012345678901234567890}"#, "a=123456789012345678901234567890"),
        Accepted(#"{"a":0.1000000000000000055511151231257827}"#, "a=0.1000000000000000055511151231257827"),
        Accepted(#"{"a":1e400}"#, "a=1e400"),
        // Strings are unescaped and escaped again in one way.
        Accepted(#"{"a":""}"#, #"a="""#),
        Accepted(#"{"a":"x y"}"#, #"a="x y""#),
        Accepted(#"{"a":"\"\\\/\b\f\n\r\t"}"#, #"a="\"\\/\b\f\n\r\t""#),
        Accepted(#"{"a":"\u0041\u00e9\u00E9"}"#, #"a="Aéé""#),
        Accepted(#"{"a":"\u0000\u001f\u007f"}"#, "a=\"\\u0000\\u001f\u{7F}\""),
        Accepted(#"{"a":"\ud83d\ude00"}"#, #"a="😀""#),
        Accepted(#"{"a":"\uD800\uDC00\uDBFF\uDFFF"}"#, "a=\"\u{10000}\u{10FFFF}\""),
        Accepted(#"{"a":"\uFEFF\uFFFF"}"#, "a=\"\u{FEFF}\u{FFFF}\""),
        Accepted("{\"a\":\"é€😀\u{7F}\u{FEFF}\"}", "a=\"é€😀\u{7F}\u{FEFF}\""),
        Accepted("{\"a\":\"\u{2028}\u{2029}\"}", "a=\"\u{2028}\u{2029}\""),
        Accepted(#"{"a":"pre\u0041mid\nend"}"#, #"a="preAmid\nend""#),
        Accepted(#"{"a":"// no comment /* */ #"}"#, #"a="// no comment /* */ #""#),
        // Names.
        Accepted(#"{"":1}"#, #"""=1"#),
        Accepted(#"{"a.b":1,"a":{"b":2}}"#, #""a.b"=1"#, "a.b=2"),
        Accepted(#"{"a\"b":1}"#, #""a\"b"=1"#),
        Accepted(#"{"a\\b":1}"#, #""a\\b"=1"#),
        Accepted(#"{"a\nb":1}"#, #""a\u000ab"=1"#),
        Accepted(#"{"\u0061":1}"#, "a=1"),
        Accepted(#"{"a b":{"é":1}}"#, "a b.é=1"),
        // The same letter in two Unicode forms is two names, and so is the same name in two objects.
        Accepted("{\"\u{E9}\":1,\"e\u{301}\":2}", "e\u{301}=2", "\u{E9}=1"),
        Accepted(#"{"a":{"x":1},"b":{"x":2},"x":3}"#, "a.x=1", "b.x=2", "x=3"),
        Accepted(#"{"a":[{"x":1},{"x":1}]}"#, #"a=[{"x":1},{"x":1}]"#),
        Accepted(#"{"x":{"x":{"x":1}}}"#, "x.x.x=1"),
        Accepted(#"{"a":{"b":1},"a-":2,"a.":3}"#, #""a."=3"#, "a.b=1", "a-=2"),
    ]

    @Test(arguments: rows)
    func isRead(_ row: Accepted) throws {
        #expect(try leaves(Array(row.text.utf8), .json) == row.expected)
    }

    @Test func nestedObjectsComeBack() throws {
        // In key order, where a quoted name comes first.
        let text = #"{"a":{"b":{"e.f":"x","c":[1,{"d":2}]},"g":{}},"h":null}"#
        let decoder = DocumentDecoder(format: .json, urlPath: "/")
        let decoded = try decoder.decode(verified(Array(text.utf8)), now: { 99 })
        #expect(decoded.trace[.decoded] == 99)
        #expect(decoded.format == .json)
        let revision = SourceRevision(
            source: decoded.source,
            digest: decoded.digest,
            validators: .none,
            fetchedAt: 0,
            traceID: "t"
        )
        let snapshot = Snapshot(
            generation: 1,
            merged: LayerMerge([decoded.table]),
            digest: decoded.digest,
            publishedAt: 0,
            sources: [revision]
        )
        func json(_ key: String) -> String? { snapshot.value(at: key).map { String(decoding: $0.json, as: UTF8.self) } }
        #expect(json("") == text)
        #expect(json("a.b") == #"{"e.f":"x","c":[1,{"d":2}]}"#)
        #expect(json("a.g") == "{}")
        #expect(json("a.b.c") == #"[1,{"d":2}]"#)
        #expect(json(#"a.b."e.f""#) == #""x""#)
        #expect(json("h") == "null")
        #expect(json("a.x") == nil)
        // Half a quoted name is no key, whatever it is the beginning of.
        #expect(json(#"a.b."e"#) == nil)
    }

    @Test func manyKeys() throws {
        let count = 200_000
        let members = (0..<count).map { "\"k\($0)\":\($0)" }
        let text = "{" + members.joined(separator: ",") + "}"
        let decoder = DocumentDecoder(format: .json, urlPath: "/")
        let table = try decoder.decode(verified(Array(text.utf8)), now: { 1 }).table
        #expect(table.count == count)
        #expect(Set(lines(table)).count == count)
        #expect(lines(table).contains("k199999=199999"))
        // One of them twice is found among all of them.
        let error = try #require(try refusal(Array((text.dropLast() + ",\"k77777\":0}").utf8), .json))
        #expect(error.code == .duplicateKey)
        #expect(error.message.contains("'k77777'"))
    }
}

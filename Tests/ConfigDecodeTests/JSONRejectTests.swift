import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("JSON that is refused")
struct JSONRejectTests {
    static let structure: [Refused] = [
        Refused("", .empty, 0, 0),
        Refused(" \n\t\r ", .empty, 0, 0),
        Refused("{", .syntax, 1, 2, "cut short"),
        Refused("{\"a\":1", .syntax, 1, 7, "line 1, column 1"),
        Refused("{\"a\":1,", .syntax, 1, 8, "cut short"),
        Refused("{\"a\":[1,\n2", .syntax, 2, 2, "array of line 1, column 6"),
        Refused("{\"a\":", .syntax, 1, 6, "ends where a value"),
        Refused("{\"a\"", .syntax, 1, 5, "ends where ':'"),
        Refused("{\"a", .syntax, 1, 2, "inside a string"),
        Refused("{\"a\":1,}", .syntax, 1, 7, "a trailing comma before '}'"),
        Refused("{\"a\":[1,\n]}", .syntax, 1, 8, "a trailing comma before ']'"),
        Refused("{,}", .syntax, 1, 2, "name"),
        Refused("{\"a\":[,1]}", .syntax, 1, 7, "a value"),
        Refused("{\"a\":[1,,2]}", .syntax, 1, 9, "a value"),
        Refused("{\"a\":1,,\"b\":2}", .syntax, 1, 8, "name"),
        Refused("{\"a\" 1}", .syntax, 1, 6, "':'"),
        Refused("{\"a\"::1}", .syntax, 1, 6, "a value"),
        Refused("{\"a\":}", .syntax, 1, 6, "a value"),
        Refused("{\"a\":1 \"b\":2}", .syntax, 1, 8, "',' or '}'"),
        Refused("{\"a\":[1 2]}", .syntax, 1, 9, "',' or ']'"),
        Refused("{\"a\":[1}", .syntax, 1, 8, "',' or ']'"),
        Refused("{\"a\":1]", .syntax, 1, 7, "',' or '}'"),
        Refused("{}}", .syntax, 1, 3, "nothing more"),
        Refused("{} {}", .syntax, 1, 4, "nothing more"),
        Refused("{}\n\nx", .syntax, 3, 1, "nothing more"),
        Refused("{}\u{0}", .syntax, 1, 3),
        Refused("{a:1}", .syntax, 1, 2, "double quotes"),
        Refused("{'a':1}", .syntax, 1, 2, "single quote"),
        Refused("{\"a\":'b'}", .syntax, 1, 6, "single quote"),
        Refused("{1:2}", .syntax, 1, 2, "double quotes"),
        Refused("{null:1}", .syntax, 1, 2),
        Refused("{\"a\"=1}", .syntax, 1, 5),
        Refused("// x\n{}", .syntax, 1, 1, "a comment: JSON has none"),
        Refused("{ /* x */ }", .syntax, 1, 3, "a comment: JSON has none"),
        Refused("{\"a\":1, // x\n\"b\":2}", .syntax, 1, 9, "a comment: JSON has none"),
        Refused("{\"a\": # x\n1}", .syntax, 1, 7, "a comment: JSON has none"),
        Refused("{} // x", .syntax, 1, 4, "a comment: JSON has none"),
        Refused("}", .syntax, 1, 1, "a value"),
        Refused("{\u{B}}", .syntax, 1, 2),
        Refused("{\u{A0}}", .syntax, 1, 2, "expected"),
        Refused("{“a”:1}", .syntax, 1, 2, "'“'"),
        Refused("[", .syntax, 1, 2),
        Refused("[]", .notAnObject, 1, 1, "an array"),
        Refused(" 1", .notAnObject, 1, 2, "a number"),
        Refused("\"a\"", .notAnObject, 1, 1, "a string"),
        Refused("null", .notAnObject, 1, 1, "null"),
        Refused("true", .notAnObject, 1, 1),
        Refused("<!DOCTYPE html><html></html>", .syntax, 1, 1, "looks like HTML, not JSON"),
        Refused("\n <html>", .syntax, 2, 2, "looks like HTML, not JSON"),
        Refused("<?xml version=\"1.0\"?>", .syntax, 1, 1, "looks like HTML, not JSON"),
    ]

    static let values: [Refused] = [
        Refused("{\"a\":01}", .syntax, 1, 7, "leading zeros"),
        Refused("{\"a\":-01}", .syntax, 1, 8, "leading zeros"),
        Refused("{\"a\":+1}", .syntax, 1, 6, "found '+'"),
        Refused("{\"a\":.5}", .syntax, 1, 6, "found '.'"),
        Refused("{\"a\":1.}", .syntax, 1, 8, "after the decimal point"),
        Refused("{\"a\":1.e5}", .syntax, 1, 8, "after the decimal point"),
        Refused("{\"a\":1e}", .syntax, 1, 8, "exponent"),
        Refused("{\"a\":1e+}", .syntax, 1, 9, "exponent"),
        Refused("{\"a\":1e5.5}", .syntax, 1, 9),
        Refused("{\"a\":-}", .syntax, 1, 7, "a digit"),
        Refused("{\"a\":--1}", .syntax, 1, 7),
        Refused("{\"a\":-Infinity}", .syntax, 1, 7),
        Refused("{\"a\":0x1F}", .syntax, 1, 7),
        Refused("{\"a\":1_000}", .syntax, 1, 7),
        Refused("{\"a\":1 000}", .syntax, 1, 8),
        Refused("{\"a\":1f}", .syntax, 1, 7),
        Refused("{\"a\":\u{FF11}}", .syntax, 1, 6),
        Refused("{\"a\":NaN}", .syntax, 1, 6, "'NaN'"),
        Refused("{\"a\":Infinity}", .syntax, 1, 6, "'Infinity'"),
        Refused("{\"a\":True}", .syntax, 1, 6, "'True'"),
        Refused("{\"a\":nul}", .syntax, 1, 6, "'nul'"),
        Refused("{\"a\":nulll}", .syntax, 1, 6, "'nulll'"),
        Refused("{\"a\":true1}", .syntax, 1, 6),
        Refused("{\"a\":undefined}", .syntax, 1, 6, "'undefined'"),
        Refused("{\"a\":b}", .syntax, 1, 6, "'b'"),
        Refused("{\"a\":\"b}", .syntax, 1, 6, "inside a string"),
        Refused("{\"a\":\"b\nc\"}", .syntax, 1, 8, "line break"),
        Refused("{\"a\":\"b\tc\"}", .syntax, 1, 8, "a tab"),
        Refused("{\"a\":\"\u{0}\"}", .syntax, 1, 7, "\\u0000"),
        Refused("{\"a\":\"\u{1F}\"}", .syntax, 1, 7, "\\u001f"),
        Refused("{\"a\":\"\\", .syntax, 1, 8),
        Refused("{\"a\":\"\\x41\"}", .syntax, 1, 7, "unknown escape"),
        Refused("{\"a\":\"\\'\"}", .syntax, 1, 7, "unknown escape"),
        Refused("{\"a\":\"\\\n\"}", .syntax, 1, 7, "unknown escape"),
        Refused("{\"a\":\"\\U0041\"}", .syntax, 1, 7, "unknown escape"),
        Refused("{\"a\":\"\\u004\"}", .syntax, 1, 7, "four"),
        Refused("{\"a\":\"\\u00g0\"}", .syntax, 1, 7, "four"),
        Refused("{\"a\":\"\\u+041\"}", .syntax, 1, 7, "four"),
        Refused("{\"a\":\"\\u{41}\"}", .syntax, 1, 7, "four"),
        Refused("{\"a\":\"\\ud800\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"a\":\"\\udc00\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"a\":\"\\udc00\\ud800\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"a\":\"\\ud800\\ud800\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"a\":\"\\ud800x\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"a\":\"\\ud800\\n\"}", .syntax, 1, 7, "surrogate"),
        Refused("{\"é\":\"€\\q\"}", .syntax, 1, 8, "unknown escape"),
        Refused("{\"\\ud800\":1}", .syntax, 1, 3, "surrogate"),
    ]

    static let encodings: [Refused] = [
        Refused(bytes: [0xEF, 0xBB, 0xBF, 0x7B, 0x7D], .syntax, 1, 1, "byte order mark"),
        Refused(bytes: [0xFE, 0xFF, 0, 0x7B, 0, 0x7D], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0xFF, 0xFE, 0x7B, 0, 0x7D, 0], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0, 0x7B, 0, 0x7D], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0x7B, 0, 0x7D, 0], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0, 0, 0xFE, 0xFF, 0, 0, 0, 0x7B], .notUTF8, 1, 1, "UTF-32"),
    ]

    /// Each of these bytes stands inside `{"é":"…"}` after the first quote of the value.
    static let malformed: [[UInt8]] = [
        [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
        [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x80, 0x80, 0x80],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xF0, 0x9F, 0x98], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE],
        [0xFF], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xEF, 0xBF],
    ]

    @Test(arguments: structure + values + encodings)
    func isRefused(_ row: Refused) throws { try row.check(.json) }

    @Test(arguments: malformed)
    func isNotUTF8(_ bytes: [UInt8]) throws {
        let inString = Array("{\n\"é\":\"".utf8) + bytes + Array("\"}".utf8)
        try Refused(bytes: inString, .notUTF8, 2, 6, "not UTF-8").check(.json)
        let inName = Array("{\"".utf8) + bytes + Array("\":1}".utf8)
        try Refused(bytes: inName, .notUTF8, 1, 3, "not UTF-8").check(.json)
        let afterEscape = Array("{\"a\":\"\\n".utf8) + bytes + Array("\"}".utf8)
        try Refused(bytes: afterEscape, .notUTF8, 1, 9, "not UTF-8").check(.json)
        let outside = Array("{".utf8) + bytes + Array("}".utf8)
        try Refused(bytes: outside, .notUTF8, 1, 2, "not UTF-8").check(.json)
        let after = Array("{}".utf8) + bytes
        try Refused(bytes: after, .notUTF8, 1, 3, "not UTF-8").check(.json)
    }

    static let duplicates: [Refused] = [
        Refused(#"{"a":1,"a":2}"#, .duplicateKey, 1, 8, "'a'"),
        Refused("{\"a\":1,\n \"a\":1}", .duplicateKey, 2, 2, "'a'"),
        Refused(#"{"a":1,"\u0061":2}"#, .duplicateKey, 1, 8, "'a'"),
        Refused(#"{"\u00e9":1,"é":2}"#, .duplicateKey, 1, 13, "'é'"),
        Refused(#"{"\/":1,"/":2}"#, .duplicateKey, 1, 9, "'/'"),
        Refused(#"{"😀":1,"\ud83d\ude00":2}"#, .duplicateKey, 1, 8, "'😀'"),
        Refused(#"{"":1,"":2}"#, .duplicateKey, 1, 7, "''"),
        Refused(#"{"x":{"a":1,"b":2,"a":3}}"#, .duplicateKey, 1, 19, "'a'"),
        Refused(#"{"a":{"x":1},"a":{"y":2}}"#, .duplicateKey, 1, 14, "'a'"),
        Refused(#"{"a":{},"a":{}}"#, .duplicateKey, 1, 9, "'a'"),
        Refused(#"{"a":{"b":1},"c":2,"a":3}"#, .duplicateKey, 1, 20, "'a'"),
        Refused(#"{"l":[{"a":1,"a":2}]}"#, .duplicateKey, 1, 14, "'a'"),
        Refused(#"{"l":[[{"b":{"a":1,"c":{"a":1},"a":2}}]]}"#, .duplicateKey, 1, 32, "'a'"),
        Refused(#"{"a.b":1,"a.b":2}"#, .duplicateKey, 1, 10, "'a.b'"),
        Refused("{\"\u{7}\":1,\"\\u0007\":2}", .syntax, 1, 3),
        Refused(#"{"\u0007":1,"\u0007":2}"#, .duplicateKey, 1, 13, "'\\u{07}'"),
    ]

    @Test(arguments: duplicates)
    func duplicate(_ row: Refused) throws { try row.check(.json) }

    @Test func depth() throws {
        func arrays(_ count: Int) -> [UInt8] {
            let open = String(repeating: "[", count: count - 1)
            return Array(("{\"a\":" + open + String(repeating: "]", count: count - 1) + "}").utf8)
        }
        func objects(_ count: Int) -> [UInt8] {
            let open = String(repeating: "{\"a\":", count: count)
            return Array((open + "1" + String(repeating: "}", count: count)).utf8)
        }
        #expect(try refusal(arrays(64), .json) == nil)
        #expect(try refusal(objects(64), .json) == nil)
        let error = try #require(try refusal(arrays(65), .json))
        #expect(error.code == .tooDeep)
        #expect(error.position == Position(line: 1, column: 69))
        #expect(try refusal(objects(65), .json)?.code == .tooDeep)
        #expect(try refusal(objects(3), .json, limits: .init(maxDepth: 2))?.code == .tooDeep)
        let unclosed = [UInt8](repeating: UInt8(ascii: "["), count: 5_000_000)
        #expect(try refusal(unclosed, .json)?.code == .tooDeep)
    }
}

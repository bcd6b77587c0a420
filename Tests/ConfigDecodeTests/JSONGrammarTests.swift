import ConfigSnapshot
import Testing

@testable import ConfigDecode

/// What RFC 8259 lets be, and what it does not: the grammar alone, for any value at the root. That names stand once, and
/// that a document is an object, are rules of our own.
@Suite("The grammar of JSON")
struct JSONGrammarTests {
    /// A text, by its bytes.
    struct Row: Sendable, CustomTestStringConvertible {
        var bytes: [UInt8]
        init(_ text: String) { bytes = Array(text.utf8) }
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        /// Bytes inside a string.
        init(inString bytes: [UInt8]) { self.bytes = [0x22] + bytes + [0x22] }
        var testDescription: String { String(decoding: bytes, as: UTF8.self).debugDescription }
    }

    // MARK: Right

    private static let structures = [
        "[]", "{}", " []", "[] ", "\t[]", "\n[]", "\r[]", "\r\n[ ]\r\n", "[1]", "[1,2]", "[ 1 , 2 ]",
        "[1,2,3,4,5,6,7,8]",
        "[[]]", "[[],[]]", "[[[[[[[[]]]]]]]]", "[{}]", "[{},{}]", "[[],{}]", #"{"a":[]}"#, #"{"a":{}}"#, #"{"a":1}"#,
        #"{ "a" : 1 }"#, "{\n\"a\"\n:\n1\n}", #"{"a":1,"b":2}"#, #"{"b":1,"a":2}"#, #"{"a":{"b":{"c":{"d":{}}}}}"#,
        #"{"a":[1,{"b":[2,{"c":[]}]}]}"#, #"[null,true,false,0,"",[],{}]"#, #"{"":0}"#, #"{" ":0}"#, #"{"a b":0}"#,
        #"{"a.b":0}"#, #"{"\"":0}"#, #"{"\\":0}"#, #"{"\u0000":0}"#, #"{"\ud83d\ude00":0}"#, #"{"é":0}"#, #"{"𝄞":0}"#,
        #"{"a":1,"A":2}"#, #"{"null":null,"true":true}"#, #"{"1":1}"#, #"{"[":"]","{":"}"}"#, #"{",":":"}"#,
        #"[",",":","[","]","{","}"]"#, "[1\n,2]", "[1,\n2]", "{\"a\"\t:\t1}", #"[""]"#, #"["",""]"#, #"[[[],[[]]],[]]"#,
    ]
    private static let literals = [
        "true", "false", "null", " true ", "\nnull\n", "[true]", "[false,null]", #"{"a":true}"#, #"{"a":false}"#,
        #"{"a":null}"#,
    ]
    private static let numbers = [
        "0", "-0", "1", "-1", "9", "10", "42", "-42", "1234567890", "0.0", "-0.0", "0.5", "-0.5", "1.5", "1.50",
        "10.01",
        "0.000001", "1e1", "1E1", "1e+1", "1e-1", "1E+1", "1E-1", "-1e1", "0e0", "0e1", "0E-1", "0e+1", "0.0e0",
        "1.0e5",
        "1.5E+10", "123.456e-7", "1e00", "1e01", "1e-00", "-1e-01", "9007199254740993", "18446744073709551616",
        "-9223372036854775809", "123456789012345678901234567890123456789", "1e400", "-1e400", "1e-400",
        "1e999999999999",
        "3.14159265358979323846264338327950288", "0.1000000000000000055511151231257827",
        "1" + String(repeating: "0", count: 500), "0." + String(repeating: "0", count: 500) + "1", " 1 ",
        "[-1,-0.1e-1]",
    ]
    private static let strings = [
        #""""#, #"" ""#, #""a""#, #""abc""#, #""\"""#, #""\\""#, #""\/""#, #""/""#, #""\b""#, #""\f""#, #""\n""#,
        #""\r""#,
        #""\t""#, #""\\\\""#, #""\\\"""#, #""a\nb""#, #""\u0000""#, #""\u0001""#, #""\u001f""#, #""\u0020""#,
        #""\u0022""#,
        #""\u005C""#, #""\u0041""#, #""\u007f""#, #""\u0080""#, #""\u00e9""#, #""\u00E9""#, #""\uabcd""#, #""\uABCD""#,
        #""\uAbCd""#, #""\u2028\u2029""#, #""\uFDD0""#, #""\uFEFF""#, #""\uFFFE""#, #""\uFFFF""#, #""\uD7FF""#,
        #""\uE000""#,
        #""\uD800\uDC00""#, #""\uDBFF\uDFFF""#, #""\ud83d\ude00""#, #""\uD83D\uDE00\uD83D\uDE01""#,
        #""x\ud83d\ude00y""#,
        #""\\u0041""#, #""\\ud800""#, "\"\u{7F}\"", "\"\u{80}\"", "\"\u{A0}\"", "\"\u{7FF}\"", "\"\u{800}\"",
        "\"\u{D7FF}\"", "\"\u{E000}\"", "\"\u{FEFF}\"", "\"\u{FFFD}\"", "\"\u{FFFF}\"", "\"\u{10000}\"",
        "\"\u{1F600}\"",
        "\"\u{10FFFF}\"", "\"\u{2028}\"", "\"e\u{301}\"", "\"\u{202E}\"", #""//""#, #""/* */""#, "\"#\"", #""'""#,
        #""`""#,
        #""null""#, #""{}""#, #""[1,2""#, #""a" "#, " \"a\"",
    ]

    // MARK: Wrong

    private static let badStructures = [
        "", " ", "\n", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "[,", "[1,,2]", "[1 2]", "[1;2]",
        "[1:2]",
        #"["a":1]"#, "[1,2", "[[]", "[[1,2]", "[]]", "[}", "{]", "[{]}", "{[}]", "[1}", #"{"a":1]"#, #"{"a"}"#,
        #"{"a":}"#,
        #"{"a":"#, #"{"a""#, #"{"a"#, #"{":1}"#, "{:1}", "{:}", "{,}", #"{"a" 1}"#, #"{"a",1}"#, #"{"a"::1}"#,
        #"{"a":1,}"#,
        #"{"a":1,"#, #"{,"a":1}"#, #"{"a":1,,"b":2}"#, #"{"a":1;"b":2}"#, #"{"a":1 "b":2}"#, #"{"a":1:2}"#, #"{"a"=1}"#,
        #"{"a"=>1}"#, "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{true:1}", "{[]:1}", "{{}:1}", "{{}}", "{1}",
        #"{"a":1}}"#,
        "[][]", "{}{}", "[],", ",[]", "[]x", "x[]", "[] 1", "1 2", "1,2", "true false", #""a" "b""#, #""a","b""#,
        "[1]]",
        "// x", "/* x */", "# x", "[1] // x", "[/* x */]", "[1 /* x */]", "// x\n[]", "[1, // x\n2]", "(1)", "<1>",
        "[1)",
        "*", "[*]", "@", "[...]", "[1...]", "a", "abc", "[a]", #"{"a":b}"#, "!", "{\"a\":1}\u{0}", "\u{0}[]", "[\u{0}]",
        "[\u{B}]", "[\u{C}]", "[\u{A0}]", "[\u{2028}]", "[\u{2029}]", "[\u{3000}]", "[\u{FEFF}]", "[\u{200B}]",
        "[\u{85}]",
        "[\\n]", "\\u005b\\u005d",
    ]
    private static let badLiterals = [
        "True", "TRUE", "tRue", "tru", "t", "truee", "true1", "False", "fals", "falsey", "nul", "n", "NULL", "Null",
        "nulll",
        "nil", "none", "None", "undefined", "NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf", "yes",
        "no",
        "on", "-true", "+null", "[true,fals]", "[nul]", "truefalse",
    ]
    private static let badNumbers = [
        "01", "00", "-01", "-00", "0123", "-0123", "1.", "-1.", "0.", ".1", "-.1", ".", "-", "--1", "+1", "+0", "+",
        "1.e1",
        "1.E+1", "1e", "1E", "1e+", "1e-", "1ee1", "1e1e1", "1e1.5", "1e1.", "1.2.3", "1..2", "0..1", "e1", "-e1",
        ".e1",
        "0x1", "0X1F", "0b1", "0o7", "1_000", "1'000", "1f", "1d", "1L", "1n", "1u", "- 1", "1 e1", "1e 1", "1 .5",
        "1. 5",
        "1.-1", "1e++1", "1e--1", "1e+-1", "-+1", "\u{FF11}", "\u{663}", "\u{BD}", "\u{221E}", "\u{2212}1", "0e", "0e+",
        "1/2", "$1", "1%", "1\u{0}", "[1.]", "[.5]", "[01]", "[1e]", "[-]", "[+1]", "[0x0]", "1+1", "1-1",
    ]
    private static let badStrings = [
        "\"", "\"a", "a\"", "\"\"\"", "\"a\"b\"", "'a'", "`a`", "\"a'", "“a”", "\"\\", "\"\\\"", "[\"a]", "[\"a\",\"]",
        #""\a""#, #""\v""#, #""\0""#, #""\1""#, #""\'""#, #""\x41""#, #""\e""#, #""\U0041""#, #""\N""#, #""\ ""#,
        #""\é""#,
        #""\u""#, #""\u1""#, #""\u12""#, #""\u123""#, #""\u12G4""#, #""\uG000""#, #""\u+123""#, #""\u-123""#,
        #""\u 123""#,
        #""\u{41}""#, #""\u００41""#, #""\uD800""#, #""\uDBFF""#, #""\uDC00""#, #""\uDFFF""#, #""\uD800x""#,
        #""\uD800\n""#,
        #""\uD800\u""#, #""\uD800\u1""#, #""\uD800\u0041""#, #""\uD800\uD800""#, #""\uDC00\uD800""#, #""\uDC00\uDC00""#,
        #""\uD800\\uDC00""#, #""\uD800\\""#, #""\uD83D\uDE00\uD83D""#, "\"\\\n\"", "\"\\\u{0}\"", "\"a\\",
    ]
    /// Unicode, table 3-7: what is no UTF-8, alone in a string.
    private static let badBytes: [[UInt8]] = [
        [0x80], [0xBF], [0x80, 0x80], [0xC0, 0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xC2], [0xC2, 0x20], [0xC2, 0xC2],
        [0xDF, 0x7F], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xE0, 0xA0], [0xE1, 0x80], [0xE1, 0x80, 0x20],
        [0xE1, 0x20],
        [0xED, 0xA0, 0x80], [0xED, 0xAF, 0xBF], [0xED, 0xB0, 0x80], [0xED, 0xBF, 0xBF],
        // CESU-8: U+10400 as two surrogates of three bytes each.
        [0xED, 0xA0, 0x81, 0xED, 0xB0, 0x80], [0xEF, 0xBF], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
        [0xF0, 0x90, 0x80], [0xF0, 0x9F, 0x98], [0xF0, 0x9F, 0x98, 0x20], [0xF4, 0x90, 0x80, 0x80],
        [0xF5, 0x80, 0x80, 0x80],
        [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFC, 0x84, 0x80, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xFE, 0xFF],
        [0x61, 0xE9],
    ]
    private static let badEncodings: [[UInt8]] = [
        [0xEF, 0xBB, 0xBF, 0x5B, 0x5D], [0xEF, 0xBB, 0xBF], [0xFF, 0xFE, 0x5B, 0x00, 0x5D, 0x00],
        [0xFE, 0xFF, 0x00, 0x5B, 0x00, 0x5D], [0x5B, 0x00, 0x5D, 0x00], [0x00, 0x5B, 0x00, 0x5D],
        [0xFF, 0xFE, 0x00, 0x00, 0x5B, 0x00, 0x00, 0x00], [0x00, 0x00, 0xFE, 0xFF, 0x00, 0x00, 0x00, 0x5B],
        [0x5B, 0x22, 0x61, 0x22, 0x5D, 0x80], [0x80, 0x5B, 0x5D], [0x5B, 0xC3, 0xA9, 0x5D],
        [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D],
    ]

    static let right = (structures + literals + numbers + strings).map { Row($0) }
    static let wrong =
        (badStructures + badLiterals + badNumbers + badStrings).map { Row($0) }
        + badBytes.map { Row(inString: $0) } + badEncodings.map { Row($0) }
        // No control character stands in a string as it is.
        + (0..<0x20).map { Row(inString: [UInt8($0)]) }

    private func error(_ parse: () throws(DecodeError) -> Void) -> DecodeError? {
        do throws(DecodeError) { try parse() } catch { return error }
        return nil
    }

    /// Read by each of the readers that there are.
    private func errors(_ bytes: [UInt8]) -> [DecodeError?] {
        [
            error { () throws(DecodeError) in
                var scan = ScanSink()
                try JSONParser.parse(bytes, maxDepth: 64, into: &scan)
            },
            error { () throws(DecodeError) in _ = try DocumentNode.parse(bytes, as: .json) },
        ]
    }

    @Test(arguments: right)
    func isRead(_ row: Row) throws {
        #expect(errors(row.bytes) == [nil, nil])
        // In a document it is read by the third one, and it comes back as the same value.
        let table = try leaves(Array(#"{"v":"#.utf8) + row.bytes + Array("}".utf8), .json)
        #expect(!table.isEmpty)
    }

    @Test(arguments: wrong)
    func isRefused(_ row: Row) {
        let errors = errors(row.bytes)
        #expect(!errors.contains(nil))
        // What is wrong is the same for whoever reads it.
        #expect(errors[0] == errors[1])
        #expect(throws: DecodeError.self) { _ = try leaves(Array(#"{"v":"#.utf8) + row.bytes + Array("}".utf8), .json) }
    }

    @Test("The table is as large as it says, and says nothing twice")
    func size() {
        #expect(Self.right.count + Self.wrong.count >= 300)
        #expect(Set((Self.right + Self.wrong).map(\.bytes)).count == Self.right.count + Self.wrong.count)
    }
}

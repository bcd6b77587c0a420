import ConfigSnapshot
import Foundation
import Testing

@testable import ConfigDecode

/// What RFC 8259 lets be, and what it does not: the grammar alone, for any value at the root. What it lets be and is
/// refused all the same stands in a list of its own, with the reasons.
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
        // As deep as it may be with the document around it.
        nested(63),
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
        #""\u{41}""#, #""\u００41""#, #""\uD800\u""#, #""\uD800\u1""#, "\"\\\n\"", "\"\\\u{0}\"", "\"a\\",
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
        [0xEF, 0xBB, 0xBF], [0xFF, 0xFE, 0x5B, 0x00, 0x5D, 0x00],
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

    // MARK: Refused all the same

    /// What the RFC lets be, or lets a reader let be, and we do not.
    struct Exception: Sendable, CustomTestStringConvertible {
        /// Who refuses it.
        enum Refuser { case everyone, whoeverReadsValues, documents }

        var row: Row
        var reason: String
        var code: DecodeError.Code
        /// Of what is said about it.
        var fragment: String
        var refuser = Refuser.everyone
        /// The document it makes; without one it stands in a document as a value.
        var document: [UInt8]?
        var limits = DocumentDecoder.Limits()

        var testDescription: String { String(row.testDescription.prefix(60)) }
    }

    static let exceptions: [Exception] =
        halves.map {
            Exception(
                row: Row($0),
                reason: """
                    Section 8.2: the grammar lets half of a surrogate pair be, and what becomes of it is \
                    unpredictable. UTF-8 cannot hold it, so whatever it became, it would be another text.
                    """,
                code: .syntax,
                fragment: "half of a surrogate pair"
            )
        }
        + twice.map {
            Exception(
                row: Row($0),
                reason: """
                    Section 4: names SHOULD be unique, and what becomes of one that is not is unpredictable. A \
                    document is to mean one thing.
                    """,
                code: .duplicateKey,
                fragment: "stands twice",
                refuser: .whoeverReadsValues
            )
        }
        + ["[]", "1", #""a""#, "null"].map {
            Exception(
                row: Row($0),
                reason: "Section 2: a text is any value. A document is made of named ones: it has to be an object.",
                code: .notAnObject,
                fragment: "not an object",
                refuser: .documents,
                document: Array($0.utf8)
            )
        }
        + [
            Exception(
                row: Row([0xEF, 0xBB, 0xBF, 0x5B, 0x5D]),
                reason: """
                    Section 8.1: a byte order mark MUST NOT be added, and a reader MAY pass over one. It is not part \
                    of the grammar, and not every reader of a document does.
                    """,
                code: .syntax,
                fragment: "byte order mark",
                document: [0xEF, 0xBB, 0xBF, 0x7B, 0x7D]
            ),
            Exception(
                row: Row(nested(65)),
                reason: "Section 9: a reader may limit how deep a text is. Ours may be 64 levels deep.",
                code: .tooDeep,
                fragment: "more than 64 levels"
            ),
            Exception(
                row: Row("{\"\(String(repeating: "a", count: 4_097))\":0}"),
                reason: """
                    Section 9: a reader may limit the length of strings. A key of ours, with the names above it, may \
                    have 4,096 bytes.
                    """,
                code: .tooLarge,
                fragment: "more than 4096 bytes",
                refuser: .documents
            ),
            Exception(
                row: Row(#"{"a":{"b":1},"c":[2,3],"d":4}"#),
                reason: "Section 9: a reader may limit the size of texts. A document of ours may have so many keys.",
                code: .tooLarge,
                fragment: "more than 2 keys",
                refuser: .documents,
                limits: DocumentDecoder.Limits(maxKeys: 2)
            ),
        ]

    private static let halves = [
        #""\uD800""#, #""\uDBFF""#, #""\uDC00""#, #""\uDFFF""#, #""\uD800x""#, #""\uD800\n""#, #""\uD800\u0041""#,
        #""\uD800\uD800""#, #""\uDC00\uD800""#, #""\uDC00\uDC00""#, #""\uD800\\uDC00""#, #""\uD800\\""#,
        #""\uD83D\uDE00\uD83D""#, #"{"\uD800":0}"#,
    ]
    private static let twice = [
        #"{"a":1,"a":2}"#, #"{"a":1,"a":1}"#, #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":2}"#, #"{"":1,"":2}"#,
        #"{"a":{"b":1,"b":2}}"#, #"[{"a":1,"a":2}]"#,
    ]

    private static func nested(_ levels: Int) -> String {
        String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
    }

    // MARK: Others' word for it

    /// A string, as sections 7 and 8 have it.
    private static var string: Regex<Substring> {
        #/"(?:[^"\\\u{0}-\u{1F}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/#.matchingSemantics(.unicodeScalar)
    }

    /// Whether the grammar lets `bytes` be, by a way of telling that has nothing in common with ours: its small parts
    /// become one sign each, and so do arrays and objects of such signs, until there is but one.
    private static func isInGrammar(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        // Signs that no row has outside of a string: a name or text, and any other value.
        let (string, value) = ("\u{F0000}", "\u{F0001}")
        let number = #/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?/#.matchingSemantics(.unicodeScalar)
        var rest = text.replacing(Self.string, with: string).replacing(number, with: value)
            .replacing(#/true|false|null/#.matchingSemantics(.unicodeScalar), with: value)
            .replacing(#/[ \t\n\r]+/#.matchingSemantics(.unicodeScalar), with: "")
        let any = #"[\u{F0000}\u{F0001}]"#
        let member = #"\u{F0000}:"# + any
        guard let whole = try? Regex(#"\[(?:\#(any)(?:,\#(any))*)?\]|\{(?:\#(member)(?:,\#(member))*)?\}"#) else {
            return false
        }
        while true {
            let next = rest.replacing(whole.matchingSemantics(.unicodeScalar), with: value)
            if next == rest { return rest == string || rest == value }
            rest = next
        }
    }

    /// What Foundation reads; `nil` for what it cannot read.
    private static func foundation(_ bytes: [UInt8]) -> Any? {
        // At the start of a string Foundation loses this one, where it is not escaped.
        let text = String(decoding: bytes, as: UTF8.self).replacing("\u{FEFF}", with: #"\uFEFF"#)
        return try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    }

    /// Whether it is the value that Foundation has read. Texts by their bytes: two forms of one letter are two texts.
    private static func isSame(_ node: DocumentNode, _ plain: Any) -> Bool {
        switch node.kind {
        case .scalar(.null): return plain is NSNull
        case .scalar(.bool(let value)): return (plain as? NSNumber)?.boolValue == value
        case .scalar(.number(let text)):
            // About the same: Foundation rounds numbers of many digits twice. What is exact is their text.
            guard let wanted = Double(String(decoding: text, as: UTF8.self)) else { return false }
            return (plain as? NSNumber).map { abs($0.doubleValue - wanted) <= abs(wanted) * 1e-15 } ?? false
        case .scalar(.string(let text)): return (plain as? String)?.utf8.elementsEqual(text) ?? false
        case .sequence(let items):
            guard let plain = plain as? [Any], plain.count == items.count else { return false }
            return zip(items, plain).allSatisfy { isSame($0, $1) }
        case .mapping(let members):
            guard let plain = plain as? [String: Any], plain.count == members.count else { return false }
            return members.allSatisfy { member in
                plain.contains { $0.key.utf8.elementsEqual(member.name.utf8) && isSame(member.node, $0.value) }
            }
        }
    }

    /// The numbers that stand in `text`, as they are written there.
    private static func numbers(in text: some Collection<UInt8>) -> [String] {
        String(decoding: text, as: UTF8.self).replacing(Self.string, with: " ").matches(of: #/[-+.0-9eE]+/#)
            .map { String($0.output) }.filter { $0.contains(where: \.isNumber) }
    }

    private static func numbers(of node: DocumentNode) -> [String] {
        switch node.kind {
        case .scalar(.number(let text)): [String(decoding: text, as: UTF8.self)]
        case .scalar: []
        case .sequence(let items): items.flatMap { numbers(of: $0) }
        case .mapping(let members): members.flatMap { numbers(of: $0.node) }
        }
    }

    // MARK: Tests

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

    private static func inDocument(_ row: Row) -> [UInt8] { Array(#"{"v":"#.utf8) + row.bytes + Array("}".utf8) }

    /// What a reader of the configuration is given for the value in the document that `row` is in.
    private static func published(_ row: Row) throws -> [UInt8] {
        let decoder = DocumentDecoder(format: .json, urlPath: "/")
        let document = try decoder.decode(verified(inDocument(row)), now: { 5 })
        let source = SourceRevision(
            source: document.source,
            digest: document.digest,
            validators: .none,
            fetchedAt: 0,
            traceID: ""
        )
        let snapshot = Snapshot(
            generation: 1,
            merged: LayerMerge([document.table]),
            digest: document.digest,
            publishedAt: 0,
            sources: [source]
        )
        return Array(try #require(snapshot.value(at: "v")).json)
    }

    @Test(arguments: right)
    func isRead(_ row: Row) throws {
        #expect(Self.isInGrammar(row.bytes))
        #expect(errors(row.bytes) == [nil, nil])
        // In a document it is read by the third one. From both it comes back as the same value.
        let tree = try DocumentNode.parse(row.bytes, as: .json)
        let published = try Self.published(row)
        #expect(Self.numbers(of: tree) == Self.numbers(in: row.bytes))
        #expect(Self.numbers(in: published).sorted() == Self.numbers(in: row.bytes).sorted())
        if let plain = Self.foundation(row.bytes), let plainPublished = Self.foundation(published) {
            #expect(Self.isSame(tree, plain))
            #expect(Self.isSame(tree, plainPublished))
        } else {
            // Numbers that are too large for Foundation: their text alone is to be kept.
            #expect(Self.numbers(in: row.bytes) == [String(decoding: published, as: UTF8.self)])
        }
    }

    @Test(arguments: wrong)
    func isRefused(_ row: Row) {
        #expect(!Self.isInGrammar(row.bytes))
        let errors = errors(row.bytes)
        #expect(!errors.contains(nil))
        // What is wrong is the same for whoever reads it.
        #expect(errors[0] == errors[1])
        #expect(throws: DecodeError.self) { _ = try leaves(Self.inDocument(row), .json) }
    }

    @Test(arguments: exceptions)
    func isRefusedAllTheSame(_ exception: Exception) throws {
        let row = exception.row
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        #expect(Self.isInGrammar(row.bytes.starts(with: mark) ? Array(row.bytes.dropFirst(3)) : row.bytes))
        #expect(!exception.reason.isEmpty)
        let errors = errors(row.bytes)
        #expect((errors[0] != nil) == (exception.refuser == .everyone))
        #expect((errors[1] != nil) == (exception.refuser != .documents))
        let document = exception.document ?? Self.inDocument(row)
        let inDocument = try #require(try refusal(document, .json, limits: exception.limits), "was accepted")
        for error in errors.compactMap({ $0 }) + [inDocument] {
            #expect(error.code == exception.code)
            #expect(error.message.contains(exception.fragment), "\(error)")
        }
    }

    @Test("The table is as large as it says, and says nothing twice")
    func size() {
        #expect(Self.right.count + Self.wrong.count >= 300)
        let wrong = Set(Self.wrong.map(\.bytes))
        #expect(wrong.count == Self.wrong.count)
        let right = Set(Self.right.map(\.bytes))
        #expect(right.count == Self.right.count)
        #expect(right.isDisjoint(with: wrong))
        // What a document alone refuses may stand among what is right, too.
        let exceptions = Self.exceptions.filter { $0.refuser != .documents }.map(\.row.bytes)
        #expect(Set(exceptions).count == exceptions.count)
        #expect(right.union(wrong).isDisjoint(with: exceptions))
    }
}

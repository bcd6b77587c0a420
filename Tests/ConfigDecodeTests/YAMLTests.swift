import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("YAML")
struct YAMLTests {
    static let accepted: [Accepted] = [
        Accepted("a: 1", "a=1"),
        Accepted("---\na: 1\n...\n", "a=1"),
        Accepted("%YAML 1.2\n---\na: 1\n", "a=1"),
        Accepted("# comment\na: 1 # comment\n", "a=1"),
        Accepted("{}"),
        Accepted("a: {}\nb: []\n", "a={}", "b=[]"),
        Accepted("a:\n  b:\n    c: x\n", #"a.b.c="x""#),
        Accepted("a:\n- 1\n- [2, {b: 3}]\n- c: 4\n  d:\n", #"a=[1,[2,{"b":3}],{"c":4,"d":null}]"#),
        Accepted(#"{"a": {"b": [1, "x", null]}}"#, #"a.b=[1,"x",null]"#),
        Accepted(
            "a: true\nb: True\nc: TRUE\nd: false\ne: False\nf: FALSE",
            "a=true",
            "b=true",
            "c=true",
            "d=false",
            "e=false",
            "f=false"
        ),
        Accepted(
            "a: no\nb: yes\nc: on\nd: off\ne: tRUE",
            #"a="no""#,
            #"b="yes""#,
            #"c="on""#,
            #"d="off""#,
            #"e="tRUE""#
        ),
        Accepted(
            "a:\nb: ~\nc: null\nd: Null\ne: NULL\nf: nULL",
            "a=null",
            "b=null",
            "c=null",
            "d=null",
            "e=null",
            #"f="nULL""#
        ),
        Accepted("a: 'true'\nb: \"1\"\nc: ''\nd: '~'", #"a="true""#, #"b="1""#, #"c="""#, #"d="~""#),
        Accepted("a: ! 1\nb: ! x", #"a="1""#, #"b="x""#),
        Accepted("a: |\n  1\n  2\nb: >-\n  x\n  y\n", #"a="1\n2\n""#, #"b="x y""#),
        Accepted("a: x\n  y\n", #"a="x y""#),
        Accepted("a: \"\\x41\\u00e9\\U0001F600\\n\"", #"a="Aé😀\n""#),
        Accepted("a: 'it''s'", #"a="it's""#),
        // Whole numbers.
        Accepted("a: 0\nb: -0\nc: +1\nd: -12\ne: 007", "a=0", "b=-0", "c=1", "d=-12", "e=7"),
        Accepted("a: 0x1F\nb: 0xffffffffffffffff\nc: 0o17\nd: 0x0", "a=31", "b=18446744073709551615", "c=15", "d=0"),
        Accepted("a: 0o1777777777777777777777", "a=18446744073709551615"),
        Accepted("a: 123456789012345678901234567890", "a=123456789012345678901234567890"),
        Accepted("a: -000\nb: 0001.5", "a=-0", "b=1.5"),
        // Broken ones.
        Accepted("a: 1.\nb: .5\nc: -.5\nd: +.5e3\ne: 1.e5", "a=1.0", "b=0.5", "c=-0.5", "d=0.5e3", "e=1.0e5"),
        Accepted("a: 1e5\nb: 1E+05\nc: 1.50\nd: -1.5e-3", "a=1e5", "b=1E+05", "c=1.50", "d=-1.5e-3"),
        // Only nearly numbers.
        Accepted(
            "a: -0x1F\nb: 0x\nc: 0xG\nd: 0o8\ne: 0b1",
            #"a="-0x1F""#,
            #"b="0x""#,
            #"c="0xG""#,
            #"d="0o8""#,
            #"e="0b1""#
        ),
        Accepted(
            "a: 1_000\nb: 1:30\nc: 1.2.3\nd: +\ne: .",
            #"a="1_000""#,
            #"b="1:30""#,
            #"c="1.2.3""#,
            #"d="+""#,
            #"e=".""#
        ),
        Accepted(
            "a: 1e\nb: e5\nc: .e5\nd: 1e+\ne: 0X1F",
            #"a="1e""#,
            #"b="e5""#,
            #"c=".e5""#,
            #"d="1e+""#,
            #"e="0X1F""#
        ),
        Accepted("a: 2024-01-01\nb: ++1\nc: nan\nd: inf", #"a="2024-01-01""#, #"b="++1""#, #"c="nan""#, #"d="inf""#),
        Accepted("a: '.nan'\nb: \"0xfffffffffffffffff\"", #"a=".nan""#, #"b="0xfffffffffffffffff""#),
        // Names are the text of the key, whatever it looks like.
        Accepted("1: a\ntrue: b\nnull: c\n0x1: d", #"0x1="d""#, #"1="a""#, #"null="c""#, #"true="b""#),
        Accepted("a.b: 1\n'': 2\n\"c\\nd\": 3", #"""=2"#, #""a.b"=1"#, #""c\u000ad"=3"#),
        Accepted("'<<': 1", "<<=1"),
        Accepted("? a\n: 1", "a=1"),
        Accepted("a: {b: 1, c: [x, y]}", "a.b=1", #"a.c=["x","y"]"#),
        Accepted("é: ü", #"é="ü""#),
        Accepted("a: \"x\\L\\N\"", "a=\"x\u{2028}\u{85}\""),
        Accepted("a: \u{A0}ÿ\u{2027}\u{202A}😀", "a=\"\u{A0}ÿ\u{2027}\u{202A}😀\""),
        Accepted("a: '&x'\nb: '*x'\nc: '!t'", #"a="&x""#, #"b="*x""#, #"c="!t""#),
        Accepted("a: b#c\nd: http://x/y?z", #"a="b#c""#, #"d="http://x/y?z""#),
        Accepted("a: 1\r\nb: 2\r\n", "a=1", "b=2"),
    ]

    @Test(arguments: accepted)
    func isRead(_ row: Accepted) throws {
        #expect(try leaves(Array(row.text.utf8), .yaml) == row.expected)
    }

    static let refused: [Refused] = [
        Refused("", .empty, 0, 0),
        Refused("\n \n", .empty, 0, 0),
        Refused("# nothing here\n", .empty, 0, 0),
        Refused("---\n", .notAnObject, 2, 1, "null"),
        Refused("x", .notAnObject, 1, 1, "a string"),
        Refused("- a\n", .notAnObject, 1, 1, "an array"),
        Refused("a: 1\na: 2", .duplicateKey, 2, 1, "'a'"),
        Refused("a: 1\n'a': 2", .duplicateKey, 2, 1, "'a'"),
        Refused("é: 1\n\"\\u00e9\": 2", .duplicateKey, 2, 1, "'é'"),
        Refused("x: {é: 1, b: 2, é: 3}", .duplicateKey, 1, 17, "'é'"),
        Refused("l:\n- {a: 1, a: 2}", .duplicateKey, 2, 10, "'a'"),
        Refused("a: &x 1\nb: *x", .unsupported, 1, 4, "the anchor '&x'"),
        Refused("a: &x {b: 1}", .unsupported, 1, 4, "the anchor '&x'"),
        Refused("a: &x [1]", .unsupported, 1, 4, "the anchor '&x'"),
        Refused("&x a: 1", .unsupported, 1, 1, "the anchor '&x'"),
        Refused("a: *x", .unsupported, 1, 4, "the alias '*x'"),
        Refused("a: !!str 1", .unsupported, 1, 4, "the tag 'tag:yaml.org,2002:str'"),
        Refused("a: !env X", .unsupported, 1, 4, "the tag '!env'"),
        Refused("a: !!map {}", .unsupported, 1, 4, "tag"),
        Refused("a: !x [1]", .unsupported, 1, 4, "tag"),
        Refused("b: 1\n<<: {a: 1}", .unsupported, 2, 1, "merge key '<<'"),
        Refused("a: 1\n---\nb: 2", .unsupported, 2, 1, "second document"),
        Refused("---\n---\n", .unsupported, 2, 1, "second document"),
        Refused("%YAML 1.1\n---\na: no", .unsupported, 1, 1, "YAML 1.1"),
        Refused("? [a]\n: 1", .unsupported, 1, 3, "as a key"),
        Refused("? {a: 1}\n: 1", .unsupported, 1, 3, "as a key"),
        Refused("[a]: 1", .unsupported, 1, 1, "as a key"),
        Refused("a: .inf", .unsupported, 1, 4, "'.inf'"),
        Refused("a: -.INF", .unsupported, 1, 4, "'-.INF'"),
        Refused("a: +.Inf", .unsupported, 1, 4, "'+.Inf'"),
        Refused("a: [1, .nan]", .unsupported, 1, 8, "'.nan'"),
        Refused("a: 0x10000000000000000", .unsupported, 1, 4, "64 bits"),
        Refused("a: 0o2000000000000000000000", .unsupported, 1, 4, "64 bits"),
        Refused("a: [1, 2", .syntax, 2, 1, "flow sequence"),
        Refused("a: b: c", .syntax, 1, 5, "mapping values are not allowed"),
        Refused("a:\n\tb: 1", .syntax, 2, 1, "tab"),
        Refused("a: 'x", .syntax, 1, 6, "quoted scalar"),
        Refused("a: 1\n b: 2", .syntax, 2, 3),
        Refused("a: \"\\q\"", .syntax, 1, 5, "escape"),
        Refused("a: \"\\ud800\"", .syntax, 1, 7),
        Refused("a: @x", .syntax, 1, 4, "quotes"),
        Refused("é: 1\nü: \u{7}", .syntax, 2, 4, "U+7,"),
        Refused("a: \u{7F}", .syntax, 1, 4, "U+7F"),
        Refused("a: \u{0}", .syntax, 1, 4, "U+0"),
        Refused("a: é\u{85}", .syntax, 1, 5, "U+85"),
        Refused("a: \"x\u{2028}y\"", .syntax, 1, 6, "U+2028"),
        Refused("a: x\u{2029}b: 2", .syntax, 1, 5, "U+2029"),
        Refused("a: x\u{FEFF}", .syntax, 1, 5, "U+FEFF"),
        Refused("a: x\u{FFFE}", .syntax, 1, 5, "U+FFFE"),
        Refused(bytes: [0xEF, 0xBB, 0xBF, 0x61, 0x3A, 0x20, 0x31], .syntax, 1, 1, "byte order mark"),
        Refused(bytes: [0xFE, 0xFF, 0, 0x61, 0, 0x3A], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0xFF, 0xFE, 0x61, 0, 0x3A, 0], .notUTF8, 1, 1, "UTF-16"),
        Refused(bytes: [0x61, 0x3A, 0x20, 0xFF], .notUTF8, 1, 4, "0xFF"),
        Refused(bytes: [0x61, 0x3A, 0x0A, 0x20, 0xED, 0xA0, 0x80], .notUTF8, 2, 2, "0xED"),
        Refused("<html><body>", .syntax, 1, 1, "looks like HTML, not YAML"),
    ]

    @Test(arguments: refused)
    func isRefused(_ row: Refused) throws { try row.check(.yaml) }

    @Test func depth() throws {
        func flow(_ count: Int) -> [UInt8] {
            Array(("a: " + String(repeating: "[", count: count - 1) + String(repeating: "]", count: count - 1)).utf8)
        }
        func block(_ count: Int) -> [UInt8] {
            Array((0..<count).map { String(repeating: " ", count: $0) + "a:\n" }.joined().utf8)
        }
        #expect(try refusal(flow(64), .yaml) == nil)
        #expect(try refusal(block(64), .yaml) == nil)
        #expect(try refusal(flow(65), .yaml)?.code == .tooDeep)
        let error = try #require(try refusal(block(65), .yaml))
        #expect(error.code == .tooDeep)
        #expect(error.position == Position(line: 65, column: 65))
        let unclosed = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect(try refusal(unclosed, .yaml)?.code == .tooDeep)
    }

    @Test func tree() throws {
        let node = try DocumentNode.parse(yaml: Array("b: x\na:\n  - 1\n  - {é: ~, c: 2}\n".utf8))
        func scalar(_ scalar: Scalar, _ line: Int, _ column: Int) -> DocumentNode {
            DocumentNode(kind: .scalar(scalar), position: Position(line: line, column: column))
        }
        func member(_ name: String, _ line: Int, _ column: Int, _ node: DocumentNode) -> DocumentNode.Member {
            DocumentNode.Member(name: name, namePosition: Position(line: line, column: column), node: node)
        }
        let inner = DocumentNode(
            kind: .mapping([
                member("é", 4, 6, scalar(.null, 4, 9)),
                member("c", 4, 12, scalar(.number(Array("2".utf8)[...]), 4, 15)),
            ]),
            position: Position(line: 4, column: 5)
        )
        let list = DocumentNode(
            kind: .sequence([scalar(.number(Array("1".utf8)[...]), 3, 5), inner]),
            position: Position(line: 3, column: 3)
        )
        let expected = DocumentNode(
            kind: .mapping([member("b", 1, 1, scalar(.string(Array("x".utf8)[...]), 1, 4)), member("a", 2, 1, list)]),
            position: Position(line: 1, column: 1)
        )
        #expect(node == expected)
    }

    @Test func treeErrors() {
        #expect(throws: DecodeError.self) { try DocumentNode.parse(yaml: Array("a: 1\na: 2".utf8)) }
        #expect(throws: DecodeError(.empty, at: nil, "the document is empty")) { try DocumentNode.parse(yaml: []) }
        #expect(throws: DecodeError.self) { try DocumentNode.parse(yaml: Array("a: {b: {c: 1}}".utf8), maxDepth: 2) }
    }
}

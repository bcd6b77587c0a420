import ConfigSnapshot
import Testing

@testable import ConfigDecode

/// Content that somebody has thought out: through the decoder, and as a service reads it back.
@Suite("Hostile content")
struct HostileContentTests {
    /// What is read, in both formats, and what a service then finds: each key and its value, byte for byte.
    struct Content: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var json: String
        /// Without it the JSON is read as YAML.
        var yaml: String?
        /// No dictionary: that would take twins for one key.
        var values: [(key: String, json: String)]
        /// Where there must be nothing.
        var absent: [String]

        init(
            _ name: String,
            _ json: String,
            yaml: String? = nil,
            values: KeyValuePairs<String, String>,
            absent: [String] = []
        ) {
            testDescription = name
            self.json = json
            self.yaml = yaml
            self.values = values.map { (key: $0.key, json: $0.value) }
            self.absent = absent
        }
    }

    static let contents: [Content] = [
        Content(
            "the names that other languages keep for themselves",
            #"""
            {"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}},"toString":"t",
             "a":{"__proto__":null,"b":1}}
            """#,
            values: [
                "__proto__.admin": "true", "constructor.prototype.x": "1", "toString": #""t""#, "a.__proto__": "null",
                "a.b": "1",
            ],
            absent: ["admin", "a.admin", "x", "a.x", "hasOwnProperty", "a.toString", "constructor.x", "__proto__.b"]
        ),
        Content(
            "the zero byte",
            #"{"a\u0000b":"x\u0000y","a":1,"\u0000":2,"\u0000\u0000":3,"c":"\u0000"}"#,
            yaml: #"{"a\0b": "x\0y", "a": 1, "\0": 2, "\x00\u0000": 3, "c": "\0"}"#,
            values: [
                #""a\u0000b""#: #""x\u0000y""#, "a": "1", #""\u0000""#: "2", #""\u0000\u0000""#: "3", "c": #""\u0000""#,
            ],
            // Nothing ends at a zero, and a zero as it is, is in no key.
            absent: ["a\0b", "a\0", "\0", "\0\0", #""a\u0000""#, #""a\u0000c""#, #""\u0000\u0000\u0000""#, #""a""#]
        ),
        Content(
            "dots and slashes",
            #"""
            {"a.b":1,"a":{"b":2,"b.c":3,"b/c":4},"a.b.c":5,"a/b":6,"/":7,"//":8,".":9,"..":10,"../../etc/passwd":11,
             "a//b":12,"%2F":13,"a%2Fb":14,"":{"":15},"\"a\"":16,"\\":17,"a\\.b":18,"~":19,"~1":20,"#":21,"?":22,
             "a?b#c":23,"a b":24,"-":25}
            """#,
            values: [
                #""a.b""#: "1", "a.b": "2", #"a."b.c""#: "3", "a.b/c": "4", #""a.b.c""#: "5", "a/b": "6", "/": "7",
                "//": "8", #"".""#: "9", #""..""#: "10", #""../../etc/passwd""#: "11", "a//b": "12", "%2F": "13",
                "a%2Fb": "14", #"""."""#: "15", #""\"a\"""#: "16", #""\\""#: "17", #""a\\.b""#: "18", "~": "19",
                "~1": "20", "#": "21", "?": "22", "a?b#c": "23", "a b": "24", "-": "25",
            ],
            absent: [
                "a.b.c", #"a."b""#, #""a".b"#, "a/b/c", ".", "..", "../../etc/passwd", "a%2fb", "\\", "\"a\"", "a.",
                ".a",
                "a..b", #"""""#, #""".""."""#, "A.b", " a b", "a b ",
            ]
        ),
        Content(
            "one letter in two forms, and letters that look alike",
            """
            {"\u{E9}":1,"e\u{301}":2,"x\u{E9}":{"e\u{301}":3,"\u{E9}":4},"xe\u{301}":{"\u{E9}":5},"K":6,"\u{212A}":7,\
            "\u{C5}":8,"\u{212B}":9,"A\u{30A}":10,"\u{FB01}":11,"fi":12,"\u{AC00}":13,"\u{1100}\u{1161}":14,"a":15,\
            "\u{430}":16,"value":"\u{E9}e\u{301}\u{212B}"}
            """,
            values: [
                "\u{E9}": "1", "e\u{301}": "2", "K": "6", "\u{212A}": "7", "\u{C5}": "8", "\u{212B}": "9",
                "A\u{30A}": "10", "\u{FB01}": "11", "fi": "12", "\u{AC00}": "13", "\u{1100}\u{1161}": "14", "a": "15",
                "x\u{E9}.e\u{301}": "3", "x\u{E9}.\u{E9}": "4", "xe\u{301}.\u{E9}": "5", "\u{430}": "16",
                "value": "\"\u{E9}e\u{301}\u{212B}\"",
            ],
            absent: ["xe\u{301}.e\u{301}", "k", "\u{3A9}", "e", "\u{301}", "\u{FF41}", "\u{1161}"]
        ),
        Content(
            "half a letter is none, a whole one may be written in halves",
            #"{"\ud801\udc00":"\uD801\uDC00","\ud83d\ude00x":"x\ud83d\ude00"}"#,
            yaml: #"{"\U00010400": "\U00010400", "\U0001f600x": "x\U0001F600"}"#,
            values: ["\u{10400}": "\"\u{10400}\"", "\u{1F600}x": "\"x\u{1F600}\""],
            absent: ["\u{FFFD}", "\u{FFFD}\u{FFFD}", "\u{1F600}", #"\ud801\udc00"#]
        ),
    ]

    private static let numberTexts = [
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
        "18446744073709551615", "18446744073709551616", "340282366920938463463374607431768211456", "9007199254740993",
        "1e400", "-1e400", "1e-400", "1E+999999999999999999999", "0.1000000000000000055511151231257827021181583404541",
        "-0", "-0.0", "1.00", "1" + String(repeating: "0", count: 5_000), "0." + String(repeating: "3", count: 5_000),
    ]

    private func read(_ body: [UInt8], _ format: DocumentFormat) throws -> Snapshot {
        let decoder = DocumentDecoder(format: format, urlPath: "/")
        let decoded = try decoder.decode(verified(body), now: { 1 })
        let revision = SourceRevision(
            source: decoded.source,
            digest: decoded.digest,
            validators: .none,
            fetchedAt: 0,
            traceID: "t"
        )
        return Snapshot(
            generation: 1,
            merged: LayerMerge([decoded.table]),
            digest: decoded.digest,
            publishedAt: 0,
            sources: [revision]
        )
    }

    private func text(_ snapshot: Snapshot, _ key: String) -> String? {
        snapshot.value(at: key).map { String(decoding: $0.json, as: UTF8.self) }
    }

    private func bytes(_ snapshot: Snapshot, _ key: String) -> [UInt8]? {
        snapshot.value(at: key).map { Array($0.json) }
    }

    @Test(
        "What is accepted is found under its own key alone, byte for byte, however it was written",
        arguments: contents
    )
    func isReadBack(_ content: Content) throws {
        for (format, document) in [(DocumentFormat.json, content.json), (.yaml, content.yaml ?? content.json)] {
            let snapshot = try read(Array(document.utf8), format)
            for (key, value) in content.values {
                #expect(bytes(snapshot, key) == Array(value.utf8), "\(format) \(key)")
                #expect(snapshot.leafIndex(of: key) != nil, "\(format) \(key)")
            }
            for key in content.absent { #expect(text(snapshot, key) == nil, "\(format) \(key)") }
            // Written out as a whole, it is the same document.
            let whole = try #require(bytes(snapshot, ""))
            #expect(try leaves(whole, .json) == lines(snapshot.table), "\(format)")
            #expect(try leaves(whole, .yaml) == lines(snapshot.table), "\(format)")
        }
    }

    @Test("Numbers beyond 64 bits, and such as no processor has: digit for digit")
    func numbers() throws {
        let members = Self.numberTexts.enumerated().map { "\"n\($0.offset)\": \($0.element)" }
        let list = Self.numberTexts.joined(separator: ", ")
        for format in [DocumentFormat.json, .yaml] {
            let document = "{\(members.joined(separator: ", ")), \"list\": [\(list)]}"
            let snapshot = try read(Array(document.utf8), format)
            for (place, number) in Self.numberTexts.enumerated() {
                #expect(text(snapshot, "n\(place)") == number, "\(format)")
            }
            #expect(text(snapshot, "list") == "[\(Self.numberTexts.joined(separator: ","))]", "\(format)")
        }
        // YAML's other bases are turned into decimal, up to 64 bits and no further.
        #expect(text(try read(Array("a: 0xffffffffffffffff".utf8), .yaml), "a") == "18446744073709551615")
        try Refused("a:\n  b: 0x10000000000000000", .unsupported, 2, 6, "64 bits").check(.yaml)
        try Refused("{\"a\":\n 0xffffffffffffffff}", .syntax, 2, 3).check(.json)
    }

    @Test("Twins: each form is a key of its own, and alone it is not found by the others")
    func twins() throws {
        let pairs = [
            ("\u{E9}", "1"), ("e\u{301}", "2"), ("K", "6"), ("\u{212A}", "7"), ("\u{C5}", "8"), ("\u{212B}", "9"),
            ("A\u{30A}", "10"), ("\u{FB01}", "11"), ("fi", "12"), ("\u{AC00}", "13"), ("\u{1100}\u{1161}", "14"),
            ("a", "15"), ("\u{430}", "16"),
        ]
        let text = "{" + pairs.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", ") + "}"
        for format in [DocumentFormat.json, .yaml] {
            let snapshot = try read(Array(text.utf8), format)
            #expect(snapshot.count == pairs.count)
            for (name, value) in pairs {
                #expect(self.text(snapshot, name) == value, "\(format) \(name.unicodeScalars)")
            }
            // Each alone: its twins find nothing.
            for (name, value) in pairs {
                let alone = try read(Array("{\"\(name)\": \(value)}".utf8), format)
                for (other, _) in pairs where !other.utf8.elementsEqual(name.utf8) {
                    #expect(self.text(alone, other) == nil, "\(format) \(name.unicodeScalars) \(other.unicodeScalars)")
                }
            }
        }
    }

    @Test("Every control character, in a name and in a value: escaped it is taken, as it is it is not")
    func controls() throws {
        for control in (UInt8(0)..<0x20).map({ $0 }) + [0x7F] {
            let hex = String(0x100 + Int(control), radix: 16).dropFirst()
            let json = #"{"x\u00\#(hex)y":"\u00\#(hex)"}"#
            let yaml = #"{"x\x\#(hex)y": "\x\#(hex)"}"#
            var value: [UInt8] = []
            JSONText.appendString([control], to: &value)
            for (format, document) in [(DocumentFormat.json, json), (.yaml, yaml)] {
                let snapshot = try read(Array(document.utf8), format)
                #expect(bytes(snapshot, #""x\u00\#(hex)y""#) == value, "\(format) \(hex)")
                let asItIs = String(decoding: Array("x".utf8) + [control] + Array("y".utf8), as: UTF8.self)
                for other in [asItIs, "xy", #""xy""#, "x", #""x\u00\#(hex)""#] {
                    #expect(text(snapshot, other) == nil, "\(format) \(hex)")
                }
            }
            guard control != 0x7F else { continue }
            let inValue = Array("{\n\"a\": \"".utf8) + [control] + Array("\"}".utf8)
            let inName = Array("{\n\"a".utf8) + [control] + Array("\": 1}".utf8)
            try Refused(bytes: inValue, .syntax, 2, 7, "inside a string").check(.json)
            try Refused(bytes: inName, .syntax, 2, 3, "inside a string").check(.json)
            // White space stands in YAML's strings too.
            guard !TextEncoding.isSpace(control) else { continue }
            let code = String(control, radix: 16, uppercase: true)
            try Refused(bytes: inValue, .syntax, 2, 7, "U+\(code),").check(.yaml)
            try Refused(bytes: inName, .syntax, 2, 3, "U+\(code),").check(.yaml)
        }
    }

    /// Each stands in the second line of a document, from the third column on: as a name's beginning, and as a value's.
    static let noText: [(bytes: [UInt8], json: DecodeError.Code, yaml: DecodeError.Code)] =
        [#"\ud800"#, #"\udfff"#, #"\udc00\ud800"#, #"\ud800\ud800"#, #"\uD83Dx"#].map {
            (Array($0.utf8), .syntax, .syntax)
        }
        + [
            // U+10400 in CESU-8, each half of it, overlong zeros, one past the last.
            [0xED, 0xA0, 0x81, 0xED, 0xB0, 0x80], [0xED, 0xA0, 0x81], [0xED, 0xB0, 0x80], [0xC0, 0x80],
            [0xE0, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
        ].map { ($0, .notUTF8, .notUTF8) }

    @Test(
        "Lone surrogates, CESU-8, overlong zeros: refused where they stand, in names and in values",
        arguments: noText
    )
    func noCharacters(bytes: [UInt8], json: DecodeError.Code, yaml: DecodeError.Code) throws {
        let name = Array("{\"a\": 1,\n \"".utf8) + bytes + Array("\": 1}".utf8)
        let value = Array("{\"b\":\n \"".utf8) + bytes + Array("\"}".utf8)
        for document in [name, value] {
            try Refused(bytes: document, json, 2, 3).check(.json)
            let error = try #require(try refusal(document, .yaml), "was accepted")
            #expect(error.code == yaml && error.position?.line == 2, "\(error)")
            // libyaml points behind the backslash.
            #expect((3...5).contains(error.position?.column ?? 0), "\(error)")
        }
    }

    @Test("One name written in two ways stands twice")
    func sameName() throws {
        try Refused(#"{"__proto__":1,"\u005f_proto__":2}"#, .duplicateKey, 1, 16, "'__proto__'").check(.json)
        try Refused("__proto__: 1\n\"\\x5f_proto__\": 2", .duplicateKey, 2, 1, "'__proto__'").check(.yaml)
        try Refused(#"{"\u0000":1,"\u0000":2}"#, .duplicateKey, 1, 13).check(.json)
        try Refused("\"\\0\": 1\n\"\\x00\": 2", .duplicateKey, 2, 1).check(.yaml)
        try Refused(#"{"\ud801\udc00":1,"𐐀":2}"#, .duplicateKey, 1, 19, "'𐐀'").check(.json)
        try Refused("𐐀: 1\n\"\\U00010400\": 2", .duplicateKey, 2, 1, "'𐐀'").check(.yaml)
    }

    @Test("A text of five MiB comes back whole", arguments: [DocumentFormat.json, .yaml])
    func longText(_ format: DocumentFormat) throws {
        // Escapes, and letters of each length, at places that no power of two has.
        func text(_ zero: String) -> String {
            let piece = #"\"\\\n"# + zero + "é€😀 / " + String(repeating: "x", count: 1_999)
            return String(repeating: piece, count: (5 << 20) / 2_000)
        }
        let content = text(#"\u0000"#)
        #expect(content.utf8.count >= 5 << 20)
        let written = format == .json ? content : text(#"\0"#)
        let snapshot = try read(Array("{\"before\": 1, \"text\": \"\(written)\", \"texts\": 2}".utf8), format)
        #expect(bytes(snapshot, "text") == Array("\"\(content)\"".utf8))
        #expect(self.text(snapshot, "before") == "1" && self.text(snapshot, "texts") == "2")
        #expect(self.text(snapshot, "tex") == nil)
    }

    @Test("Of 200,000 keys each is found, and what is next to it is not", arguments: [DocumentFormat.json, .yaml])
    func manyKeys(_ format: DocumentFormat) throws {
        let count = 200_000
        let colon = format == .json ? ":" : ": "
        let body = "{" + (0..<count).map { "\"key.\($0)\"\(colon)\($0)" }.joined(separator: ",") + "}"
        let snapshot = try read(Array(body.utf8), format)
        #expect(snapshot.count == count)
        var wrong = 0
        for number in 0..<count {
            let leaf = snapshot.leafIndex(of: "\"key.\(number)\"").map { snapshot.table.leaves[$0] }
            if leaf.map({ snapshot.table.value($0).elementsEqual(String(number).utf8) }) != true { wrong += 1 }
            if number % 50 == 0, snapshot.leafIndex(of: "\"key.\(number)x\"") != nil { wrong += 1 }
            if number % 50 == 0, snapshot.leafIndex(of: "key.\(number)") != nil { wrong += 1 }
        }
        #expect(wrong == 0)
        #expect(text(snapshot, "\"key.\(count)\"") == nil && text(snapshot, "key") == nil)
    }

    @Test("64 levels are read and found at their depth; the 65th is refused where it begins")
    func levels() throws {
        func objects(_ count: Int) -> String {
            String(repeating: "{\"a\":\n", count: count) + "1" + String(repeating: "}", count: count)
        }
        func mixed(_ count: Int) -> String {
            "{\"a\":" + String(repeating: "\n[", count: count - 1) + "1" + String(repeating: "]", count: count - 1)
                + "}"
        }
        func block(_ count: Int) -> String {
            (0..<count).map { String(repeating: " ", count: $0) + "a:\n" }.joined().dropLast() + " 1"
        }
        let key = [String](repeating: "a", count: 64).joined(separator: ".")
        let list = String(repeating: "[", count: 63) + "1" + String(repeating: "]", count: 63)
        for (format, text) in [(DocumentFormat.json, objects(64)), (.yaml, objects(64)), (.yaml, block(64))] {
            let snapshot = try read(Array(text.utf8), format)
            #expect(self.text(snapshot, key) == "1" && snapshot.count == 1)
            #expect(self.text(snapshot, String(key.dropLast(2))) == #"{"a":1}"#)
            #expect(self.text(snapshot, key + ".a") == nil)
        }
        for format in [DocumentFormat.json, .yaml] {
            #expect(text(try read(Array(mixed(64).utf8), format), "a") == list)
            try Refused(objects(65), .tooDeep, 65, 1, "64 levels").check(format)
            try Refused(mixed(65), .tooDeep, 65, 1, "64 levels").check(format)
        }
        try Refused(block(65), .tooDeep, 65, 65, "64 levels").check(.yaml)
    }
}

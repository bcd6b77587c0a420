import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import TestSupport
import Testing

/// Hostile content through a whole agent: from a file to what a service reads, and across a restart.
@Suite("Hostile documents")
struct HostileDocumentTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func app(_ file: String) -> AgentPlan.Source { source("app", url: "file://" + directory.path(file)) }

    private func expect(_ running: RunningAgent, _ key: String, _ json: String?, _ comment: Comment) {
        #expect(running.value(key).map { Array($0.utf8) } == json.map { Array($0.utf8) }, comment)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var json: String
        var yaml: String
        /// By key; `nil` where there must be nothing.
        var values: [(String, String?)]
    }

    static let rows: [Row] = [
        Row(
            testDescription: "__proto__",
            json: #"{"__proto__": {"admin": true}, "a": {"__proto__": 1}}"#,
            yaml: "__proto__: {admin: true}\na: {__proto__: 1}",
            values: [("__proto__.admin", "true"), ("a.__proto__", "1"), ("admin", nil), ("a.admin", nil)]
        ),
        Row(
            testDescription: "zeros and controls",
            json: #"{"a\u0000b": "\u0000\u001f\u007f", "a": 1}"#,
            yaml: #"{"a\0b": "\0\x1f\x7f", a: 1}"#,
            values: [(#""a\u0000b""#, "\"\\u0000\\u001f\u{7F}\""), ("a", "1"), ("a\0b", nil), ("a\0", nil)]
        ),
        Row(
            testDescription: "twins",
            json: "{\"\u{E9}\": 1, \"e\u{301}\": 2, \"K\": 3}",
            yaml: "\u{E9}: 1\ne\u{301}: 2\nK: 3",
            values: [("\u{E9}", "1"), ("e\u{301}", "2"), ("K", "3"), ("\u{212A}", nil)]
        ),
        Row(
            testDescription: "dots and slashes",
            json: #"{"a.b": 1, "a": {"b": 2}, "../x": 3, "/": 4, "": 5}"#,
            yaml: "a.b: 1\na: {b: 2}\n../x: 3\n/: 4\n'': 5",
            values: [(#""a.b""#, "1"), ("a.b", "2"), (#""../x""#, "3"), ("/", "4"), (#""""#, "5"), ("../x", nil)]
        ),
        Row(
            testDescription: "numbers",
            json: #"{"a": 18446744073709551616, "b": 1e400, "c": -0.0}"#,
            yaml: "a: 18446744073709551616\nb: 1e400\nc: -0.0",
            values: [("a", "18446744073709551616"), ("b", "1e400"), ("c", "-0.0")]
        ),
        Row(
            testDescription: "64 levels",
            json: String(repeating: #"{"a":"#, count: 64) + "1" + String(repeating: "}", count: 64),
            yaml: (0..<64).map { "\n" + String(repeating: " ", count: $0) + "a:" }.joined() + " 1",
            values: [([String](repeating: "a", count: 64).joined(separator: "."), "1")]
        ),
    ]

    @Test("What is accepted is read back byte for byte, from the file and from the stored copy", arguments: rows)
    func accepted(_ row: Row) throws {
        for (file, text) in [("app.json", row.json), ("app.yaml", row.yaml)] {
            try directory.write(file, "{}")
            var running = try RunningAgent([app(file)], in: directory)
            try running.start()
            try directory.write(file, text)
            #expect(try running.refresh("app").name == "published", "\(file)")
            for (key, json) in row.values { expect(running, key, json, "\(file): \(key)") }
            try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
            let digest = running.agent.publisher.digest
            running.stop()
            // What was stored has to be the same content, with the source gone.
            try directory.write(file, "{")
            running = try RunningAgent([app(file)], in: directory)
            try running.start()
            for (key, json) in row.values { expect(running, key, json, "\(file), stored: \(key)") }
            #expect(running.agent.publisher.digest == digest, "\(file)")
            running.stop()
        }
    }

    /// In each the place is the second line, the third column, but where libyaml points a little further.
    static let refused: [(name: String, bytes: [UInt8], code: String, place: String, file: String)] = {
        func json(_ name: String, _ bytes: [UInt8], _ code: String) -> (String, [UInt8], String, String, String) {
            (name, Array("{\"a\":\n \"".utf8) + bytes + Array("\"}".utf8), code, "line 2, column 3: ", "app.json")
        }
        let inYAML = Array("a:\n  ".utf8)
        func levels(_ count: Int) -> [UInt8] { Array(String(repeating: "{\"a\":\n", count: count).utf8) }
        return [
            json("a zero", [0], "syntax"), json("a control", [7], "syntax"),
            json("half a pair", Array(#"\ud83d"#.utf8), "syntax"),
            json("CESU-8", [0xED, 0xA0, 0x81, 0xED, 0xB0, 0x80], "not_utf8"),
            json("an overlong zero", [0xC0, 0x80], "not_utf8"),
            (
                "65 levels", levels(65) + [0x31] + [UInt8](repeating: 0x7D, count: 65), "too_deep",
                "line 65, column 1: ", "app.json"
            ),
            (
                "one name twice", Array("{\"__proto__\": 1,\n \"\\u005f_proto__\": 2}".utf8), "duplicate_key",
                "line 2, column 2: ", "app.json"
            ),
            ("YAML: a zero", inYAML + [0], "syntax", "line 2, column 3: ", "app.yaml"),
            (
                "YAML: CESU-8", inYAML + [0xED, 0xA0, 0x81, 0xED, 0xB0, 0x80], "not_utf8", "line 2, column 3: ",
                "app.yaml"
            ),
            ("YAML: half a pair", inYAML + Array(#""\ud83d""#.utf8), "syntax", "line 2, column 6: ", "app.yaml"),
            (
                "YAML: beyond 64 bits", inYAML + Array("0x10000000000000000".utf8), "unsupported", "line 2, column 3: ",
                "app.yaml"
            ),
            (
                "YAML: one name twice", Array("__proto__: 1\n\"\\x5f_proto__\": 2".utf8), "duplicate_key",
                "line 2, column 1: ", "app.yaml"
            ),
        ]
    }()

    @Test("What is refused says where, and what was in use stays in use, byte for byte")
    func refused() throws {
        for (name, bytes, code, place, file) in Self.refused {
            try directory.write(file, #"{"good\u0000": "\u0000"}"#)
            let running = try RunningAgent([app(file)], in: directory)
            try running.start()
            let (generation, digest) = (running.generation, running.agent.publisher.digest)
            try directory.write(file, bytes)
            let failure = try running.refresh("app").failure
            #expect(failure?.stage == .decode && failure?.code == code, "\(name): \(String(describing: failure))")
            #expect(failure?.message.hasPrefix(place) == true, "\(name): \(String(describing: failure))")
            expect(running, #""good\u0000""#, #""\u0000""#, "\(name)")
            #expect(running.value("a") == nil && running.value("__proto__") == nil, "\(name)")
            #expect(running.generation == generation && running.agent.publisher.digest == digest, "\(name)")
            running.stop()
        }
    }

    @Test("Twins and zeros are changes of their own: each is told, and nothing else")
    func changes() throws {
        try directory.write("app.json", "{\"\u{E9}\": 1, \"e\u{301}\": 1, \"a\\u0000\": 1, \"a\": 1}")
        let running = try RunningAgent([app("app.json")], in: directory)
        try running.start()
        try directory.write("app.json", "{\"\u{E9}\": 1, \"e\u{301}\": 2, \"a\\u0000\": 2, \"a\": 1}")
        #expect(try running.refresh("app").name == "published")
        expect(running, "\u{E9}", "1", "one form")
        expect(running, "e\u{301}", "2", "the other")
        expect(running, #""a\u0000""#, "2", "with a zero")
        expect(running, "a", "1", "without one")
        try directory.write("app.json", "{\"e\u{301}\": 2, \"a\\u0000\": 2}")
        #expect(try running.refresh("app").name == "published")
        expect(running, "\u{E9}", nil, "gone")
        expect(running, "a", nil, "gone")
        expect(running, "e\u{301}", "2", "still there")
    }
}

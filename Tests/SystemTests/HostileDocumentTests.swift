internal import Foundation
import TestSupport
import Testing

/// Hostile content as services and operators meet it: over the socket, and with agentctl.
@Suite("Hostile documents, from outside")
struct HostileDocumentTests {
    private let files: TemporaryDirectory
    private let agent: AgentProcess

    private static let good = #"{"good": "\u0000é"}"#

    init() throws {
        files = try TemporaryDirectory()
        var sources: [String: SourceSettings] = [:]
        for (name, file) in [("json", "app.json"), ("yaml", "app.yaml")] {
            let text = name == "json" ? Self.good : "other: 1"
            sources[name] = SourceSettings(
                url: "file://\(try files.write(file, text))",
                poll: "1h",
                more: ["watch: false", "retry: {base: 1h, max: 1h}"]
            )
        }
        agent = try AgentProcess.ready(AgentSettings(sources: sources))
    }

    /// Every byte of it, so that nothing of it is read in another way.
    private func escaped(_ key: String) -> String {
        key.utf8.map { "%" + String(0x100 + Int($0), radix: 16).dropFirst() }.joined()
    }

    /// What the socket and agentctl give for a key; `nil` where there is none.
    private func read(_ key: String) throws -> [UInt8]? {
        let answer = try agent.value(escaped(key))
        // A zero cannot stand in a program's argument; in a key it stands escaped anyway.
        if !key.contains("\0") {
            let printed = try agent.control(["get", key])
            if answer.status == 200 {
                #expect(printed.code == 0 && Array(printed.standardOutput.utf8) == answer.body + [0x0A], "\(key)")
            } else {
                #expect(printed.code == 1, "\(key): \(printed)")
            }
        }
        if answer.status == 404 {
            #expect(try answer.json()["error"]["code"].string == "unknown_key", "\(answer)")
            return nil
        }
        #expect(answer.status == 200, "\(answer)")
        return answer.body
    }

    @Test("Accepted: each key by its quoted, escaped name, byte for byte, and no other")
    func accepted() throws {
        let text = #"""
            {"__proto__": {"admin": true}, "a\u0000b": "\u0000\u001f\u007f", "a": {"b": 2, "b.c": [3, {"x.y": null}]},
             "a.b": 1, "a/b": 4, "/": 5, "..": 6, "../../etc/passwd": 7, "%2F": 8,
             "\#("\u{E9}")": 9, "\#("e\u{301}")": 10, "": 11,
             "\"": 12, "a?b#c": 13, "a b": 14, "\u0001": 15, "\ud801\udc00": "\uD801\uDC00",
             "big": [18446744073709551616, 1e400, -0.0]}
            """#
        try files.write("app.json", text)
        #expect(try agent.refresh("json").json()["sources"]["json"]["outcome"].string == "published")
        let values: [(String, String)] = [
            ("__proto__.admin", "true"), ("__proto__", #"{"admin":true}"#),
            (#""a\u0000b""#, "\"\\u0000\\u001f\u{7F}\""), ("a.b", "2"), (#"a."b.c""#, #"[3,{"x.y":null}]"#),
            (#""a.b""#, "1"), ("a/b", "4"), ("/", "5"), (#""..""#, "6"), (#""../../etc/passwd""#, "7"), ("%2F", "8"),
            ("\u{E9}", "9"), ("e\u{301}", "10"), (#""""#, "11"), (#""\"""#, "12"), ("a?b#c", "13"), ("a b", "14"),
            (#""\u0001""#, "15"), ("\u{10400}", "\"\u{10400}\""), ("big", "[18446744073709551616,1e400,-0.0]"),
        ]
        for (key, value) in values { #expect(try read(key) == Array(value.utf8), "\(key)") }
        for key in [
            "admin", "a\0b", "\0", "..", "../../etc/passwd", "%2f", "a.b.c", "\u{1}", "\u{FFFD}", "e", "\"", "A",
        ] {
            #expect(try read(key) == nil, "\(key)")
        }
        // What is no key at all: an escape that is none, a byte that is no text, half a pair in CESU-8.
        for path in ["%", "%zz", "%FF", "%C0%80", "%ED%A0%81%ED%B0%80", "%ED%A0%81"] {
            let answer = try agent.value(path)
            #expect((400...404).contains(answer.status), "\(path): \(answer)")
            #expect(try answer.json()["error"]["code"].string?.isEmpty == false, "\(path): \(answer)")
        }
    }

    @Test("Refused: told with its line and column, everywhere; what was in use stays")
    func refused() throws {
        let rows: [(file: String, bytes: [UInt8], code: String, place: String)] = [
            ("app.json", Array("{\"a\":\n \"".utf8) + [0] + Array("\"}".utf8), "syntax", "line 2, column 3"),
            ("app.json", Array("{\"a\":\n \"\\udc00\"}".utf8), "syntax", "line 2, column 3"),
            (
                "app.json", Array("{\n\"".utf8) + [0xED, 0xA0, 0x81] + Array("\":1}".utf8), "not_utf8",
                "line 2, column 2"
            ),
            ("app.json", Array(String(repeating: "{\"a\":\n", count: 64).utf8), "syntax", "line 65, column 1"),
            (
                "app.json",
                Array((String(repeating: "{\"a\":\n", count: 65) + "1" + String(repeating: "}", count: 65)).utf8),
                "too_deep", "line 65, column 1"
            ),
            ("app.json", Array("{\"a\":1,\n\"\\u0061\":2}".utf8), "duplicate_key", "line 2, column 1"),
            ("app.yaml", Array("a: 1\nb: ".utf8) + [7], "syntax", "line 2, column 4"),
            ("app.yaml", Array("a: 1\n\"\\x61\": 2".utf8), "duplicate_key", "line 2, column 1"),
            ("app.yaml", Array("a: 1\nb: 0x10000000000000000".utf8), "unsupported", "line 2, column 4"),
        ]
        for (file, bytes, code, place) in rows {
            let name = String(file.dropFirst(4))
            try files.write(file, bytes)
            let outcome = try agent.refresh(name).json()["sources"][name]
            #expect(outcome["outcome"].string == "failed" && outcome["error"]["code"].string == code, "\(outcome)")
            #expect(outcome["error"]["message"].string?.hasPrefix(place + ": ") == true, "\(outcome)")
            let status = try agent.control("status")
            #expect(status.code == 1 && status.standardOutput.contains(place), "\(status)")
            let checked = try agent.control([
                "check", files.path(file), "--source", name, "--config", agent.directory.path("agent.yaml"),
            ])
            #expect(checked.code == 1 && checked.standardOutput.contains(place), "\(checked)")
            #expect(agent.log.contains(place), "\(place)")
            #expect(try read("good") == Array(#""\u0000é""#.utf8) && read("other") == [0x31] && read("a") == nil)
            #expect(try agent.status()["generation"].int == 1)
        }
        try files.write("app.json", Self.good)
        try files.write("app.yaml", "other: 1")
        try agent.refresh()
        #expect(try agent.control("status").code == 0)
    }

    @Test("A text of five MiB, and 200,000 keys that an index without a seed would stumble over")
    func large() throws {
        let piece = #"\u0000é€😀\n"# + String(repeating: "x", count: 1_999)
        let text = String(repeating: piece, count: (5 << 20) / 2_000)
        try files.write("app.json", "{\"text\": \"\(text)\"}")
        #expect(try agent.refresh("json").json()["sources"]["json"]["outcome"].string == "published")
        #expect(try agent.value("text").body == Array("\"\(text)\"".utf8))
        #expect(try Array(agent.control(["get", "text"]).standardOutput.utf8) == Array("\"\(text)\"\n".utf8))

        let count = 200_000
        func key(_ number: Int) -> String { "\(10_000_000 + number)collides-database-ms" }
        try files.write("app.json", "{" + (0..<count).map { "\"\(key($0))\":\($0)" }.joined(separator: ",") + "}")
        #expect(try agent.refresh("json").json()["sources"]["json"]["outcome"].string == "published")
        #expect(try agent.status()["snapshot"]["keys"].int == count + 1)
        for number in stride(from: 0, to: count, by: 9_973) {
            #expect(try agent.value(key(number)).text == String(number))
            #expect(try agent.value(key(number) + "x").status == 404)
        }
        #expect(try agent.value(key(count)).status == 404)
        #expect(try agent.value("text").status == 404)
    }
}

import Testing

@testable import ConfigSnapshot

@Suite("Small values")
struct ValueTests {
    @Test(arguments: ["a", "A1", "0", "a-b_c", String(repeating: "x", count: 64)])
    func sourceName(_ text: String) { #expect(SourceName(text)?.text == text) }

    @Test(arguments: ["", "-a", "_a", "a.b", "a/b", "a b", "é", "..", "a\n", String(repeating: "x", count: 65)])
    func noSourceName(_ text: String) { #expect(SourceName(text) == nil) }

    @Test func digest() throws {
        let digest = try #require(ContentDigest(bytes: (0..<32).map { UInt8($0 * 8 + 3) }))
        #expect(digest.hex.hasPrefix("030b131b232b"))
        #expect(digest.hex.utf8.count == 64)
        #expect(digest.short == "030b131b232b")
        #expect(digest.description.hasPrefix("sha256:030b"))
        #expect(ContentDigest(bytes: [1, 2, 3]) == nil)
    }

    @Test func trace() {
        var trace = Trace(id: 0xAB)
        #expect(trace.text == "00000000000000ab")
        for (number, stage) in Trace.Stage.allCases.enumerated() {
            #expect(trace[stage] == nil)
            trace[stage] = UInt64(number + 1)
        }
        #expect(Trace.Stage.allCases.map { trace[$0] } == [1, 2, 3, 4, 5, 6])
    }

    @Test func revisionLabel() throws {
        let digest = try #require(ContentDigest(bytes: [UInt8](repeating: 0xAB, count: 32)))
        func label(_ etag: String?) throws -> String {
            SourceRevision(
                source: try #require(SourceName("a")),
                digest: digest,
                validators: Validators(etag: etag),
                fetchedAt: 0,
                traceID: ""
            ).label
        }
        #expect(try label(nil) == "abababababab")
        #expect(try label("\"v1\"") == "v1")
        #expect(try label("W/\"v1\"") == "W/v1")
    }

    static let strings: [(String, String)] = [
        ("", #""""#), ("abc é 😀", #""abc é 😀""#), ("\"\\/", #""\"\\/""#), ("\u{8}\t\n\u{C}\r", #""\b\t\n\f\r""#),
        ("a\u{0}b\u{1F}\u{7F}", "\"a\\u0000b\\u001f\u{7F}\""), ("\"", #""\"""#), ("x\\", #""x\\""#),
    ]

    @Test(arguments: strings)
    func jsonString(_ text: String, _ expected: String) {
        var out = Array("x".utf8)
        JSONText.appendString(text.utf8, to: &out)
        #expect(String(decoding: out, as: UTF8.self) == "x" + expected)
        var again = Array("x".utf8)
        JSONText.appendString(Array(("--" + text).utf8).dropFirst(2), to: &again)
        #expect(again == out)
    }
}

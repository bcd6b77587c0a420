import ConfigSnapshot
import Testing

@testable import ConfigDecode

@Suite("Hostile YAML")
struct HostileYAMLTests {
    private func tags(_ count: Int, _ end: String) -> String { (0..<count).map { "%TAG !a\($0)! x\(end)" }.joined() }

    @Test("Lines with %TAG, each of which the parser compares with all before it: a few, and no more")
    func tags() throws {
        #expect(try refusal(Array((tags(64, "\n") + "---\na: 1\n").utf8), .yaml) == nil)
        for end in ["\n", "\r\n"] {
            let flood = Array((tags(1_000_000, end) + "---\na: 1\n").utf8)
            let error = try #require(try refusal(flood, .yaml))
            #expect(error.code == .unsupported && error.position == Position(line: 65, column: 1), "\(error)")
        }
        #expect(try refusal(Array((tags(100_000, "\r") + "---\na: 1\n").utf8), .yaml)?.code == .unsupported)
        // Behind the document's end they would be read before it is told that there is a second one.
        #expect(try refusal(Array(("a: 1\n...\n" + tags(100_000, "\n")).utf8), .yaml)?.code == .unsupported)
        // In a text they are text.
        #expect(try leaves(Array("a: |\n  %TAG\n  %TAG\n".utf8), .yaml) == [#"a="%TAG\n%TAG\n""#])
    }
}

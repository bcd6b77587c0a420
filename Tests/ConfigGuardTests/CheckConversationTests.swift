import ConfigSnapshot
import Testing

@testable import ConfigGuard

@Suite("What is said about a check")
struct CheckConversationTests {
    private func question(_ command: [String]) throws -> CheckQuestion {
        CheckQuestion(
            source: try #require(SourceName("app")),
            format: .yaml,
            check: Check(command: command, timeoutMilliseconds: 1_500),
            length: 12
        )
    }

    @Test("A question comes back as it was, whatever is in it")
    func questions() throws {
        for command in [["/bin/a"], ["/bin/a", "", "b c", "x: y\n\nz", "{staged}", "ü\u{301}%41", "length: 7"]] {
            let question = try question(command)
            let bytes = question.bytes
            #expect(bytes.suffix(2) == CheckQuestion.end[...])
            // Its end is nowhere else.
            let ends = bytes.indices.dropLast().filter { bytes[$0] == 0x0A && bytes[$0 + 1] == 0x0A }
            #expect(ends == [bytes.count - 2])
            #expect(CheckQuestion(parsing: Array(bytes.dropLast(2))) == question)
        }
    }

    @Test(
        "What is no question is none",
        arguments: [
            "", "x", "agent-check 1", "agent-check 1\nsource: app\nformat: json\nlength: 1\ntimeout: 5",
            "agent-check 1\nsource: app\nformat: json\nlength: -1\ntimeout: 5\nargument: a",
            "agent-check 1\nsource: ../app\nformat: json\nlength: 1\ntimeout: 5\nargument: a",
            "agent-check 1\nsource: app\nformat: toml\nlength: 1\ntimeout: 5\nargument: a",
            "agent-check 1\nsource: app\nformat: json\nlength: 1\ntimeout: 0\nargument: a",
            "agent-check 1\nsource: app\nformat: json\nlength: 1\ntimeout: 5\nargument: %0",
            "agent-check 1\nsource: app\nformat: json\nlength: 1\ntimeout: 5\nargument: a%00b",
            "agent-check 2\nsource: app\nformat: json\nlength: 1\ntimeout: 5\nargument: a",
        ]
    )
    func noQuestion(text: String) { #expect(CheckQuestion(parsing: Array(text.utf8)) == nil) }

    @Test("An answer comes back as it was; half of one is none")
    func answers() {
        for answer: CheckAnswer in [
            .passed, .refused([]), .refused(["line 1: no\nend", "", "ü"]), .notRun("cannot run /bin/a"),
        ] {
            #expect(CheckAnswer(parsing: answer.bytes) == answer)
            for count in 0..<answer.bytes.count {
                #expect(CheckAnswer(parsing: Array(answer.bytes.prefix(count))) == nil, "\(answer) \(count)")
            }
        }
    }

    @Test("Of what a command says, so much is passed on, and nothing that does things to a terminal")
    func reasons() {
        #expect(CheckAnswer.reasons(in: Array("\n a \n\n\u{1B}[2Jb\r\nc\u{7}\n \t\n".utf8)) == [" a ", "[2Jb", "c"])
        let many = (1...100).map { "\($0) " + String(repeating: "x", count: 1_000) }.joined(separator: "\n")
        let reasons = CheckAnswer.reasons(in: Array(many.utf8))
        #expect(reasons.count == 8 && reasons.allSatisfy { $0.count == 300 })
        #expect(CheckAnswer.refused(reasons).bytes.count < CheckAnswer.longest)
        #expect(CheckAnswer.reasons(in: [0xFF, 0x41, 0x0A]) == ["\u{FFFD}A"])
    }
}

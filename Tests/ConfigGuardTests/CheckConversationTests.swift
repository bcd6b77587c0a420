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
            .passed, .refused(["line 1: no", "end", "ü%0A"]), .notRun("cannot run /bin/a"),
            .notRun("cannot run /bin/a: it is not there", advice: "install it"),
        ] {
            #expect(CheckAnswer(parsing: answer.bytes) == answer)
            for count in 0..<answer.bytes.count {
                #expect(CheckAnswer(parsing: Array(answer.bytes.prefix(count))) == nil, "\(answer) \(count)")
            }
        }
    }

    @Test("A refusal has a reason, and no answer is more, longer or wilder than what is passed on")
    func bounded() throws {
        func parsed(_ reasons: [String]) throws -> CheckAnswer {
            let lines = ["agent-check answer 1", "verdict: refused"] + reasons.map { "reason: \($0)" } + ["end", ""]
            return try #require(CheckAnswer(parsing: Array(lines.joined(separator: "\n").utf8)))
        }
        for none in [[], [""], ["%20%0A", "%zz"]] {
            #expect(try parsed(none) == .refused(["its check gave no reason"]))
        }
        #expect(Findings(check: []).count == 1)
        #expect(try parsed(["a%1B%5B2J%0Ab%E2%80%AE"]) == .refused(["a[2Jb"]))
        let long = String(repeating: "x", count: 400)
        #expect(try parsed((0..<20).map { _ in long }) == .refused((0..<8).map { _ in String(long.prefix(300)) }))
        // Whatever alphabet they are in, they come whole.
        for character in ["x", "字", "😀"] {
            let long = String(repeating: character, count: 1_000)
            for answer: CheckAnswer in [.refused((0..<20).map { _ in long }), .notRun(long, advice: long)] {
                let bytes = answer.bytes
                #expect(bytes.count <= CheckAnswer.longest)
                switch CheckAnswer(parsing: bytes) {
                case .refused(let reasons): #expect(reasons.count == 8 && reasons.allSatisfy { $0.count == 300 })
                case .notRun(let why, let advice): #expect(why.count == 300 && advice == why)
                default: Issue.record("no answer to \(character)")
                }
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

import Foundation
import Testing

@testable import ConfigGuard

@Suite("Patterns")
struct PatternTests {
    private func matches(_ pattern: String, _ text: String) throws -> Bool {
        var budget = 10_000_000
        let isMatch = try Pattern(pattern).matches(text.unicodeScalars, budget: &budget)
        return try #require(isMatch as Bool?)
    }

    @Test(
        "What matches, and what does not",
        arguments: [
            ("", ["", "a"], []),
            ("^$", [""], ["a", "\n"]),
            ("a", ["a", "bab"], ["", "b"]),
            ("^a+$", ["a", "aaa"], ["", "ab", "ba"]),
            ("^a*b?c$", ["c", "aac", "bc", "abc"], ["abbc", "ab"]),
            ("^(ab|cd)+$", ["ab", "abcd", "cdab"], ["", "abc", "ad"]),
            ("^(?:a|)b$", ["ab", "b"], ["aab"]),
            ("^(?<year>\\d{4})-\\d{2}$", ["2026-11"], ["26-11", "2026-1", "2026-111"]),
            ("^a{2}$", ["aa"], ["a", "aaa"]),
            ("^a{2,}$", ["aa", "aaaaa"], ["a"]),
            ("^a{2,3}?$", ["aa", "aaa"], ["a", "aaaa"]),
            ("^a{0}$", [""], ["a"]),
            ("^.$", ["a", "é", "😀", "\u{2000}"], ["", "\n", "\r", "\u{2028}", "ab"]),
            ("^[a-c-]+$", ["abc-"], ["d"]),
            ("^[^a-c]$", ["d", "\n"], ["a", ""]),
            ("^[]$", [], ["", "a"]),
            ("^[^]$", ["a", "\n"], [""]),
            ("^[\\d\\-\\]]+$", ["1-]"], ["a"]),
            ("^[\\b]$", ["\u{08}"], ["b"]),
            ("^\\w+\\s\\W$", ["ab_9 !"], ["é !", "ab!"]),
            ("^\\S$", ["a"], [" ", "\u{A0}", "\u{FEFF}", "\t"]),
            ("\\bcat\\b", ["cat", "a cat!", "cat-"], ["cats", "concat"]),
            ("\\Bcat", ["concat"], ["cat"]),
            ("^\\x41\\u0042\\u{43}\\cA\\0$", ["ABC\u{01}\0"], ["ABC"]),
            ("^\\uD83D\\uDE00$", ["😀"], ["\u{FFFD}"]),
            ("^\\p{L}\\p{Lu}\\P{L}$", ["éÀ1"], ["éà1", "1A1"]),
            ("^\\p{Letter}+$", ["Straße"], ["a1"]),
            ("^a|b$", ["ax", "xb"], ["xa", "bx"]),
            ("^\\^\\$\\\\\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\/$", ["^$\\.*+?()[]{}|/"], ["x"]),
            // Composed and decomposed are two texts.
            ("^\u{E9}$", ["\u{E9}"], ["e\u{301}"]),
        ] as [(String, [String], [String])]
    )
    func matching(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        for text in good { #expect(try matches(pattern, text), "\(text)") }
        for text in bad { #expect(try !matches(pattern, text), "\(text)") }
    }

    @Test(
        "What is none is refused, and is told where",
        arguments: [
            ("(", "a group without ')', at character 2"), (")", "a ')' too many, at character 1"),
            ("[a", "a set without ']', at character 3"), ("*a", "nothing to repeat"), ("a**", "nothing to repeat"),
            ("^*", "nothing to repeat"), ("a{2", "a '}' is missing"), ("a{", "a number is missing"),
            ("{1}", "by itself"), ("a}", "by itself"), ("]", "by itself"), ("a{3,2}", "ends before it begins"),
            ("a{1001}", "more than 1000 repetitions"), ("[b-a]", "ends before it begins"),
            ("[\\d-x]", "ends before it begins"), ("\\", "at the end"), ("\\y", "unknown escape"),
            ("\\-", "unknown escape"), ("\\1", "references back"), ("\\k<a>", "references back"),
            ("(?=a)", "looking around"), ("(?!a)", "looking around"), ("(?<=a)", "looking around"),
            ("(?<!a)", "looking around"), ("(?i:a)", "unknown kind of group"), ("(?<a b>c)", "not a group's name"),
            ("\\u12", "hexadecimal"), ("\\uD800", "surrogate"), ("\\u{110000}", "not a character"),
            ("\\p{Greek}", "only general categories"), ("\\pL", "'{' is missing"), ("\\c1", "a letter is missing"),
            ("(a{1000}){1000}", "too large"),
        ]
    )
    func refused(_ pattern: String, _ message: String) {
        let problem = #expect(throws: PatternProblem.self) { _ = try Pattern(pattern) }
        #expect(problem?.message.contains(message) == true, "\(problem?.message ?? "")")
    }

    @Test("Deep nesting and repetitions of nothing come to an end")
    func bounds() throws {
        #expect(throws: PatternProblem.self) {
            _ = try Pattern(String(repeating: "(", count: 100_000) + String(repeating: ")", count: 100_000))
        }
        var nothing = "()"
        for _ in 0..<20 { nothing = "(\(nothing){1000})" }
        #expect(try matches("^\(nothing)$", ""))
    }

    @Test("Patterns that others take ages for take steps in proportion to the text")
    func linear() throws {
        for pattern in ["^(a+)+$", "^(a|aa)+$", "^(a*)*$", "(x+x+)+y", "^(a|a?)+$", "(.*)*b$"] {
            func steps(_ count: Int) throws -> Int {
                var budget = Int.max
                let text = String(repeating: "a", count: count) + "!"
                #expect(try Pattern(pattern).matches(text.unicodeScalars, budget: &budget) == false)
                return Int.max - budget
            }
            let (small, large) = (try steps(1_000), try steps(10_000))
            #expect(large <= 11 * small, "\(pattern): \(small), \(large)")
        }
        var budget = 100
        #expect(
            try Pattern("^(a+)+$").matches(String(repeating: "a", count: 1_000).unicodeScalars, budget: &budget) == nil
        )
    }

    /// Against another engine, which looks at one way after the other.
    @Test("Random patterns match as Foundation's do")
    func random() throws {
        var generator = SystemRandomNumberGenerator()
        func pattern(_ depth: Int) -> String {
            func part() -> String {
                switch Int.random(in: 0..<9, using: &generator) {
                case 0 where depth > 0: "(\(pattern(depth - 1))|\(pattern(depth - 1)))"
                case 1 where depth > 0: "(?:\(pattern(depth - 1)))" + (["*", "+", "?", "{1,2}"].randomElement() ?? "")
                case 2: "[ab]"
                case 3: "[^b]"
                case 4: "\\w"
                case 5: "a*"
                case 6: "\\b"
                case 7: "."
                default: ["a", "b", "c", "ab"].randomElement() ?? "a"
                }
            }
            return (0..<Int.random(in: 1...3, using: &generator)).map { _ in part() }.joined()
        }
        for _ in 0..<3_000 {
            let source = (Bool.random() ? "^" : "") + pattern(2) + (Bool.random() ? "$" : "")
            let ours = try Pattern(source)
            let theirs = try NSRegularExpression(pattern: source)
            for _ in 0..<5 {
                let text = String((0..<Int.random(in: 0...8)).map { _ in "abc !".randomElement() ?? "a" })
                var budget = 1_000_000
                let range = NSRange(text.startIndex..., in: text)
                #expect(
                    ours.matches(text.unicodeScalars, budget: &budget)
                        == (theirs.firstMatch(in: text, range: range) != nil),
                    "\(source) in '\(text)'"
                )
            }
        }
    }
}

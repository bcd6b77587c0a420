import ConfigSnapshot
import Foundation
import Testing

@testable import ConfigDecode

/// Documents that are as unkind as their size allows: what they cost is held against that of a kind one of that size.
@Suite("What hostile documents cost")
struct HostileCostTests {
    private static let count = 200_000
    /// For what is no question of names: still enough for anything quadratic to be a thousand times too much.
    private static let fewer = 50_000

    struct Family: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var format = DocumentFormat.json
        /// How many values there are.
        var keys = HostileCostTests.count
        var body: @Sendable () -> String
    }

    /// Of seven digits.
    private static func digits(_ number: Int) -> String { String(String(10_000_000 + number).dropFirst()) }

    private static func object(_ names: some Sequence<String>) -> String {
        "{" + names.map { "\"\($0)\":1" }.joined(separator: ",") + "}"
    }

    /// A number's digits in another order, the same for each run: neither sorted nor by chance.
    private static func mixed(_ number: Int) -> Int { number * 7_919 % count }

    private static func usual() -> String { object((0..<count).map { digits(mixed($0)) + digits($0) }) }

    static let families: [Family] = [
        Family(testDescription: "in reverse order") { object((0..<count).reversed().map { "k" + digits($0) }) },
        Family(testDescription: "a long beginning in common, in no order") {
            object((0..<count).map { String(repeating: "p", count: 40) + digits(mixed($0)) })
        },
        Family(testDescription: "a long beginning in common, in reverse order") {
            object((0..<count).reversed().map { String(repeating: "p", count: 40) + digits($0) })
        },
        Family(testDescription: "names full of dots") {
            object((0..<count).map { String(repeating: ".", count: 20) + digits(mixed($0)) })
        },
        Family(testDescription: "names full of escapes") {
            object((0..<count).map { #"\u0001\\\"\u002e"# + digits(mixed($0)) })
        },
        Family(testDescription: "each at the bottom of 60 levels", keys: fewer / 60) {
            let member = String(repeating: "{\"a\":", count: 60) + "1" + String(repeating: "}", count: 60)
            return "{" + (0..<(fewer / 60)).map { "\"\(digits($0))\":\(member)" }.joined(separator: ",") + "}"
        },
        Family(testDescription: "one each in as many objects", keys: fewer) {
            "{" + (0..<fewer).map { "\"\(digits($0))\":{\"a\":1}" }.joined(separator: ",") + "}"
        },
        Family(testDescription: "one name in as many objects of one array", keys: 1) {
            "{\"a\":[" + [String](repeating: "{\"a\":1}", count: fewer).joined(separator: ",") + "]}"
        },
        Family(testDescription: "as many empty objects", keys: fewer) {
            "{" + (0..<fewer).map { "\"\(digits($0))\":{}" }.joined(separator: ",") + "}"
        },
        // In ConfigSnapshot's tests these meet an index with the seed that they were made for.
        Family(testDescription: "made to collide") {
            object((0..<count).map { "0" + digits(mixed($0)) + "collides-database-ms" })
        },
        Family(testDescription: "as one line of YAML", format: .yaml, keys: fewer) {
            object((0..<fewer).map { "k" + digits($0) })
        },
        Family(testDescription: "as lines of YAML, in reverse order", format: .yaml, keys: fewer) {
            (0..<fewer).reversed().map { "k\(digits($0)): 1\n" }.joined()
        },
        Family(testDescription: "as YAML with a comment for each", format: .yaml, keys: fewer) {
            (0..<fewer).map { "# \(digits($0))\n\"k\(digits($0))\" : 1\n" }.joined()
        },
        Family(testDescription: "as YAML, each below another", format: .yaml, keys: fewer) {
            (0..<fewer).map { "k\(digits($0)):\n  a: 1\n" }.joined()
        },
        Family(testDescription: "as YAML of one sequence", format: .yaml, keys: 1) {
            "a:\n" + (0..<fewer).map { "- {k: \($0)}\n" }.joined()
        },
        Family(testDescription: "as YAML of one text in as many lines", format: .yaml, keys: 1) {
            "a:\n" + String(repeating: "  text\n\n", count: fewer)
        },
    ]

    /// The processor time that decoding takes: other tests run at the same time. Per byte.
    private func cost(_ text: String, _ format: DocumentFormat, keys: Int) throws -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let document = try verified(Array(text.utf8))
        let start = now()
        let table = try DocumentDecoder(format: format, urlPath: "/").decode(document, now: { 1 }).table
        let spent = now() - start
        #expect(table.count == keys)
        return spent / Double(document.body.count)
    }

    @Test(
        "200,000 names, however they are chosen: twenty times the cost of as many bytes of a kind document, and no more"
    )
    func ratio() throws {
        let usual = try cost(Self.usual(), .json, keys: Self.count)
        for family in Self.families {
            let hostile = try cost(family.body(), family.format, keys: family.keys)
            // Were anything quadratic in the names, it would be ten thousand times as much.
            #expect(hostile < 20 * usual, "\(family.testDescription): \(hostile / usual) times as much")
        }
    }

    @Test("The last of 200,000 names stands there already, made to collide: it is found, at its place")
    func lastIsTwice() throws {
        let names = (0..<Self.count).map { "0" + Self.digits(Self.mixed($0)) + "collides-database-ms" }
        let text = Self.object(names + [names[0]])
        let error = try #require(try refusal(Array(text.utf8), .json))
        #expect(error.code == .duplicateKey)
        #expect(error.position == Position(line: 1, column: text.utf8.count - 32))
    }
}

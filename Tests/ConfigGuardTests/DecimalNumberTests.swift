import Testing

@testable import ConfigGuard

@Suite("Exact numbers")
struct DecimalNumberTests {
    private func number(_ text: String) -> DecimalNumber { DecimalNumber(Array(text.utf8)) }

    @Test("One value, however it is written")
    func equal() {
        for group in [
            ["0", "-0", "0.0", "0e5", "-0.00E-3"], ["1", "1.0", "10e-1", "0.1e1", "0.01E+2", "1e0"],
            ["-120", "-1.2e2", "-12e1", "-120.000"], ["1e400", "10e399", "0.1e401"],
            ["12345678901234567890123", "1234567890123456789012.3e1"],
        ] {
            #expect(Set(group.map(number)).count == 1, "\(group)")
            #expect(Set(group.map { number($0).canonical }).count == 1, "\(group)")
        }
    }

    @Test("Their order, to the last digit")
    func order() {
        let sorted = [
            "-1e400", "-9007199254740993", "-9007199254740992", "-1.5", "-1", "-0.5", "-1e-400", "0", "1e-400",
            "1e-5", "0.1", "0.10000000000000000001", "0.2", "1", "1.5", "9", "10", "11", "99", "100",
            "9007199254740992", "9007199254740993", "18446744073709551616", "1e400",
        ].map(number)
        for (index, left) in sorted.enumerated() {
            for (other, right) in sorted.enumerated() { #expect((left < right) == (index < other)) }
        }
    }

    @Test("Whole numbers, and counts")
    func whole() {
        for text in ["0", "1", "1.0", "1e400", "-7", "2.50e1"] { #expect(number(text).isInteger, "\(text)") }
        for text in ["0.5", "1e-1", "-1.1", "1e-400"] { #expect(!number(text).isInteger, "\(text)") }
        #expect(number("2.0").count == 2 && number("0").count == 0 && number("1e3").count == 1_000)
        #expect(number("999999999999999999").count == 999_999_999_999_999_999)
        for text in ["-1", "1.5", "1e18", "1e400"] { #expect(number(text).count == nil, "\(text)") }
    }

    @Test(
        "Multiples",
        arguments: [
            ("10", "2", true), ("7", "2", false), ("0", "5", true), ("-9", "3", true), ("4.5", "1.5", true),
            ("0.3", "0.1", true), ("0.0075", "0.0001", true), ("0.00751", "0.0001", false), ("1e308", "3", false),
            ("1e400", "125", true), ("3e100000000", "3", true), ("1e-9", "1", false), ("35", "1e1", false),
            ("1e30", "999999999999999999", false), ("999999999999999999000", "999999999999999999", true),
            ("1", "1", true), ("12345678901234567890", "12345", false), ("5", "0.00000000000000001", true),
        ] as [(String, String, Bool)]
    )
    func multiples(_ text: String, _ divisor: String, _ isMultiple: Bool) throws {
        let divisor = try #require(DecimalNumber.Divisor(number(divisor)))
        #expect(number(text).isMultiple(of: divisor) == isMultiple)
    }

    @Test("As whole numbers are divided")
    func againstIntegers() throws {
        for _ in 0..<10_000 {
            let (left, right) = (Int.random(in: -1_000_000...1_000_000), Int.random(in: 1...2_000))
            let divisor = try #require(DecimalNumber.Divisor(number("\(right)")))
            #expect(number("\(left)").isMultiple(of: divisor) == (left % right == 0))
            #expect((number("\(left)") < number("\(right)")) == (left < right))
        }
    }

    @Test("What nothing is a multiple of")
    func noDivisors() {
        for text in ["0", "-1", "1234567890123456789"] { #expect(DecimalNumber.Divisor(number(text)) == nil) }
    }

    @Test("Exponents without end overflow nothing")
    func huge() throws {
        let nines = String(repeating: "9", count: 1_000)
        let numbers = ["1e\(nines)", "-1e\(nines)", "1e-\(nines)"].map(number)
        #expect(numbers[1] < numbers[2] && numbers[2] < numbers[0])
        let divisor = try #require(DecimalNumber.Divisor(number("7e-\(nines)")))
        #expect(!numbers[0].isMultiple(of: divisor))
        #expect(number("0e\(nines)") == number("0"))
    }
}

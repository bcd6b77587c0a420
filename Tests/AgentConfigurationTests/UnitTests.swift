import Testing

@testable import AgentConfiguration

@Suite("Times and sizes")
struct UnitTests {
    static let spans: [(String, UInt64)] = [
        ("0", 0), ("45", 45_000_000_000), ("45s", 45_000_000_000), ("1m", 60_000_000_000),
        ("1h30m", 5_400_000_000_000), ("10ms", 10_000_000), ("250us", 250_000), ("2d", 172_800_000_000_000),
        ("1.5s", 1_500_000_000), ("1.5", 1_500_000_000), ("7ns", 7), ("0.5us", 500),
        ("1d2h3m4s5ms6us7ns", 93_784_005_006_007),
        ("007s", 7_000_000_000), ("1h0m", 3_600_000_000_000), ("0.25h", 900_000_000_000), ("1m0.5s", 60_500_000_000),
        ("0.000000001", 1), ("1.500000000000s", 1_500_000_000), ("18446744073709551615ns", .max),
        ("18446744073.709551615", .max),
        ("213503d", 18_446_659_200_000_000_000), ("90m", 5_400_000_000_000),
    ]

    @Test(arguments: spans)
    func span(_ text: String, _ nanoseconds: UInt64) throws {
        #expect(try TimeSpan.parse(text).nanoseconds == nanoseconds)
    }

    static let badSpans: [(String, String)] = [
        ("", "not a length of time"), ("s", "not a length of time"), ("-1s", "not a length of time"),
        ("+1s", "not a length of time"), ("1 s", "not a length of time"), ("1S", "not a length of time"),
        ("1min", "not a length of time"), ("1m1h", "not a length of time"), ("1s1s", "not a length of time"),
        ("1h30", "not a length of time"), ("1.s", "not a length of time"), (".5s", "not a length of time"),
        ("1.5.5s", "not a length of time"), ("1e3", "not a length of time"), ("1:30", "not a length of time"),
        ("1w", "not a length of time"), ("1s ", "not a length of time"), ("1,5s", "not a length of time"),
        ("٣s", "not a length of time"), ("0.1ns", "no whole number"), ("1.0000000001s", "no whole number"),
        ("0.000000000000001d", "no whole number"), ("18446744073709551616ns", "too long"), ("213504d", "too long"),
        ("18446744074", "too long"), ("213503d24h", "too long"), ("99999999999999999999999999s", "too long"),
    ]

    @Test(arguments: badSpans)
    func badSpan(_ text: String, _ fragment: String) throws {
        let problem = try #require(throws: SettingProblem.self) { try TimeSpan.parse(text) }
        #expect(problem.what.contains(fragment), "\(problem)")
    }

    static let written: [(UInt64, String)] = [
        (0, "0s"), (1, "1ns"), (90_000_000_000, "1m30s"), (1_500_000_000, "1s500ms"), (250_000, "250us"),
        (86_400_000_000_000, "1d"), (93_784_005_006_007, "1d2h3m4s5ms6us7ns"),
        (.max, "213503d23h34m33s709ms551us615ns"),
    ]

    @Test(arguments: written)
    func spanIsWritten(_ nanoseconds: UInt64, _ text: String) throws {
        #expect(TimeSpan(nanoseconds: nanoseconds).description == text)
        #expect(try TimeSpan.parse(text).nanoseconds == nanoseconds)
    }

    @Test func spanOrder() {
        #expect(TimeSpan.milliseconds(999) < .seconds(1))
        #expect(TimeSpan.days(1) == .hours(24))
        #expect(TimeSpan.minutes(60) == .hours(1))
    }

    static let sizes: [(String, Int)] = [
        ("0", 0), ("4096", 4096), ("4096B", 4096), ("16KiB", 16384), ("16MiB", 16_777_216), ("1GiB", 1_073_741_824),
        ("1TiB", 1_099_511_627_776), ("1kB", 1000), ("1KB", 1000), ("1MB", 1_000_000), ("2GB", 2_000_000_000),
        ("1TB", 1_000_000_000_000), ("9223372036854775807", .max),
    ]

    @Test(arguments: sizes)
    func size(_ text: String, _ bytes: Int) throws { #expect(try ByteSize.parse(text) == bytes) }

    static let badSizes: [(String, String)] = [
        ("", "not a size"), ("MiB", "not a size"), ("1M", "not a size"), ("1K", "not a size"), ("1mib", "not a size"),
        ("1.5MiB", "not a size"), ("-1", "not a size"), ("1 MiB", "not a size"), ("1MiB ", "not a size"),
        ("0x10", "not a size"), ("1e6", "not a size"), ("9223372036854775808", "too large"),
        ("8388608TiB", "too large"),
    ]

    @Test(arguments: badSizes)
    func badSize(_ text: String, _ fragment: String) throws {
        let problem = try #require(throws: SettingProblem.self) { try ByteSize.parse(text) }
        #expect(problem.what.contains(fragment), "\(problem)")
    }

    @Test func sizeIsWritten() {
        #expect(ByteSize.text(0) == "0")
        #expect(ByteSize.text(1000) == "1000")
        #expect(ByteSize.text(16 << 20) == "16MiB")
        #expect(ByteSize.text(1536) == "1536")
        #expect(ByteSize.text(3 << 10) == "3KiB")
    }
}

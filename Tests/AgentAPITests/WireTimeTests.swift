import AgentAPI
import Testing

@Suite struct WireTimeTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_356_187_250_999_999, "2026-11-22T14:03:07.250Z"),
        (951_827_696_789_000_000, "2000-02-29T12:34:56.789Z"),
        (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (Int64.max, "2262-04-11T23:47:16.854Z"),
        (Int64.min, "1677-09-21T00:12:43.145Z"),
    ])
    func isWrittenWithMilliseconds(nanoseconds: Int64, text: String) {
        let time = WireTime(unixNanoseconds: nanoseconds)
        #expect(time.description == text)
        #expect(WireTime(parsing: text) == time)
    }

    @Test(arguments: [
        ("2026-11-22T14:03:07Z", 0),
        ("2026-11-22t14:03:07z", 0),
        ("2026-11-22T14:03:07.5Z", 500),
        ("2026-11-22T14:03:07.123456789Z", 123),
        ("2026-11-22T15:33:07.001+01:30", 1),
        ("2026-11-21T23:03:07-15:00", 0),
    ])
    func readsWhatOthersWrite(text: String, milliseconds: Int64) {
        #expect(WireTime(parsing: text)?.unixMilliseconds == 1_795_356_187_000 + milliseconds)
    }

    @Test(arguments: [
        "", "2026-11-22", "2026-11-22 14:03:07Z", "2026-11-22T14:03:07", "2026-11-22T14:03Z", "2026-11-22T14:03:07.Z",
        "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-00-10T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-11-22T24:00:00Z", "2026-11-22T14:60:00Z", "2026-06-30T23:59:60Z", "2026-11-22T14:03:07Zx",
        "2026-11-22T14:03:07+0100", "2026-11-22T14:03:07+24:00", "+026-11-22T14:03:07Z", "２026-11-22T14:03:07Z",
    ])
    func refusesEverythingElse(text: String) {
        #expect(WireTime(parsing: text) == nil)
    }

    @Test func everyDayFrom1920To2130ComesBack() {
        for day in Int64(-18_000)...58_500 {
            let time = WireTime(unixMilliseconds: day * 86_400_000 + 1)
            #expect(WireTime(parsing: time.description) == time)
        }
    }

    @Test func isAJSONString() throws {
        let time = WireTime(unixMilliseconds: 1)
        #expect(try WireJSON.encode([time]) == Array(#"["1970-01-01T00:00:00.001Z"]"#.utf8))
        #expect(throws: DecodingError.self) { try WireJSON.decode([WireTime].self, from: Array(#"["today"]"#.utf8)) }
    }

    @Test func measuresDistances() {
        let earlier = WireTime(unixMilliseconds: 1000)
        let later = WireTime(unixMilliseconds: 3500)
        #expect(later.seconds(since: earlier) == 2.5)
        #expect(earlier.seconds(since: later) == -2.5)
        #expect(earlier < later)
        #expect(WireTime.now > WireTime(unixMilliseconds: 1_700_000_000_000))
    }
}

import AgentctlKit
import Testing

@Suite struct DurationsTests {
    @Test(arguments: [
        (-5.0, "0s", "0 s"), (0.9, "0s", "0 s"), (59.9, "59s", "59 s"), (60, "1m", "1 min"),
        (192, "3m 12s", "3 min 12 s"), (3600, "1h", "1 h"), (3661, "1h 1m", "1 h 1 min"),
        (3605, "1h", "1 h"), (273_600, "3d 4h", "3 d 4 h"), (.infinity, "11574074d 1h", "11574074 d 1 h"),
    ])
    func inTwoUnits(seconds: Double, compact: String, spaced: String) {
        #expect(Durations.compact(seconds) == compact)
        #expect(Durations.spaced(seconds) == spaced)
    }

    @Test(arguments: [
        (0, "0us"), (999, "999us"), (1000, "1.0ms"), (12_345, "12.3ms"), (1_500_000, "1.5s"), (90_000_000, "1m 30s"),
    ])
    func short(microseconds: UInt64, text: String) {
        #expect(Durations.microseconds(microseconds) == text)
    }

    @Test func relativeToNow() {
        #expect(Durations.ago(Fixtures.ago(3), now: Fixtures.now) == "3s ago")
        #expect(Durations.ago(Fixtures.ago(-3), now: Fixtures.now) == "0s ago")
        #expect(Durations.until(Fixtures.ago(-12), now: Fixtures.now) == "in 12s")
        #expect(Durations.until(Fixtures.ago(1), now: Fixtures.now) == "due")
        #expect(Durations.limit(milliseconds: 300) == "300 ms")
        #expect(Durations.limit(milliseconds: 90_000) == "1 min 30 s")
    }

    @Test(arguments: [
        ("45", 45_000), ("45s", 45_000), ("500ms", 500), ("1m", 60_000), ("2h", 7_200_000), ("0", nil), ("", nil),
        ("-1s", nil), ("1.5s", nil), ("1 m", nil), ("1d", nil), ("s", nil), ("٣s", nil), ("9223372036854775807h", nil),
        ("999999999999999999999", nil), ("169h", nil),
    ])
    func areRead(text: String, milliseconds: Int?) {
        #expect(Durations.parseMilliseconds(text) == milliseconds)
    }
}

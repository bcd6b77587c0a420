import Foundation
import LockLadder
import Testing

@testable import AgentTelemetry

@Suite("Records and where they go")
struct JournalTests {
    // 2026-11-22 14:03:07.250 UTC
    private static let time: Int64 = 1_795_356_187_250_999_999

    @Test func line() {
        let record = JournalRecord(
            .notice,
            .published,
            "published generation 7",
            [
                ("AGENT_EVENT", "published"), ("AGENT_GENERATION", "7"), ("CODE_FILE", "x"), ("AGENT_ERROR", "y"),
                ("AGENT_NOTE", "two words"), ("AGENT_EMPTY", ""),
            ]
        )
        let expected =
            "2026-11-22 14:03:07.250Z notice  published generation 7  AGENT_GENERATION=7 AGENT_NOTE=\"two words\" "
            + "AGENT_EMPTY=\"\"\n"
        #expect(JournalSink.line(record, at: Self.time) == expected)
    }

    @Test("Levels take the same room", arguments: LogLevel.allCases)
    func levels(level: LogLevel) {
        let line = JournalSink.line(JournalRecord(level, nil, "x"), at: Self.time)
        #expect(line == "2026-11-22 14:03:07.250Z \(level.name.padding(toLength: 7, withPad: " ", startingAt: 0)) x\n")
    }

    private static let odd = [
        "a\nb", "a\r\nb", "a\rb", "\n", "a\u{1B}[31mb", "a\"b\\c", "a\u{0}b", "a\tb", "\u{2028}", "é\u{7F}", "a\u{85}b",
    ]

    @Test("One record is one line, whatever is in its fields", arguments: odd)
    func oddField(value: String) {
        let line = JournalSink.line(JournalRecord(.error, nil, "m", [("AGENT_X", value), ("AGENT_Y", "y")]), at: 0)
        #expect(line.utf8.filter { $0 == 0x0A }.count == 1)
        #expect(line.hasSuffix(" AGENT_Y=y\n"))
        #expect(line.utf8.dropLast().allSatisfy { $0 >= 0x20 })
    }

    @Test("One record is one line, whatever is in its message", arguments: odd)
    func oddMessage(value: String) {
        let line = JournalSink.line(JournalRecord(.error, nil, "before \(value) after", [("AGENT_Y", "y")]), at: 0)
        #expect(line.utf8.filter { $0 == 0x0A }.count == 1)
        #expect(line.utf8.dropLast().allSatisfy { $0 >= 0x20 || $0 == 0x09 })
        #expect(line.hasSuffix(" after  AGENT_Y=y\n"))
    }

    @Test func levelNames() {
        for level in LogLevel.allCases { #expect(LogLevel(name: level.name) == level) }
        #expect(LogLevel(name: "loud") == nil)
        #expect(LogLevel.error < .warning)
        #expect(LogLevel.info < .debug)
    }

    @Test("Records above the level are not taken")
    func levelFilter() async {
        await #expect(processExitsWith: .success) {
            let path = temporaryPath()
            defer { unlink(path) }
            redirectStandardError(to: path)
            let journal = Journal(level: .notice, warnWait: .max, reportInterval: 3_600 * second)
            try ensure(journal.destination == "stderr", journal.destination)
            try ensure(journal.start(), "no thread")
            for level in LogLevel.allCases { journal.log(JournalRecord(level, nil, "at \(level.name)")) }
            try ensure(journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)), "not stopped")
            let told = readLines(path).map { $0.split(separator: " ").last.map(String.init) ?? "" }
            try ensure(told == ["error", "warning", "notice"], "\(told)")
            try ensure(journal.counts.sent == 3, "\(journal.counts)")
            try ensure(journal.counts.dropped == 0, "\(journal.counts)")
        }
    }

    @Test("What does not fit is counted, and the count is told once there is room again")
    func drops() async {
        await #expect(processExitsWith: .success) {
            let path = temporaryPath()
            defer { unlink(path) }
            redirectStandardError(to: path)
            let journal = Journal(level: .info, warnWait: .max, reportInterval: 3_600 * second)
            // Nobody takes records out before the thread runs.
            for number in 0..<2_148 { journal.log(JournalRecord(.info, nil, "record \(number)")) }
            try ensure(journal.counts.dropped == 100, "\(journal.counts)")
            try ensure(journal.counts.sent == 0, "\(journal.counts)")
            try ensure(journal.start(), "no thread")
            try ensureSoon("the report: \(journal.counts)") { journal.counts.sent == 2_049 }
            journal.log(JournalRecord(.info, nil, "afterwards"))
            try ensure(journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)), "not stopped")
            let lines = readLines(path)
            try ensure(lines.count == 2_050, "\(lines.count) lines")
            try ensure(lines[0].hasSuffix("record 0") && lines[2_047].hasSuffix("record 2047"), lines[2_047])
            try ensure(lines[2_048].hasSuffix("AGENT_DROPPED=100"), lines[2_048])
            try ensure(lines[2_049].hasSuffix("afterwards"), lines[2_049])
            try ensure(journal.counts.dropped == 100, "\(journal.counts)")
        }
    }

    @Test("With a receiver that takes nothing, logging goes on, drops are counted, and stopping gives up in time")
    func blockedReceiver() async {
        await #expect(processExitsWith: .success) {
            unsetenv("JOURNAL_STREAM")
            var ends: [Int32] = [0, 0]
            try ensure(pipe(&ends) == 0, "no pipe")
            dup2(ends[1], STDERR_FILENO)
            let journal = Journal(level: .info, warnWait: .max, reportInterval: 3_600 * second)
            try ensure(journal.start(), "no thread")
            let begun = MonotonicTime.now
            let long = String(repeating: "x", count: 1_000)
            for _ in 0..<10_000 { journal.log(JournalRecord(.info, nil, long)) }
            try ensure(journal.counts.dropped > 1_000, "\(journal.counts)")
            let deadline = MonotonicTime.now.advanced(byNanoseconds: second / 10)
            try ensure(!journal.stop(until: deadline), "stopped")
            try ensure(MonotonicTime.now >= deadline, "gave up early")
            try ensure(MonotonicTime.now.nanoseconds(since: begun) < 20 * second, "took long")
            let sentBefore = journal.counts.sent
            // Once somebody reads again, everything that waited comes through, and the count of the rest.
            let reader = ends[0]
            Thread {
                var buffer = [UInt8](repeating: 0, count: 65_536)
                while read(reader, &buffer, buffer.count) > 0 {}
            }.start()
            try ensureSoon("the rest") { journal.counts.sent > sentBefore + 2_000 }
        }
    }

    @Test("Contention above the threshold becomes a record; other contention does not")
    func contention() async {
        await #expect(processExitsWith: .success) {
            let path = temporaryPath()
            defer { unlink(path) }
            redirectStandardError(to: path)
            let journal = Journal(level: .info, warnWait: 20_000_000, reportInterval: 3_600 * second)
            try ensure(journal.start(), "no thread")
            journal.note(generation: 42)
            let lock = ContendedLock("test.contention")
            contend(lock, sleeping: 0.1)
            try ensureSoon("the record") { journal.counts.sent >= 1 }
            try ensure(journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)), "not stopped")
            let told = readLines(path).filter { $0.contains("AGENT_LOCK=test.contention") }
            try ensure(told.count == 1, "\(readLines(path))")
            for part in ["AGENT_GENERATION=42", "AGENT_WAIT_GE=10ms", "AGENT_SUPPRESSED=0", " warning "] {
                try ensure(told[0].contains(part), told[0])
            }
        }
    }

    @Test func reports() async {
        await #expect(processExitsWith: .success) {
            let path = temporaryPath()
            defer { unlink(path) }
            redirectStandardError(to: path)
            let journal = Journal(level: .info, warnWait: .max, reportInterval: 10_000_000)
            try ensure(journal.start(), "no thread")
            contend(ContendedLock("test.reports"))
            let lock = ContendedLock("test.kept")
            contend(lock)
            try ensureSoon("the report") { readLines(path).contains { $0.contains("AGENT_LOCK=test.kept") } }
            try ensure(journal.stop(until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)), "not stopped")
        }
    }

    @Test func stopWithoutStart() {
        let journal = Journal(level: .info, warnWait: .max, reportInterval: second)
        #expect(journal.stop(until: .now))
    }
}

import AgentAPI
import AgentctlKit
import Testing

@Suite struct StatusTextTests {
    private func render(_ status: StatusReport, colour: Bool = false, width: Int = 100) -> String {
        StatusText.render(status, now: Fixtures.now, style: TextStyle(colour: colour, width: width))
    }

    @Test func healthy() {
        #expect(
            render(Fixtures.healthy) == """
                agent is healthy since 2026-11-22 14:03:07 UTC (3m 12s)
                8/8 workers on generation 42, confirmed 3 s ago

                SOURCE  STATE  REVISION  LAST SUCCESS  LAST ERROR  NEXT POLL
                app     fresh  r42       3s ago        -           in 12s

                flights: 70 calls, 63 folded into others' flights; 7 flights, 0 failed, 1 in flight
                clients: 1 connection, 0 watchers
                journal: 12 records sent to journald

                """
        )
    }

    @Test("A source that is asked at a mirror says so; one that is at its first place needs no words")
    func elsewhere() {
        var status = Fixtures.healthy
        status.sources["app"]?.place = PlaceStatus(url: "https://b.example/app.json", index: 1, count: 3, moves: 1)
        let lines = render(status).split(separator: "\n").map(String.init)
        let row = lines.firstIndex { $0.hasPrefix("app ") }
        #expect(row.map { lines[$0 + 1] } == "    asked at https://b.example/app.json, its place 2 of 3")
        status.sources["app"]?.place?.index = 0
        #expect(!render(status).contains("asked at"))
    }

    @Test func degraded() {
        #expect(
            render(Fixtures.degraded, width: 70) == """
                agent is degraded since 2026-11-22 14:05:29 UTC (50s)
                  - source extra: 4 requests failed (for 50s)
                  - records were lost (for 20s)
                7/8 workers on generation 42, confirmed 3 s ago
                  - agent-worker-3 is on generation 40, 2 behind
                generation 41 is stored durably: a power cut now would lose what is newer

                SOURCE  STATE    REVISION  LAST SUCCESS  LAST ERROR              NEXT POLL
                app     fresh    r42       3s ago        -                       in 12s
                extra   failing  r42       3s ago        5s ago (duplicate_key)  in 12s
                    decode: line 7, column 3: the key 'db.url' stands twice in the
                    same object, and was first seen in line 2
                    hint: remove one of the two
                once    fresh    r42       3s ago        5s ago (duplicate_key)  in 12s

                flights: 70 calls, 63 folded into others' flights; 7 flights, 0 failed, 1 in flight
                clients: 1 connection, 0 watchers
                journal: 12 records sent to journald, 3 DROPPED

                """
        )
    }

    @Test func startingWithoutSnapshot() {
        #expect(
            render(Fixtures.starting) == """
                agent is failed since 2026-11-22 14:06:18 UTC (1s)
                  - source app: no answer yet (for 1s)
                no generation yet: 2 workers without a snapshot

                SOURCE  STATE     REVISION  LAST SUCCESS  LAST ERROR  NEXT POLL
                app     starting  -         never         -           in 12s

                flights: 70 calls, 63 folded into others' flights; 7 flights, 0 failed, 1 in flight
                clients: 1 connection, 0 watchers
                journal: 12 records sent to journald

                """
        )
    }

    @Test func coloursChangeNothingButColours() {
        let plain = render(Fixtures.degraded)
        let coloured = render(Fixtures.degraded, colour: true)
        #expect(!plain.contains("\u{1B}"))
        #expect(coloured.contains("agent is \u{1B}[33mdegraded\u{1B}[0m since"))
        #expect(coloured.contains("\u{1B}[31mfailing\u{1B}[0m"))
        #expect(coloured.contains("\u{1B}[31m, 3 DROPPED\u{1B}[0m"))
        #expect(coloured.replacing(#/\u{1B}\[[0-9]+m/#, with: "") == plain)
    }

    @Test func aLongErrorIsWrappedAndNeverCutOff() throws {
        let words = (0..<200).map { "word\($0)" }
        var status = Fixtures.degraded
        let longWord = String(repeating: "x", count: 300)
        status.sources["extra"]?.lastError?.message = words.joined(separator: " ") + "\n" + longWord
        let lines = render(status, width: 60).split(separator: "\n")
        let found = lines.flatMap { $0.split(separator: " ") }.map(String.init)
        #expect(found.filter { $0.hasPrefix("word") } == words)
        #expect(lines.contains { $0 == "    " + longWord })
        #expect(lines.filter { $0.contains("word") }.allSatisfy { $0.count <= 60 && $0.hasPrefix("    ") })
    }

    @Test func whatASourceSendsCannotSteerTheTerminal() {
        var status = Fixtures.degraded
        status.sources["extra"]?.lastError?.message = "a\u{1B}[2Jb\r\u{202E}c\u{9B}d\te"
        status.sources["extra"]?.revision = "r\u{1B}]0;x\u{7}\n"
        status.health.reasons[0].message = "\u{8}x"
        let text = render(status)
        #expect(text.contains(#"a\u{1b}[2Jb\u{d}\u{202e}c\u{9b}d\u{9}e"#))
        #expect(text.contains(#"r\u{1b}]0;x\u{7}\u{a}"#))
        #expect(text.contains(#"\u{8}x"#))
    }

    @Test func unconfirmedAndWithoutSources() {
        var status = Fixtures.healthy
        status.confirmedAt = nil
        status.durableGeneration = 0
        status.sources = [:]
        let text = render(status)
        #expect(text.contains("8/8 workers on generation 42, not yet confirmed by every source\n"))
        #expect(text.contains("nothing is stored durably: a power cut now would lose what is newer\n"))
        #expect(text.contains("\nno sources\n"))
    }

    @Test func exitStatusFollowsHealth() {
        #expect(HealthLevel.allCases.map { ExitStatus($0).rawValue } == [0, 1, 1])
    }
}

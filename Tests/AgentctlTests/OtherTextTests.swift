import AgentAPI
import AgentctlKit
import Testing

@Suite struct OtherTextTests {
    private let style = TextStyle(width: 70)

    @Test func sources() {
        var status = Fixtures.source(.failing, failures: 4, error: Fixtures.error)
        status.trace = StageTimes(id: "0123456789abcdef", requestedToReceivedMicroseconds: 5000)
        let report = SourcesReport(sources: [
            SourceDetail(
                name: "app",
                layer: 1,
                kind: "https",
                poll: PollInterval(minSeconds: 10, maxSeconds: 90),
                status: status,
                requests: 100,
                notModified: 90,
                published: 3,
                unchanged: 2,
                failuresByClass: ["timeout": 1, "duplicate_key": 4],
                timings: [
                    "first_byte": FetchTimes(count: 2, sumMicroseconds: 400, maxMicroseconds: 300, histogram: []),
                    "total": FetchTimes(count: 2, sumMicroseconds: 500, maxMicroseconds: 350, histogram: []),
                ]
            )
        ])
        #expect(
            SourcesText.render(report, now: Fixtures.now, style: style) == """
                app (https, layer 1, required): failing
                  url              https://config.example.net/app.json
                  revision         r42
                  digest           ab12
                  last request     3s ago (2026-11-22 14:06:16 UTC)
                  last success     3s ago (2026-11-22 14:06:16 UTC)
                  last activation  2h 5m ago (2026-11-22 12:01:19 UTC)
                  polled           every 10s to 1m 30s, next in 12s
                  requests         100: 90 not modified, 3 published, 2 unchanged
                  failures         5: 4 duplicate_key, 1 timeout, the last 4 in a row
                  times            first byte 200us, all 250us on average; longest 350us
                  last error       5s ago (2026-11-22 14:06:14 UTC): duplicate_key
                                   decode: line 7, column 3: the key 'db.url' stands
                                   twice in the same object, and was first seen in
                                   line 2
                                   hint: remove one of the two
                  stages           received +5.0ms (trace 0123456789abcdef)

                """
        )
    }

    @Test("The way of a change, and what is said where there is none")
    func journey() throws {
        var status = Fixtures.source(.fresh)
        status.trace = StageTimes(
            id: "0123456789abcdef",
            requestedToReceivedMicroseconds: 5_000,
            receivedToVerifiedMicroseconds: 40,
            verifiedToDecodedMicroseconds: 300,
            decodedToPublishedMicroseconds: 12,
            publishedToWorkersMicroseconds: 80
        )
        func detail(_ name: String, _ status: SourceStatus) -> SourceDetail {
            SourceDetail(
                name: name,
                kind: "etcd",
                poll: PollInterval(minSeconds: 1, maxSeconds: 2),
                status: status,
                requests: 1,
                notModified: 0,
                published: 1,
                unchanged: 0,
                failuresByClass: [:]
            )
        }
        var silent = status
        silent.trace = nil
        let sources = [detail("app", status), detail("silent", silent)]
        #expect(
            try JourneyText.render("app", sources, style: style) == """
                app: the way of its last change
                  received   +5.0ms  from the request to the last byte
                  verified    +40us  its bytes are those that were meant
                  decoded    +300us  its content is understood
                  published   +12us  readers see it
                  taken up    +80us  by the last of the workers
                  in all      5.4ms
                  journalctl -u agent AGENT_TRACE=0123456789abcdef

                """
        )
        status.trace?.receivedToCheckedMicroseconds = 21_000
        let checked = try JourneyText.render("app", [detail("app", status)], style: style)
        #expect(
            checked.hasPrefix(
                """
                app: the way of its last change
                  received    +5.0ms  from the request to the last byte
                  checked    +21.0ms  its command has answered
                  verified     +40us  its bytes are those that were meant
                """
            )
        )
        #expect(checked.contains("in all      26.4ms"), "\(checked)")
        let nothing = try JourneyText.render("silent", sources, style: style)
        #expect(nothing == "silent: nothing has come from it since the agent has started\n")
        let problem = #expect(throws: Problem.self) { try JourneyText.render("ap", sources, style: style) }
        #expect(problem?.message == "there is no source 'ap'")
        #expect(problem?.remedy == "the sources are app, silent")
    }

    @Test func refresh() {
        var report = RefreshReport(
            generation: 43,
            sources: [
                "app": SourceRefresh(
                    outcome: .published,
                    generation: 43,
                    revision: "r43",
                    durationMilliseconds: 12.5,
                    folded: false
                )
            ]
        )
        #expect(
            RefreshText.render(report, style: style) == """
                app: published (generation 43, revision r43, took 12.5ms)
                generation 43

                """
        )
        #expect(RefreshText.exitStatus(report) == .success)
        report.sources["extra"] = SourceRefresh(
            outcome: .failed,
            error: Fixtures.error,
            durationMilliseconds: 0.25,
            folded: true
        )
        #expect(
            RefreshText.render(report, style: style).contains(
                """
                extra: failed (decode/duplicate_key, took 250us, shared with others)
                    decode: line 7, column 3: the key 'db.url' stands twice in the
                    same object, and was first seen in line 2
                    hint: remove one of the two
                generation 43
                """
            )
        )
        #expect(RefreshText.exitStatus(report) == .failure)
    }

    @Test func values() throws {
        let json = Array(#"{"a":[1.50,"é"]}"#.utf8)
        let object = ConfigValue(key: #"a."b.c""#, json: json, generation: 42, source: nil, revision: nil)
        #expect(
            String(decoding: try object.envelope(), as: UTF8.self)
                == #"{"generation":42,"key":"a.\"b.c\"","revision":null,"source":null,"state":null,"value":{"a":[1.50,"é"]}}"#
        )
        #expect(object.unquoted() == json)
        let text = ConfigValue(key: "k", json: Array(#""a\n\u00e9""#.utf8), generation: 1, source: "s", revision: "r")
        #expect(text.unquoted() == Array("a\né".utf8))
    }

    @Test func reload() {
        let report = ReloadReport(
            generation: 7,
            added: ["new"],
            removed: ["old"],
            changed: [ChangedSource(name: "app", settings: ["url", "poll"])],
            unchanged: 1,
            settings: ["locks"],
            awaited: []
        )
        let changes = "added    new\nremoved  old\nchanged  app: url, poll\nchanged  locks\n"
        #expect(ReloadText.render(report) == changes + "in force at generation 7\n")
        var awaiting = report
        awaiting.awaited = ["new"]
        #expect(
            ReloadText.render(awaiting) == changes + "taken over; the layers of generation 7 stay until new is there\n"
        )
        let nothing = ReloadReport(
            generation: 7,
            added: [],
            removed: [],
            changed: [],
            unchanged: 1,
            settings: [],
            awaited: []
        )
        #expect(ReloadText.render(nothing) == "nothing changed\nin force at generation 7\n")
    }
}

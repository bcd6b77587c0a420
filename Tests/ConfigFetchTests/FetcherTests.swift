import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@testable import ConfigFetch

@Suite("The fetch stage as a whole")
struct FetcherTests {
    private static let bad = StageFailure(.decode, "syntax", "bad")
    private static let refuseAll: Harness.Judge = { result in
        if case .notModified = result { return .notModified }
        return .failed(bad, retryAfterNanoseconds: nil)
    }

    // MARK: Conditional requests

    @Test("An ETag is sent only once its document was accepted")
    func etags() throws {
        let origin = try HeldOrigin { request in
            .http(200, headers: ["ETag": "\"v\(request.number)\""], body: Array("{}".utf8))
        }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))], judge: Self.refuseAll)
        try harness.start()
        try harness.refresh("a")
        harness.judge(Harness.acceptAll)
        try harness.refresh("a")
        try harness.refresh("a")
        harness.judge { _ in .unchanged }
        try harness.refresh("a")
        harness.judge(Self.refuseAll)
        try harness.refresh("a")
        try harness.refresh("a")
        let sent = origin.requests.map { $0.headers["if-none-match"] }
        #expect(sent == [nil, nil, nil, "\"v3\"", "\"v4\"", "\"v5\"", "\"v5\""])
    }

    @Test func unmodified() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        for _ in 0..<3 {
            guard case .notModified = try harness.refresh("a").kind else {
                Issue.record("a document came again")
                return
            }
        }
        let facts = try #require(harness.facts("a"))
        #expect(facts.requests == 4)
        #expect(facts.published == 1)
        #expect(facts.notModified == 3)
        #expect(facts.consecutiveFailures == 0)
    }

    @Test("A refresh asks for the document itself, whatever the validators say")
    func refreshIsFull() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        try harness.refresh("a")
        let refresh = try harness.ask("a", .requestedAfterNow)
        _ = try waitFor("the refresh") { refresh.outcome }
        let sent = origin.requests.map { $0.headers["if-none-match"] }
        #expect(sent.first == .some(nil))
        #expect(sent.dropFirst().first.flatMap { $0 } != nil, "a poll is conditional")
        #expect(sent.last == .some(nil), "a refresh is not")
    }

    @Test("What the stored copies remember is sent with the first request")
    func validatorsFromTheStart() throws {
        let origin = try HeldOrigin { _ in .http(304) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a")), spec("b", .http, origin.url("/b"))])
        let stored = SourceRevision(
            source: sourceName("a"),
            digest: try #require(ContentDigest(bytes: Array(repeating: 0, count: 32))),
            validators: Validators(lastModified: "then"),
            fetchedAt: 0,
            traceID: ""
        )
        try harness.start(inUse: [stored.source: stored])
        let byPath = Dictionary(origin.requests.map { ($0.path, $0.headers) }) { first, _ in first }
        #expect(byPath["/a"]?["if-modified-since"] == "then")
        #expect(byPath["/b"]?["if-modified-since"] == nil)
        #expect(harness.received.first { $0.source == sourceName("a") }?.result.isNotModified == true)
        #expect(harness.received.first { $0.source == sourceName("b") }?.result.failure?.code == "http_status")
    }

    // MARK: Redirects

    @Test func redirectWithinTheOrigin() throws {
        let origin = try HeldOrigin { request in
            request.path == "/a" ? .http(302, headers: ["Location": "/b"]) : .http(200, body: Array("{}".utf8))
        }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.headers = [.init("Authorization", "Bearer secret")]
            $0.maxRedirects = 1
        }
        let harness = try Harness([source])
        try harness.start()
        #expect(harness.last?.document != nil)
        #expect(origin.requests.map(\.path) == ["/a", "/b"])
        #expect(origin.requests.allSatisfy { $0.headers["authorization"] == "Bearer secret" })
    }

    @Test("Headers and the credentials in them never reach another origin")
    func redirectToAnotherOrigin() throws {
        let other = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { other.stop() }
        let target = other.url("/b")
        let origin = try HeldOrigin { _ in .http(307, headers: ["Location": target]) }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.headers = [
                .init("Authorization", "Bearer secret"), .init("X-Token", "secret"),
                .init("Accept", "application/x-own"),
            ]
            $0.maxRedirects = 3
        }
        let harness = try Harness([source])
        try harness.start()
        #expect(harness.last?.document != nil)
        let seen = try #require(other.requests.first)
        #expect(!seen.headers.values.contains { $0.contains("secret") || $0.contains("x-own") })
        #expect(seen.headers["accept-encoding"] == "gzip")
        #expect(origin.requests.first?.headers["x-token"] == "secret")
    }

    @Test(arguments: [0, 1, 3])
    func redirectLimit(limit: Int) throws {
        let origin = try HeldOrigin { .http(302, headers: ["Location": "/\($0.number)"]) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a")) { $0.maxRedirects = limit }])
        try harness.start()
        #expect(harness.last?.failure?.code == "redirect")
        #expect(harness.last?.failure?.hint?.contains("max_redirects") == true)
        #expect(origin.requests.count == limit + 1)
    }

    @Test(arguments: ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
    func redirectToAnotherKindOfThing(url: String) throws {
        let origin = try HeldOrigin { _ in .http(302, headers: ["Location": url]) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a")) { $0.maxRedirects = 3 }])
        try harness.start()
        #expect(harness.last?.failure != nil)
        #expect(harness.last?.document == nil)
    }

    // MARK: Files

    @Test("A file is read again only when it has changed since it was accepted")
    func files() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("a b.json", "{}")
        let url = "file://" + path.replacingOccurrences(of: " ", with: "%20")
        // Else the news of a change would be read before the refresh that is to find it.
        let harness = try Harness([spec("a", .file, url) { $0.isWatched = false }], judge: Self.refuseAll)
        try harness.start()
        #expect(harness.last?.document?.body == Array("{}".utf8))
        try harness.refresh("a")
        #expect(harness.last?.document != nil)
        harness.judge(Harness.acceptAll)
        try harness.refresh("a")
        #expect(harness.last?.document != nil)
        // As long as it is so young that its next change might leave no trace, it is read each time.
        try waitUntil("its times to tell") {
            try harness.refresh("a")
            return harness.last?.isNotModified == true
        }
        try harness.command("a")
        #expect(harness.last?.document != nil, "whoever commands a refresh has it read")
        try directory.write("a b.json", "[]")
        try harness.refresh("a")
        #expect(harness.last?.document?.body == Array("[]".utf8))
        try harness.refresh("a")
        #expect(harness.last?.document?.body == Array("[]".utf8), "young again")
        unlink(path)
        try harness.refresh("a")
        #expect(harness.last?.failure?.code == "cannot_read")
        #expect(harness.last?.failure?.message.contains(path) == true)
        try directory.write("a b.json", "{}")
        try harness.refresh("a")
        #expect(harness.last?.document != nil)
    }

    @Test("A file whose size is not what was read was changed meanwhile")
    func changedWhileRead() throws {
        // The kernel makes up this file when it is read; before, its size is 0.
        let harness = try Harness([spec("a", .file, "file:///proc/version")])
        try harness.start()
        #expect(harness.last?.failure?.code == "changed_while_read")
    }

    @Test func noFile() throws {
        let directory = try TemporaryDirectory()
        let specs = [
            spec("directory", .file, "file://" + directory.path), spec("none", .file, "file://" + directory.path("x")),
            spec("host", .file, "file://elsewhere/x"),
            spec("large", .file, "file://" + (try directory.write("l", "{    }"))) { $0.maxBytes = 5 },
        ]
        let harness = try Harness(specs)
        try harness.start()
        let codes = Dictionary(uniqueKeysWithValues: harness.received.map { ($0.source.text, $0.result.failure?.code) })
        #expect(
            codes == ["directory": "cannot_read", "none": "cannot_read", "host": "cannot_read", "large": "too_large"]
        )
    }

    @Test func manySources() throws {
        let directory = try TemporaryDirectory()
        let specs = try (0..<200).map { number in
            spec("s\(number)", .file, "file://" + (try directory.write("\(number).json", "{\"n\":\(number)}")))
        }
        let harness = try Harness(specs)
        try harness.start()
        let bodies = harness.received.compactMap { received in
            received.result.document.map { (received.source.text, String(decoding: $0.body, as: UTF8.self)) }
        }
        #expect(bodies.count == 200)
        let expected = Dictionary(uniqueKeysWithValues: (0..<200).map { ("s\($0)", "{\"n\":\($0)}") })
        #expect(Dictionary(uniqueKeysWithValues: bodies) == expected)
        #expect(harness.fetcher.statistics.flights == 200)
        #expect(harness.fetcher.facts.values.allSatisfy { $0.requests == 1 && $0.nextPollAt != nil })
    }

    // MARK: Failures and time

    private func secondsToNextPoll(_ harness: Harness, _ name: String = "a") throws -> Double {
        let due = try #require(harness.facts(name)?.nextPollAt)
        return Double(due - WallClock.nowNanoseconds) / 1e9
    }

    @Test("The wait after many failures in a row is longer than after one")
    func backoff() throws {
        let origin = try HeldOrigin { _ in .http(500) }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) { $0.retryBase = PollSchedule.shortestRetry }
        let harness = try Harness([source])
        try harness.start()
        #expect(try secondsToNextPoll(harness) <= 0.1)
        // Polls of its own count as well.
        for _ in 0..<41 { try harness.command("a") }
        let facts = try #require(harness.facts("a"))
        #expect(facts.consecutiveFailures >= 42)
        #expect((facts.failuresByClass["http_status"] ?? 0) >= 42)
        #expect(facts.failingSince != nil)
        try waitUntil("the wait has grown") { try secondsToNextPoll(harness) > 10 }
        origin.answer { _ in .http(200, body: Array("{}".utf8)) }
        try harness.command("a")
        let well = try #require(harness.facts("a"))
        #expect(well.consecutiveFailures == 0)
        #expect(well.failingSince == nil)
        #expect(well.recoveredAt != nil)
    }

    @Test("A host that fails is not asked by each of its sources, and once it is back all of them recover")
    func suspectHost() throws {
        let origin = try HeldOrigin { _ in .http(503) }
        defer { origin.stop() }
        let names = (0..<40).map { "s\($0)" }
        let harness = try Harness(
            names.map { name in
                spec(name, .http, origin.url("/\(name)")) {
                    $0.retryBase = PollSchedule.shortestRetry
                    $0.retryMax = PollSchedule.shortestRetry
                }
            }
        )
        try harness.start()
        func failures() -> UInt64 {
            names.reduce(0) { $0 + (harness.facts($1)?.failuresByClass.values.reduce(0, +) ?? 0) }
        }
        try waitUntil("many failures") { failures() >= 100 }
        // All of them at first; then one now and then.
        #expect(origin.requests.count < 60)
        let classes = names.compactMap { harness.facts($0)?.lastFailure?.failure }
        #expect(classes.contains { $0.code == "host_down" && $0.message.contains("last: HTTP status 503") })
        origin.answer { .document("{}", to: $0) }
        try waitUntil("all of them", deadline: .seconds(30)) {
            names.allSatisfy { harness.facts($0)?.consecutiveFailures == 0 }
        }
    }

    @Test("A first place that wants to be left alone for an hour is left for a mirror at once")
    func retryAfterWithMirror() throws {
        let first = try HeldOrigin { _ in .http(503, headers: ["Retry-After": "3600"]) }
        let mirror = try HeldOrigin { .document("{}", to: $0) }
        defer {
            first.stop()
            mirror.stop()
        }
        let source = spec("a", .http, first.url("/a")) {
            $0.mirrors = [mirror.url("/a")]
            $0.poll = 1...1
        }
        let harness = try Harness([source])
        try harness.start()
        try waitUntil("the mirror's document") { harness.facts("a")?.revision != nil }
        #expect(harness.facts("a")?.place == 1)
        // Nor is it looked at whether it does well again: that would have been after 5 s, and one poll takes one.
        try waitUntil("many polls") { mirror.requests.count >= 10 }
        #expect(first.requests.count == 1)
    }

    @Test("A place that was slow once is asked each second, however seldom it is polled, until it is left or well")
    func slowWithMirror() throws {
        let first = try HeldOrigin { .document("{}", to: $0) }
        let mirror = try HeldOrigin { .document("{}", to: $0) }
        defer {
            first.stop()
            mirror.stop()
        }
        // Polled once, and then in a hundred hours.
        let harness = try Harness([
            spec("a", .http, first.url("/a")) {
                $0.mirrors = [mirror.url("/a")]
                $0.maxLatency = second / 20
            }
        ])
        try harness.start()
        first.answer { request in
            .later {
                pauseThread(.milliseconds(100))
                return .document("{}", to: request)
            }
        }
        try harness.command("a")
        try waitUntil("the mirror") { harness.facts("a")?.place == 1 && !mirror.requests.isEmpty }
        #expect(harness.facts("a")?.failuresByClass.isEmpty == true)
    }

    @Test("A place that begins its answer and does not go on is left like one that does not begin")
    func stallWithMirror() throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
        let first = try HeldOrigin { _ in .hold(Array(head.utf8)) }
        let mirror = try HeldOrigin { .document("{}", to: $0) }
        defer {
            first.stop()
            mirror.stop()
        }
        let harness = try Harness([spec("a", .http, first.url("/a")) { $0.mirrors = [mirror.url("/a")] }])
        let start = MonotonicTime.now
        try harness.start()
        try waitUntil("the mirror's document") { harness.facts("a")?.revision != nil }
        // Two tries of three seconds, a second apart: far from the thirty that a request may take.
        #expect(MonotonicTime.now.nanoseconds(since: start) < 15 * second)
        #expect(harness.facts("a")?.place == 1)
        let failure = try #require(harness.received.first?.result.failure)
        #expect(failure.code == "timeout")
        #expect(failure.message.hasSuffix("has begun to answer and does not go on, or too slowly"))
    }

    @Test(
        "A place whose answer drips, so that it would never be whole in time, is left; one that is quick enough is not"
    )
    func dripWithMirror() throws {
        let length = 400_000
        let body = Array(("{\"v\":\"" + String(repeating: "x", count: length - 8) + "\"}").utf8)
        let head = Array("HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n".utf8)
        let unknown = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(length, radix: 16))\r\n".utf8
        )
        let end = Array("\r\n0\r\n\r\n".utf8)
        // Over 80 s, where 60 s are the limit; over 4 s; and over 80 s and 4 s, which nobody can foresee.
        for (pace, head, body, expected) in [
            (5_000, head, body, 1), (100_000, head, body, 0), (5_000, unknown, body + end, 1),
            (100_000, unknown, body + end, 0),
        ] {
            let first = try HeldOrigin { _ in .drip(head: head, body: body, bytesPerSecond: pace) }
            let mirror = try HeldOrigin { .document("{}", to: $0) }
            defer {
                first.stop()
                mirror.stop()
            }
            let harness = try Harness([spec("a", .http, first.url("/a")) { $0.mirrors = [mirror.url("/a")] }])
            let start = MonotonicTime.now
            try harness.start()
            try waitUntil("a document") { harness.facts("a")?.revision != nil }
            #expect(harness.facts("a")?.place == expected)
            #expect(MonotonicTime.now.nanoseconds(since: start) < 25 * second)
        }
    }

    @Test("A place that begins late is left within eight seconds, however well its long answer then comes")
    func lateWithMirror() throws {
        let body = [UInt8](repeating: 0x20, count: 450_000)
        let head = Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8)
        let first = try HeldOrigin { _ in
            .later {
                pauseThread(.milliseconds(300))
                // For a quarter of a minute.
                return .drip(head: head, body: body, bytesPerSecond: 30_000)
            }
        }
        let mirror = try HeldOrigin { .document("{}", to: $0) }
        defer {
            first.stop()
            mirror.stop()
        }
        let harness = try Harness([spec("a", .http, first.url("/a")) { $0.mirrors = [mirror.url("/a")] }])
        let start = MonotonicTime.now
        try harness.start()
        try waitUntil("the mirror to be asked") { !mirror.requests.isEmpty }
        #expect(MonotonicTime.now.nanoseconds(since: start) < 12 * second, "eight, and a busy machine")
        #expect(harness.facts("a")?.place == 1)
    }

    /// As of documents of one length and one second: all of them have the same ETag.
    private func answer(_ body: String) -> @Sendable (OriginRequest) -> OriginReply {
        return { request in
            let isConditional = request.headers["if-none-match"] != nil
            let headers = ["ETag": "\"same\""]
            return isConditional
                ? .http(304, headers: headers) : .http(200, headers: headers, body: Array(body.utf8))
        }
    }

    @Test("An origin that wrongly says 'not modified' is found out: now and then the document itself is fetched")
    func audit() throws {
        let origin = try HeldOrigin(answer(#"{"v":1}"#))
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.poll = 1...1
            $0.auditInterval = 3 * second
            $0.retryBase = PollSchedule.shortestRetry
            $0.retryMax = PollSchedule.shortestRetry
        }
        let harness = try Harness([source])
        try harness.start()
        origin.answer(answer(#"{"v":2}"#))
        try waitUntil("the change") {
            harness.last?.document.map { String(decoding: $0.body, as: UTF8.self) } == #"{"v":2}"#
        }
        let conditional = origin.requests.map { $0.headers["if-none-match"] != nil }
        #expect(conditional.contains(true), "it was believed for a while")
        // One that fails is made up for with the next request, and not an interval later.
        origin.answer { .http($0.headers["if-none-match"] == nil ? 500 : 304) }
        func failed() -> [Bool] {
            origin.requests.dropFirst(conditional.count).map { $0.headers["if-none-match"] == nil }
        }
        try waitUntil("the failed audit") { failed().contains(true) }
        try waitUntil("the request after it") { failed().drop { !$0 }.count >= 2 }
        #expect(failed().drop { !$0 }.allSatisfy { $0 })
    }

    @Test("An audit that brings what is refused is not over")
    func refusedAudit() throws {
        let origin = try HeldOrigin(answer("{}"))
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.poll = 1...1
            $0.auditInterval = 3 * second
            $0.retryBase = PollSchedule.shortestRetry
            $0.retryMax = PollSchedule.shortestRetry
        }
        let harness = try Harness([source]) { result in
            guard let body = result.document?.body, body != Array("{}".utf8) else { return Harness.acceptAll(result) }
            return .failed(Self.bad, retryAfterNanoseconds: nil)
        }
        try harness.start()
        origin.answer(answer("{ oops"))
        try waitUntil("some failures") { harness.facts("a")?.consecutiveFailures ?? 0 >= 3 }
        #expect(origin.requests.suffix(3).allSatisfy { $0.headers["if-none-match"] == nil })
    }

    @Test("max-age moves the next poll within its bounds")
    func maxAge() throws {
        let origin = try HeldOrigin { _ in
            .http(200, headers: ["Cache-Control": "public, max-age=300"], body: Array("{}".utf8))
        }
        defer { origin.stop() }
        let harness = try Harness([
            spec("within", .http, origin.url("/a")) { $0.poll = (10 * second)...(1_000 * second) },
            spec("below", .http, origin.url("/b")) { $0.poll = (10 * second)...(20 * second) },
        ])
        try harness.start()
        // The first time after the start spreads the sources, whatever was said.
        for name in ["within", "below"] { try harness.command(name) }
        try waitUntil("the time to be set") { try secondsToNextPoll(harness, "within") > 200 }
        #expect(try secondsToNextPoll(harness, "within") <= 330)
        #expect(try secondsToNextPoll(harness, "below") <= 20)
    }

    @Test("A document that later stages refuse is not fetched in a loop")
    func refusedDocument() throws {
        let origin = try HeldOrigin { .document("{ oops", to: $0) }
        defer { origin.stop() }
        let refusal = StageFailure(.decode, "syntax", "a comma too many")
        let source = spec("a", .http, origin.url("/a")) { $0.poll = 1...1 }
        let harness = try Harness([source]) { result in
            if case .document = result {
                .failed(refusal, retryAfterNanoseconds: nil)
            } else {
                Harness.acceptAll(result)
            }
        }
        try harness.start()
        try waitUntil("the wait of a failure, and not the next poll") { try secondsToNextPoll(harness) > 60 }
        #expect(harness.facts("a")?.consecutiveFailures == 1)
        // Nor is it believed to be known: what was refused has no validators.
        try harness.refresh("a")
        #expect(origin.requests.last?.headers["if-none-match"] == nil)
        #expect(harness.facts("a")?.consecutiveFailures == 2)
    }

    @Test("A 304 that nothing asked for: the document is asked for once more, past all caches")
    func unaskedNotModified() throws {
        let origin = try HeldOrigin { request in
            request.headers["cache-control"] == "no-cache" ? .document("{}", to: request) : .http(304)
        }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        #expect(harness.last?.document != nil)
        #expect(origin.requests.count == 2)
        // One who has nothing else to say has failed.
        origin.answer { _ in .http(304) }
        try harness.command("a")
        #expect(harness.last?.failure?.message == "the origin answers HTTP status 304")
        #expect(origin.requests.count == 4)
    }

    @Test("What comes with a 304 is not read, and the connection is not believed in any more")
    func notModifiedWithBody() throws {
        let origin = try HeldOrigin { request in
            guard request.headers["if-none-match"] != nil else { return .document("{}", to: request) }
            return .http(304, body: Array(#"{"v":666}"#.utf8))
        }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        try harness.refresh("a")
        #expect(harness.last?.isNotModified == true)
        try harness.command("a")
        #expect(harness.last?.document.map { String(decoding: $0.body, as: UTF8.self) } == "{}")
    }

    @Test("A failing source is asked again by itself")
    func retries() throws {
        let origin = try HeldOrigin { $0.number < 4 ? .http(500) : .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.retryBase = 1
            $0.retryMax = 1
        }
        let harness = try Harness([source])
        try harness.start()
        try waitUntil("it works again") { harness.facts("a")?.published == 1 }
        #expect(origin.requests.count == 4)
    }

    @Test func retryAfter() throws {
        let origin = try HeldOrigin { _ in .http(503, headers: ["Retry-After": "1000"]) }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) {
            $0.retryBase = 1
            $0.retryMax = 1
        }
        let harness = try Harness([source])
        try harness.start()
        try waitUntil("the next poll is set") { try secondsToNextPoll(harness) > 900 }
        #expect(try secondsToNextPoll(harness) <= 1_000)
    }

    @Test func pollsGoOn() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        defer { origin.stop() }
        let source = spec("a", .http, origin.url("/a")) { $0.poll = 1...1 }
        let harness = try Harness([source])
        try harness.start()
        try waitUntil("three polls") { origin.requests.count >= 3 }
        #expect(origin.requests[2].headers["if-none-match"] != nil)
    }

    // MARK: Flights

    @Test("Whoever asks after the request has left gets one that leaves later")
    func refreshAfterDeparture() throws {
        let origin = try HeldOrigin { .http(200, body: Array("{\"n\":\($0.number)}".utf8)) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        origin.hold()
        let first = try harness.ask("a")
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let shared = try harness.ask("a", .shared)
        let later = try (0..<5).map { _ in try harness.ask("a") }
        #expect(shared.ticket?.isFolded == true)
        #expect(later.map { $0.ticket?.isFolded } == [false, true, true, true, true])
        origin.release()
        try waitUntil("the first answer") { first.outcome != nil && shared.outcome != nil }
        #expect(later.allSatisfy { $0.outcome == nil })
        try waitUntil("the second request is at the origin") { origin.held == 1 }
        origin.release()
        try waitUntil("all answers") { later.allSatisfy { $0.outcome != nil } }
        #expect(origin.requests.count == 3)
        #expect(harness.last?.document?.body == Array("{\"n\":3}".utf8))
    }

    @Test func simultaneousRefreshesAreOne() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        let before = harness.fetcher.statistics
        origin.hold()
        let pending = try onThreads(64) { _ in try harness.ask("a", .shared) }
        origin.releaseAll()
        try waitUntil("all answers") { pending.allSatisfy { $0.outcome != nil } }
        let after = harness.fetcher.statistics
        #expect(after.calls - before.calls == 64)
        #expect(after.folded - before.folded == 63)
        #expect(after.flights - before.flights == 1)
        #expect(origin.requests.count == 2)
    }

    @Test("When the last one leaves, the request is broken off and the next one is new")
    func abandoned() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        try harness.start()
        origin.hold()
        let first = try harness.ask("a")
        let second = try harness.ask("a", .shared)
        try waitUntil("the request is at the origin") { origin.held == 1 }
        harness.fetcher.leave(try #require(first.ticket))
        #expect(harness.fetcher.statistics.inFlight == 1)
        harness.fetcher.leave(try #require(second.ticket))
        #expect(harness.fetcher.statistics.inFlight == 0)
        #expect(harness.fetcher.statistics.abandoned == 1)
        origin.releaseAll()
        try harness.refresh("a")
        #expect(first.outcome == nil && second.outcome == nil)
        #expect(harness.received.count == 2)
        #expect(origin.requests.count == 3)
    }

    @Test("One slow document does not hold up another one of the same origin")
    func slowNeighbour() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        origin.hold()
        let harness = try Harness([spec("a", .http, origin.url("/a")), spec("b", .http, origin.url("/b"))])
        #expect(harness.fetcher.start(inUse: [:]))
        try waitUntil("both requests are at the origin") { origin.held == 2 }
    }

    @Test func timeout() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        origin.hold()
        let harness = try Harness([spec("a", .http, origin.url("/a")) { $0.timeoutMilliseconds = 100 }])
        try harness.start()
        #expect(harness.last?.failure?.code == "timeout")
    }

    @Test("No host is asked for more at once than it has to bear")
    func oneHost() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        origin.hold()
        let most = FetchLoop.admitted.toOneHost
        let harness = try Harness((0..<most + 6).map { spec("s\($0)", .http, origin.url("/\($0)")) })
        #expect(harness.fetcher.start(inUse: [:]))
        try waitUntil("as many as may be") { origin.held == most }
        // Each that ends makes room for one.
        for released in 1...3 {
            origin.release()
            try waitUntil("the next one") { origin.requests.count == most + released }
        }
        #expect(origin.held == most)
        origin.releaseAll()
        try waitUntil("all were asked") { harness.received.count == most + 6 }
        #expect(harness.received.allSatisfy { $0.result.document != nil })
    }

    @Test("Retries of many sources share what their host has to bear, also where it is well")
    func retriesTogether() throws {
        // Not a failure of the host's.
        let origin = try HeldOrigin { _ in .http(404) }
        defer { origin.stop() }
        let harness = try Harness(
            (0..<60).map { number in
                spec("s\(number)", .http, origin.url("/\(number)")) {
                    $0.retryBase = PollSchedule.shortestRetry
                    $0.retryMax = PollSchedule.shortestRetry
                }
            }
        )
        let start = MonotonicTime.now
        try harness.start()
        try waitUntil("many retries") { origin.requests.count >= 120 }
        // 60 at first, 20 at once, and the other 40 one every 100 ms: however slow the machine is, not sooner.
        #expect(MonotonicTime.now.nanoseconds(since: start) > 3_500_000_000)
    }

    @Test("More sources than may be asked of each host at once all get their turn")
    func admission() throws {
        let origins = try (0..<4).map { _ in try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) } }
        defer { for origin in origins { origin.stop() } }
        let harness = try Harness((0..<280).map { spec("s\($0)", .http, origins[$0 % 4].url("/\($0)")) })
        #expect(harness.fetcher.start(inUse: [:]))
        try waitUntil("all were asked") { harness.received.count == 280 }
        #expect(harness.received.allSatisfy { $0.result.document != nil })
        #expect(origins.map(\.requests.count) == [70, 70, 70, 70])
    }

    @Test("What came of an earlier plan is no failure: the source is asked again at once")
    func superseded() throws {
        let origin = try HeldOrigin { .document("{}", to: $0) }
        let harness = try Harness([spec("a", .http, origin.url("/"))]) { _ in
            .failed(StageFailure(.fetch, FlightOutcome.supersededCode, "reloaded"), retryAfterNanoseconds: nil)
        }
        try harness.start()
        try waitUntil("it is asked again") { harness.received.count > 3 }
        harness.judge(Harness.acceptAll)
        try waitUntil("it is taken") { harness.facts("a")?.revision != nil }
        #expect(harness.facts("a")?.consecutiveFailures == 0)
    }

    @Test func unixSocket() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("origin.sock")
        let origin = try HeldOrigin(on: .unix(path)) { .document("{}", to: $0) }
        defer { origin.stop() }
        let harness = try Harness([spec("a", .http, "http://localhost/x") { $0.unixSocket = path }])
        try harness.start()
        #expect(harness.last?.document != nil)
        try harness.refresh("a")
        #expect(harness.last?.isNotModified == true)
    }

    @Test("A Unix socket that is not there is told by its path, and not as a port of the URL's host")
    func missingUnixSocket() throws {
        let harness = try Harness([spec("a", .http, "http://localhost/x") { $0.unixSocket = "/nowhere/origin.sock" }])
        try harness.start()
        let words = "cannot connect to the socket /nowhere/origin.sock: No such file or directory"
        #expect(harness.last?.failure?.message.contains(words) == true, "\(String(describing: harness.last?.failure))")
    }

    @Test func stopsAtOnce() throws {
        let origin = try HeldOrigin { _ in .http(200) }
        defer { origin.stop() }
        origin.hold()
        let harness = try Harness([spec("a", .http, origin.url("/a"))])
        #expect(harness.fetcher.start(inUse: [:]))
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let begun = MonotonicTime.now
        #expect(harness.fetcher.stop(until: begun.advanced(byNanoseconds: 5 * second)))
        #expect(MonotonicTime.now.nanoseconds(since: begun) < 2 * second)
        #expect(harness.received.isEmpty)
    }
}

@Suite("Facts about a source")
struct FactsTests {
    private func outcome(_ kind: FlightOutcome.Kind) -> FlightOutcome {
        FlightOutcome(kind: kind, generation: 1, revision: nil, trace: nil)
    }

    @Test func failuresAndRecovery() {
        var facts = SourceFacts(spec: spec("a", .http, "http://a.example/"))
        let failure = StageFailure(.fetch, "timeout", "slow")
        facts.note(outcome(.failed(failure, retryAfterNanoseconds: nil)), at: 10)
        facts.note(outcome(.failed(failure, retryAfterNanoseconds: nil)), at: 20)
        #expect(facts.failingSince == 10)
        #expect(facts.lastFailure?.at == 20)
        #expect(facts.consecutiveFailures == 2)
        #expect(facts.failuresByClass == ["timeout": 2])
        #expect(facts.lastSuccessAt == nil)
        facts.note(outcome(.unchanged), at: 30)
        #expect(facts.recoveredAt == 30)
        #expect(facts.failingSince == nil)
        #expect(facts.consecutiveFailures == 0)
        #expect(facts.lastSuccessAt == 30)
        #expect(facts.lastActivationAt == nil)
        #expect(facts.lastFailure != nil)
        facts.note(outcome(.published), at: 40)
        #expect(facts.recoveredAt == 30)
        #expect(facts.lastActivationAt == 40)
    }

    @Test func lastGood() {
        var facts = SourceFacts(spec: spec("a", .http, "http://a.example/"))
        facts.isLastGood = true
        facts.note(outcome(.failed(StageFailure(.fetch, "x", "x"), retryAfterNanoseconds: nil)), at: 10)
        #expect(facts.isLastGood)
        facts.note(outcome(.notModified), at: 20)
        #expect(!facts.isLastGood)
        #expect(facts.recoveredAt == 20)
    }

    @Test func staleness() throws {
        let source = spec("a", .http, "http://a.example/") {
            $0.poll = second...(2 * second)
            $0.timeoutMilliseconds = 500
        }
        var facts = SourceFacts(spec: source)
        #expect(facts.staleSince == nil)
        facts.note(outcome(.published), at: 1_000)
        let stale: Int64 = 6_500_001_000
        #expect(facts.staleSince == stale)
        facts.note(outcome(.notModified), at: 8_000_000_000)
        #expect(facts.recoveredAt == 8_000_000_000)
    }
}

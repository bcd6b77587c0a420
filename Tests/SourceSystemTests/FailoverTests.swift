import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// Two real servers with the same document, each behind a valve of ours that can be slow or shut.
@Suite("A source with a mirror", .serialized)
struct FailoverSystemTests {
    /// Passes requests on to a real nginx: at once, late, or not at all.
    private final class Valve: Sendable {
        enum State: Equatable {
            case open, late(milliseconds: Int), silent
        }

        let state = Mutex("test.valve", State.open)
        let nginx: Nginx
        let origin: Mutex<HeldOrigin?>

        init() throws {
            let nginx = try Nginx()
            self.nginx = nginx
            origin = Mutex("test.valve.origin", nil)
            let relay = try HeldOrigin { [unowned self] request in
                .later { self.pass(request) }
            }
            origin.withLock { $0 = relay }
        }

        private func pass(_ request: OriginRequest) -> OriginReply {
            let now = state.withLock { $0 }
            if case .late(let milliseconds) = now { pauseThread(.milliseconds(milliseconds)) }
            if now == .silent {
                _ = try? waitUntil("the valve to open", deadline: .seconds(20)) { state.withLock { $0 } != .silent }
            }
            var headers: [String: String] = [:]
            if let tag = request.headers["if-none-match"] { headers["If-None-Match"] = tag }
            guard
                let answer = try? HTTPClient.send(
                    request.method,
                    request.path,
                    to: .loopback(nginx.port),
                    headers: headers
                )
            else { return .http(502) }
            let kept = answer.headers.filter { ["etag", "last-modified", "content-type", "date"].contains($0.key) }
            return .http(answer.status, headers: kept, body: answer.body)
        }

        func url(_ path: String) -> String { origin.withLock { $0?.url(path) ?? "" } }
        var requests: Int { origin.withLock { $0?.requests.count ?? 0 } }
    }

    private func seconds(_ start: MonotonicTime) -> Double { Double(MonotonicTime.now.nanoseconds(since: start)) / 1e9 }

    @Test("It moves away from a place that is slow or dead within 8 s, takes nothing older, and comes back")
    func journey() throws {
        let primary = try Valve()
        let mirror = try Valve()
        for place in [primary, mirror] { try place.nginx.files.write("a.json", #"{"v":1}"#) }
        let one = source("m", .http, url: primary.url("/a.json")) {
            $0.mirrors = [mirror.url("/a.json")]
            $0.poll = (1 * second)...(1 * second)
            $0.retryBase = second / 10
            $0.retryMax = second
        }
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent([one], in: directory)
        try agent.start()
        #expect(agent.value("v") == "1")
        func place() -> Int? { agent.agent.sourceFacts[sourceName("m")]?.place }

        // Slow, not dead.
        var start = MonotonicTime.now
        primary.state.withLock { $0 = .late(milliseconds: 300) }
        try waitUntil("the move") { place() == 1 }
        let slowMove = seconds(start)
        #expect(slowMove < 8)
        #expect(agent.story.contains { $0.hasPrefix("m moved from") && $0.hasSuffix("it answers too slowly") })

        // Back, after some good probes.
        start = .now
        primary.state.withLock { $0 = .open }
        try waitUntil("the return", deadline: .seconds(60)) { place() == 0 }
        let wayBack = seconds(start)

        // Dead: it takes connections and never answers.
        start = .now
        primary.state.withLock { $0 = .silent }
        try waitUntil("the move") { place() == 1 }
        let deadMove = seconds(start)
        #expect(deadMove < 8)
        try mirror.nginx.files.write("a.json", #"{"v":2}"#)
        try waitUntil("the change") { agent.value("v") == "2" }

        // Back with what it had before: that is older, and never published; it stays at the mirror.
        let probes = primary.requests
        primary.state.withLock { $0 = .open }
        try waitUntil("some probes", deadline: .seconds(90)) { primary.requests >= probes + 5 }
        #expect(place() == 1)
        #expect(agent.value("v") == "2")

        // Once it has caught up, it is asked again.
        try primary.nginx.files.write("a.json", #"{"v":2}"#)
        try waitUntil("the return", deadline: .seconds(60)) { place() == 0 }

        // It was the first to say what is in use. Left again, and back with what it had before that, it is behind all the
        // same: the other place has said it since.
        primary.state.withLock { $0 = .silent }
        try waitUntil("the move", deadline: .seconds(60)) { place() == 1 }
        try waitUntil("the mirror's word") { agent.agent.sourceFacts[sourceName("m")]?.consecutiveFailures == 0 }
        try primary.nginx.files.write("a.json", #"{"v":1}"#)
        let moreProbes = primary.requests
        primary.state.withLock { $0 = .open }
        try waitUntil("some probes", deadline: .seconds(90)) { primary.requests >= moreProbes + 5 }
        #expect(place() == 1)
        #expect(agent.value("v") == "2")
        let values = agent.events.compactMap { event -> UInt64? in
            if case .published(let snapshot, _, _) = event { snapshot.generation } else { nil }
        }
        #expect(values == [1, 2], "nothing older was published in between")
        print("moves: slow \(slowMove) s, dead \(deadMove) s; the way back \(wayBack) s")
    }

    @Test("After a start on what a mirror gave, the first place, back with an older document, is not believed")
    func restart() throws {
        let primary = try Valve()
        let mirror = try Valve()
        try primary.nginx.files.write("a.json", #"{"v":1}"#)
        try mirror.nginx.files.write("a.json", #"{"v":1}"#)
        let one = source("m", .http, url: primary.url("/a.json")) {
            $0.mirrors = [mirror.url("/a.json")]
            $0.poll = (1 * second)...(1 * second)
            $0.retryBase = second / 10
            $0.retryMax = second
        }
        let directory = try TemporaryDirectory()
        let before = try RunningAgent([one], in: directory)
        try before.start()
        primary.state.withLock { $0 = .silent }
        try mirror.nginx.files.write("a.json", #"{"v":2}"#)
        try waitUntil("the mirror's document") { before.value("v") == "2" }
        #expect(before.stop())

        let hourAgo = Date(timeIntervalSinceNow: -3_600)
        let file = primary.nginx.files.path("a.json")
        try FileManager.default.setAttributes([.modificationDate: hourAgo], ofItemAtPath: file)
        primary.state.withLock { $0 = .open }
        let asked = primary.requests
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitUntil("the first place was asked") { primary.requests > asked + 1 }
        try waitUntil("it moved on") { after.agent.sourceFacts[sourceName("m")]?.place == 1 }
        #expect(after.value("v") == "2")
        #expect(after.story.contains("m failed at fetch: older (1)"))
    }

    @Test("A thousand sources leave a dead place within 8 s, all of them")
    func crowd() throws {
        let dead = try HeldOrigin { _ in .bytes([]) }
        let mirror = try Nginx()
        defer { dead.stop() }
        for number in 0..<1_000 { try mirror.files.write("\(number).json", #"{"v\#(number)":1}"#) }
        let sources = (0..<1_000).map { number in
            source("s\(number)", .http, url: dead.url("/\(number).json")) {
                $0.mirrors = ["http://127.0.0.1:\(mirror.port)/\(number).json"]
                $0.retryBase = second
                $0.retryMax = second
            }
        }
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent(sources, in: directory)
        let start = MonotonicTime.now
        _ = try agent.agent.start()
        func all(_ condition: (SourceFacts) -> Bool) -> Bool { agent.agent.sourceFacts.values.allSatisfy(condition) }
        try waitUntil("all of them") { all { $0.place == 1 } }
        let moved = seconds(start)
        #expect(moved < 8)
        // The dead place was asked by a few, and left in peace.
        #expect(dead.requests.count < 100)
        try waitUntil("their documents") { all { $0.revision != nil } }
        print("moves: 1,000 sources in \(moved) s, with documents after \(seconds(start)) s")
    }

    @Test("With prefer: latency the place that answers soonest is asked, and left when it is that no more")
    func quickest() throws {
        let far = try Valve()
        let near = try Valve()
        try far.nginx.files.write("a.json", #"{"v":1}"#)
        // Quicker, but with another document: whether it is older nobody can say, so it is not moved to.
        try near.nginx.files.write("a.json", #"{"v":0}"#)
        far.state.withLock { $0 = .late(milliseconds: 60) }
        let one = source("m", .http, url: far.url("/a.json")) {
            $0.mirrors = [near.url("/a.json")]
            $0.prefersQuickest = true
            $0.poll = (1 * second)...(1 * second)
        }
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent([one], in: directory)
        try agent.start()
        func place() -> Int? { agent.agent.sourceFacts[sourceName("m")]?.place }
        try waitUntil("enough probes for a move", deadline: .seconds(120)) { near.requests > 2 }
        let polls = far.requests
        try waitUntil("polls after them") { far.requests >= polls + 2 }
        #expect(place() == 0)
        #expect(agent.value("v") == "1")
        try near.nginx.files.write("a.json", #"{"v":1}"#)
        try waitUntil("the near one", deadline: .seconds(120)) { place() == 1 }
        #expect(agent.story.contains { $0.hasPrefix("m moved from") })
        for place in [far, near] { try place.nginx.files.write("a.json", #"{"v":2}"#) }
        try waitUntil("the change") { agent.value("v") == "2" }
        // Too slow to be asked at all: it is left at once, not only after some probes.
        near.state.withLock { $0 = .late(milliseconds: 400) }
        try waitUntil("the far one") { place() == 0 }
    }
}

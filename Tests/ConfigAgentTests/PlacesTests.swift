import AgentTestSupport
import ConfigAgent
import ConfigDecode
import ConfigFetch
import ConfigGuard
import ConfigPublish
import ConfigSnapshot
import ConfigTrust
import Foundation
import TestSupport
import Testing

@Suite("Places of a source that differ")
struct PlacesTests {
    private func document(_ text: String, tag: String) -> OriginReply {
        .http(200, headers: ["ETag": tag, "Content-Type": "application/json"], body: Array(text.utf8))
    }

    @Test("Two places with one ETag and different documents: an alarm, once, and what is in use stays")
    func disagreement() throws {
        let first = try HeldOrigin { _ in document(#"{"v":1}"#, tag: "\"one\"") }
        let mirror = try HeldOrigin { _ in document(#"{"v":2}"#, tag: "\"one\"") }
        defer {
            first.stop()
            mirror.stop()
        }
        let one = source("m", .http, url: first.url("/a")) {
            $0.mirrors = [mirror.url("/a")]
            $0.retryBase = second / 10
            $0.retryMax = second / 10
        }
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent([one], in: directory)
        try agent.start()
        #expect(agent.value("v") == "1")
        first.answer { _ in .http(503) }
        try agent.refresh("m")
        try waitUntil("the mirror to be asked some times") { mirror.requests.count >= 3 }
        #expect(agent.story.filter { $0 == "places of m disagree" }.count == 1)
        #expect(agent.story.contains("m failed at fetch: disagreement (3)"))
        #expect(agent.agent.sourceFacts[sourceName("m")]?.disagreements == 1)
        #expect(agent.value("v") == "1")
        // Another one under that name is told of as well.
        mirror.answer { _ in document(#"{"v":3}"#, tag: "\"one\"") }
        try waitUntil("the second alarm") { agent.story.filter { $0 == "places of m disagree" }.count == 2 }
        // Once the mirror says what it means, it is believed.
        mirror.answer { _ in document(#"{"v":4}"#, tag: "\"two\"") }
        try waitUntil("the new document") { agent.value("v") == "4" }
        _ = directory
    }

    // MARK: After a start

    private func isOnDisk(_ agent: RunningAgent) throws {
        try waitUntil("it is on disk") { agent.agent.storeState.durableGeneration == agent.generation }
    }

    /// A source that asks again soon.
    private func mirrored(_ first: HeldOrigin, _ mirror: HeldOrigin) -> AgentPlan.Source {
        source("m", .http, url: first.url("/a")) {
            $0.mirrors = [mirror.url("/a")]
            $0.retryBase = second / 10
            $0.retryMax = second / 10
        }
    }

    /// Has one document after the other in use, from the first place; both end on disk.
    private func published(
        _ texts: [String],
        by first: HeldOrigin,
        _ source: AgentPlan.Source,
        in directory: TemporaryDirectory
    ) throws -> RunningAgent {
        let agent = try RunningAgent([source], in: directory)
        for (number, text) in texts.enumerated() {
            first.answer { _ in document(text, tag: "\"\(number)\"") }
            if number == 0 { try agent.start() } else { try agent.refresh("m") }
            try waitUntil("the document") { agent.generation == UInt64(number + 1) }
            try isOnDisk(agent)
        }
        return agent
    }

    private func waitForOlder(_ agent: RunningAgent) throws {
        try waitUntil("the refusal") { agent.story.contains { $0.hasPrefix("m failed at fetch: older") } }
    }

    @Test("A mirror that still has the document of before is not believed, though nothing but ETags tells them apart")
    func laggard() throws {
        let first = try HeldOrigin()
        let mirror = try HeldOrigin { _ in document(#"{"v":1}"#, tag: "\"0\"") }
        defer {
            first.stop()
            mirror.stop()
        }
        let directory = try TemporaryDirectory()
        let one = mirrored(first, mirror)
        let before = try published([#"{"v":1}"#, #"{"v":2}"#], by: first, one, in: directory)
        before.stop()
        first.answer { _ in .http(503) }
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitForOlder(after)
        #expect(after.value("v") == "2")
        // What nobody has seen yet may come from it.
        mirror.answer { _ in document(#"{"v":3}"#, tag: "\"3\"") }
        try waitUntil("the new document") { after.value("v") == "3" }
        // Now the mirror is the one that said it last: the first place is back with less.
        try isOnDisk(after)
        after.stop()
        first.answer { _ in document(#"{"v":2}"#, tag: "\"1\"") }
        let last = try RunningAgent([one], in: directory)
        try last.start()
        try waitForOlder(last)
        #expect(last.value("v") == "3")
        let values = (before.events + after.events + last.events).count {
            if case .published(_, let source, _) = $0 { source != nil } else { false }
        }
        #expect(values == 3, "nothing older was published in between")
    }

    @Test("The first place, where it has said last what is in use, may take it back over a start")
    func takenBack() throws {
        let first = try HeldOrigin()
        let mirror = try HeldOrigin { _ in .http(503) }
        defer {
            first.stop()
            mirror.stop()
        }
        let directory = try TemporaryDirectory()
        let one = mirrored(first, mirror)
        try published([#"{"v":1}"#, #"{"v":2}"#], by: first, one, in: directory).stop()
        first.answer { _ in document(#"{"v":1}"#, tag: "\"0\"") }
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitUntil("what it takes back") { after.value("v") == "1" }
        // And what was taken back does not come back by way of the mirror.
        first.answer { _ in .http(503) }
        mirror.answer { _ in document(#"{"v":2}"#, tag: "\"1\"") }
        try after.refresh("m")
        try waitForOlder(after)
        #expect(after.value("v") == "1")
    }

    @Test("A mirror that was the last to say what is in use has said it: back with less, the first place is behind")
    func lastWord() throws {
        let first = try HeldOrigin()
        let mirror = try HeldOrigin { _ in document(#"{"v":2}"#, tag: "\"1\"") }
        defer {
            first.stop()
            mirror.stop()
        }
        let directory = try TemporaryDirectory()
        let one = mirrored(first, mirror)
        let before = try published([#"{"v":1}"#, #"{"v":2}"#], by: first, one, in: directory)
        first.answer { _ in .http(503) }
        try before.refresh("m")
        try waitUntil("the mirror's word") {
            let facts = before.agent.sourceFacts[sourceName("m")]
            return facts?.place == 1 && facts?.consecutiveFailures == 0
        }
        before.stop()
        first.answer { _ in document(#"{"v":1}"#, tag: "\"0\"") }
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitForOlder(after)
        #expect(after.value("v") == "2")
    }

    @Test("Rules that were not asked yet change nothing of it: what is known of the order is known")
    func unjudged() throws {
        let first = try HeldOrigin()
        let mirror = try HeldOrigin { _ in document(#"{"v":1}"#, tag: "\"0\"") }
        defer {
            first.stop()
            mirror.stop()
        }
        let directory = try TemporaryDirectory()
        var one = mirrored(first, mirror)
        try published([#"{"v":1}"#, #"{"v":2}"#], by: first, one, in: directory).stop()
        // Nothing of what is in use fulfils this.
        one.rules = GuardRules(schema: try Schema(DocumentNode.parse(Array(#"{"required": ["w"]}"#.utf8), as: .json)))
        first.answer { _ in .http(503) }
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitForOlder(after)
        #expect(after.value("v") == "2")
    }

    @Test("A document that carries its signature is known after a start, too: the same one, and one of before")
    func carried() throws {
        let signer = Signer(PrivateKey())
        let texts = try (1...2).map { String(decoding: try signer.carried("{\"v\":\($0)}", UInt64($0)), as: UTF8.self) }
        let first = try HeldOrigin()
        let mirror = try HeldOrigin { _ in document(texts[1], tag: "\"1\"") }
        defer {
            first.stop()
            mirror.stop()
        }
        let directory = try TemporaryDirectory()
        let one = mirrored(first, mirror)
        try published(texts, by: first, one, in: directory).stop()
        first.answer { _ in .http(503) }
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitUntil("the mirror's word") {
            let facts = after.agent.sourceFacts[sourceName("m")]
            return facts?.place == 1 && facts?.consecutiveFailures == 0
        }
        #expect(!after.story.contains("places of m disagree"))
        after.stop()
        mirror.answer { _ in document(texts[0], tag: "\"0\"") }
        first.answer { _ in document(texts[0], tag: "\"0\"") }
        // The mirror said it last, and may take it back; the first place is behind until then.
        let last = try RunningAgent([one], in: directory)
        try last.start()
        try waitForOlder(last)
        try waitUntil("the mirror's word") { last.value("v") == "1" }
    }

    @Test("A server of Nacos that is behind is known as such after a start, by the time of the last change")
    func nacos() throws {
        let first = try NacosContract()
        let mirror = try NacosContract()
        defer { mirror.stop() }
        let now = Date()
        first.publish("a", group: "g", #"{"v":2}"#, changed: now - 60)
        // Never seen, and older.
        mirror.publish("a", group: "g", #"{"v":1}"#, changed: now - 120)
        let one = source("m", .nacos, url: first.url("/g/a")) {
            $0.mirrors = [mirror.url("/g/a")]
            $0.isWatched = false
            $0.retryBase = second / 10
            $0.retryMax = second / 10
        }
        let directory = try TemporaryDirectory()
        let before = try RunningAgent([one], in: directory)
        try before.start()
        try waitUntil("the document") { before.value("v") == "2" }
        try isOnDisk(before)
        before.stop()
        first.stop()
        let after = try RunningAgent([one], in: directory)
        try after.start()
        try waitForOlder(after)
        #expect(after.value("v") == "2")
        mirror.publish("a", group: "g", #"{"v":3}"#, changed: now)
        try waitUntil("the new document") { after.value("v") == "3" }
    }
}

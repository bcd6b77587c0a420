import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
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
}

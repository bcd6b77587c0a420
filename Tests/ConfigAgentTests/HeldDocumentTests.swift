import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import TestSupport
import Testing

@Suite("The way of a document that waits for others")
struct HeldDocumentTests {
    @Test("It is published with them, and the wait is part of its way")
    func held() throws {
        let early = try HeldOrigin { .document(#"{"a":1}"#, to: $0) }
        let late = try HeldOrigin { .document(#"{"b":1}"#, to: $0) }
        defer {
            early.stop()
            late.stop()
        }
        late.hold()
        let sources = [source("early", .http, url: early.url("/")), source("late", .http, url: late.url("/"))]
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent(sources, in: directory)
        _ = try agent.agent.start()
        func facts(_ name: String) -> SourceFacts? { agent.agent.sourceFacts[sourceName(name)] }
        try waitUntil("the first document") { facts("early")?.trace != nil }
        #expect(facts("early")?.trace?[.published] == nil)
        #expect(facts("early")?.traceGeneration == nil)
        late.releaseAll()
        try waitUntil("both") { facts("early")?.published == 1 && facts("late")?.published == 1 }
        for name in ["early", "late"] {
            let trace = try #require(facts(name)?.trace)
            #expect(facts(name)?.traceGeneration == 1)
            #expect(try #require(trace[.published]) >= #require(trace[.decoded]))
        }
        _ = directory
    }
}

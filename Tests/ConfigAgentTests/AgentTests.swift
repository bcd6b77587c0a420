import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@Suite("From the source to the snapshot")
struct AgentTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func url(_ name: String) -> String { "file://" + directory.path(name) }

    private func file(_ name: String, required: Bool = true) -> AgentPlan.Source {
        source(name, url: url(name), required: required)
    }

    // MARK: Layers

    @Test("Later sources win, and every value knows its own")
    func layers() throws {
        try directory.write("base", #"{"a":{"x":1,"y":2},"b":"base"}"#)
        try directory.write("team", #"{"a":{"y":3},"c":true}"#)
        let running = try RunningAgent([file("base"), file("team")], in: directory)
        #expect(try running.start() == nil)
        try waitUntil("there is a snapshot") { running.generation == 1 }
        #expect(running.value("") == #"{"a":{"x":1,"y":3},"b":"base","c":true}"#)
        var reader = running.agent.publisher.cell.makeReader()
        let owners = reader.withSnapshot { snapshot in
            ["a.x", "a.y", "b", "c", "a"].map { snapshot.value(at: $0)?.source?.source.text }
        }
        #expect(owners == ["base", "team", "base", "team", nil])
        #expect(running.story == ["published 4 keys from base"] || running.story == ["published 4 keys from team"])
    }

    @Test("YAML by its name, JSON by its name")
    func formats() throws {
        try directory.write("a.yaml", "x: [1, 2]\n")
        try directory.write("b.json", #"{"y":1}"#)
        let sources = [source("a", url: url("a.yaml")), source("b", url: url("b.json"))]
        let running = try RunningAgent(sources, in: directory)
        try running.start()
        try waitUntil("both are there") { running.value("") == #"{"x":[1,2],"y":1}"# }
    }

    @Test func requiredSourceMissing() throws {
        try directory.write("base", #"{"a":1}"#)
        let running = try RunningAgent([file("base"), file("team")], in: directory)
        try running.start()
        try waitUntil("the missing one failed") { running.story == ["team failed at fetch: cannot_read (1)"] }
        #expect(running.generation == 0)
        #expect(running.value("a") == nil)
        try running.refresh("base")
        #expect(running.generation == 0)
        try directory.write("team", #"{"b":2}"#)
        #expect(try running.refresh("team").name == "published")
        #expect(running.generation == 1)
        #expect(running.value("") == #"{"a":1,"b":2}"#)
        #expect(Array(running.story.dropFirst()) == ["published 2 keys from team", "team recovered after 1"])
    }

    @Test("As long as nothing is published, no outcome says so and no generation is durable")
    func incomplete() throws {
        let other = try RunningAgent([file("team")], in: directory)
        try directory.write("team", "{}")
        try other.start()
        try waitUntil("something was published before") { other.agent.storeState.durableGeneration == 1 }
        other.stop()
        unlink(directory.path("team"))
        unlink(directory.path("state/documents/team"))
        try FileManager.default.removeItem(atPath: directory.path("state/history"))
        let running = try RunningAgent([file("base"), file("team")], in: directory)
        try running.start()
        try directory.write("base", #"{"a":1}"#)
        let outcome = try running.refresh("base")
        #expect(running.generation == 0)
        // What is there is confirmed; what is required is not there.
        #expect(running.agent.sourceFacts[sourceName("base")]?.confirmedAt != nil)
        #expect(running.agent.confirmedAt == nil)
        #expect(outcome.generation == 0)
        #expect(outcome.name != "published")
        #expect(running.agent.sourceFacts[sourceName("base")]?.lastActivationAt == nil)
        let copy = directory.path("state/documents/base")
        try waitUntil("the document is kept") { FileManager.default.fileExists(atPath: copy) }
        running.stop()
        #expect(running.agent.storeState.durableGeneration <= running.generation)
    }

    @Test func optionalSourceMissing() throws {
        try directory.write("base", #"{"a":1}"#)
        let running = try RunningAgent([file("base"), file("team", required: false)], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        try waitUntil("it is confirmed, with what may be missing") { running.agent.confirmedAt != nil }
        #expect(running.value("") == #"{"a":1}"#)
        try directory.write("team", #"{"a":2}"#)
        #expect(try running.refresh("team").generation == 2)
        #expect(running.value("a") == "2")
    }

    // MARK: Documents that do not get through

    @Test(
        "Whatever is wrong, the last good document stays, and the stage that stopped it is named",
        arguments: [
            ("", "verify empty"), (" \n", "decode empty"), ("{\"a\":1", "decode syntax"),
            ("[1]", "decode not_an_object"),
            ("{\"a\":1,\"a\":2}", "decode duplicate_key"), ("<html></html>", "decode syntax"),
            ("{\"a\":\"0123456789\"}", "fetch too_large"),
        ]
    )
    func badDocument(text: String, failure: String) throws {
        try directory.write("base", #"{"a":1}"#)
        let small = source("base", url: url("base")) { $0.maxBytes = 16 }
        let running = try RunningAgent([small], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        try directory.write("base", text)
        let outcome = try running.refresh("base")
        #expect(outcome.name == failure)
        #expect(outcome.generation == 1)
        #expect(outcome.revision == running.agent.sourceFacts[sourceName("base")]?.revision)
        #expect(running.value("a") == "1")
        let health = Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds)
        #expect(health.level == .degraded)
        #expect(health.reasons.map(\.code) == ["source_failing"])
        try directory.write("base", #"{"a":2}"#)
        #expect(try running.refresh("base").name == "published")
        #expect(running.value("a") == "2")
        #expect(running.story.suffix(2) == ["published 1 keys from base", "base recovered after 1"])
        let facts = running.agent.healthFacts(workers: [])
        let well = Health.judge(facts, now: WallClock.nowNanoseconds)
        #expect(well.level == .healthy)
        // The source itself is not among the facts any more: only that it has recovered.
        #expect(facts.sources.isEmpty)
        #expect(well.since == running.agent.sourceFacts[sourceName("base")]?.recoveredAt)
    }

    @Test func badBytes() throws {
        try directory.write("base", [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D])
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        try waitUntil("it failed") { running.story == ["base failed at decode: not_utf8 (1)"] }
    }

    @Test("A source that is down for long fills no journal: the first, the second, the fourth …")
    func thinnedEvents() throws {
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        for _ in 2...17 { try running.refresh("base") }
        let counts = [1, 2, 4, 8, 16]
        #expect(running.story == counts.map { "base failed at fetch: cannot_read (\($0))" })
        try directory.write("base", "{")
        try running.refresh("base")
        #expect(running.story.last == "base failed at decode: syntax (18)")
        try running.refresh("base")
        #expect(running.story.count == 6)
        try directory.write("base", "{}")
        try running.refresh("base")
        #expect(running.story.last == "base recovered after 19")
    }

    // MARK: What is published

    @Test("The same bytes, or other bytes that mean the same, publish nothing")
    func sameContent() throws {
        try directory.write("base", #"{"a":1,"b":2}"#)
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        // Whoever commands a refresh has the file read, whatever its times say.
        #expect(try running.refresh("base").name == "unchanged")
        try directory.write("base", #"{"a":1,"b":2}"#)
        #expect(try running.refresh("base").name == "unchanged")
        try directory.write("base", "{ \"b\": 2,\n  \"a\": 1 }")
        let outcome = try running.refresh("base")
        #expect(outcome.name == "unchanged")
        #expect(outcome.generation == 1)
        #expect(running.generation == 1)
        #expect(running.story.count == 1)
        let facts = try #require(running.agent.sourceFacts[sourceName("base")])
        #expect(facts.published == 1)
        #expect(facts.unchanged == 3)
        #expect(facts.notModified == 0)
    }

    @Test("A change below a later layer's value changes nothing that anybody sees")
    func hiddenChange() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("team", #"{"a":2}"#)
        let running = try RunningAgent([file("base"), file("team")], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        try directory.write("base", #"{"a":3}"#)
        #expect(try running.refresh("base").name == "unchanged")
        #expect(running.generation == 1)
        try directory.write("team", "{}")
        #expect(try running.refresh("team").name == "published")
        #expect(running.value("a") == "3")
    }

    @Test func trace() throws {
        try directory.write("base", "{}")
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        try directory.write("base", #"{"a":1}"#)
        let outcome = try running.refresh("base")
        let trace = try #require(outcome.trace)
        // No command was asked.
        let stages = Trace.Stage.allCases.filter { trace[$0] != nil }
        #expect(stages == [.requested, .received, .verified, .decoded, .published])
        let stamps = stages.compactMap { trace[$0] }
        #expect(stamps == stamps.sorted())
        #expect(trace.text == outcome.revision?.traceID)
        guard case .published(_, let cause?, let told?) = running.events.last else {
            Issue.record("nothing published")
            return
        }
        #expect(cause == outcome.revision)
        #expect(told.id == trace.id)
    }

    // MARK: Stored copies

    @Test("After a restart without its sources an agent serves what it had, under a greater generation")
    func restart() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("team", "b: 2\n")
        let sources = [file("base"), source("team", url: url("team")) { $0.url = self.url("team") }]
        var plan = sources
        plan[1].format = .yaml
        let first = try RunningAgent(plan, in: directory)
        try first.start()
        try waitUntil("there is a snapshot") { first.generation == 1 }
        try directory.write("base", #"{"a":2}"#)
        try first.refresh("base")
        let generation = first.generation
        let digest = first.agent.publisher.digest
        #expect(first.stop())
        #expect(first.agent.storeState.durableGeneration == generation)
        unlink(directory.path("base"))
        unlink(directory.path("team"))

        let second = try RunningAgent(plan, in: directory)
        #expect(try second.start() == digest)
        #expect(second.generation > generation)
        #expect(second.agent.storeState.durableGeneration == second.generation)
        #expect(second.value("") == #"{"a":2,"b":2}"#)
        let facts = try #require(second.agent.sourceFacts[sourceName("base")])
        #expect(facts.isLastGood)
        #expect(facts.revision?.digest == first.agent.sourceFacts[sourceName("base")]?.revision?.digest)
        try waitUntil("both sources failed") { second.story.count == 5 }
        #expect(
            second.story.prefix(3) == [
                "last good of base", "last good of team", "published 2 keys from stored copies",
            ]
        )
        let before = second.generation
        try directory.write("base", #"{"a":2}"#)
        #expect(try second.refresh("base").name == "unchanged")
        #expect(second.agent.sourceFacts[sourceName("base")]?.isLastGood == false)
        #expect(second.generation == before)
    }

    @Test func restartWithAnotherDocument() throws {
        try directory.write("base", #"{"a":1}"#)
        let first = try RunningAgent([file("base")], in: directory)
        try first.start()
        try waitUntil("it is durable") { first.agent.storeState.durableGeneration == 1 }
        first.stop()
        try directory.write("base", #"{"a":2}"#)
        let second = try RunningAgent([file("base")], in: directory)
        try second.start()
        try waitUntil("the new document is there") { second.value("a") == "2" }
        #expect(second.story.last == "published 1 keys from base")
    }

    @Test("A damaged copy is told of, set aside, and not used")
    func damagedCopy() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("team", #"{"b":1}"#)
        let first = try RunningAgent([file("base"), file("team")], in: directory)
        try first.start()
        try waitUntil("it is durable") { first.agent.storeState.durableGeneration == 1 }
        first.stop()
        unlink(directory.path("base"))
        unlink(directory.path("team"))
        let copy = directory.path("state/documents/base")
        let text = readText(copy)
        try directory.write("state/documents/base", text + " ")
        // The generation that it was part of has it, too.
        var second = try RunningAgent([file("base"), file("team")], in: directory)
        #expect(try second.start() != nil)
        #expect(second.story.prefix(2) == ["stored copy of base unusable", "last good of base"])
        second.stop()
        // Where that is damaged as well, there is none.
        try FileManager.default.removeItem(atPath: directory.path("state/history"))
        try directory.write("state/documents/base", text + " ")
        second = try RunningAgent([file("base"), file("team")], in: directory)
        #expect(try second.start() == nil)
        #expect(second.generation == 0)
        #expect(second.story.prefix(2) == ["stored copy of base unusable", "last good of team"])
        #expect(!FileManager.default.fileExists(atPath: copy))
        #expect(FileManager.default.fileExists(atPath: copy + ".bad"))
        try directory.write("base", #"{"a":5}"#)
        try second.refresh("base")
        #expect(second.value("") == #"{"a":5,"b":1}"#)
        #expect(second.generation > first.generation)
    }

    @Test("A stored copy that today's limits refuse is used until something better comes, and it is told")
    func stricterLimits() throws {
        try directory.write("base", #"{"a":"0123456789"}"#)
        let first = try RunningAgent([file("base")], in: directory)
        try first.start()
        try waitUntil("it is durable") { first.agent.storeState.durableGeneration == 1 }
        first.stop()
        let strict = source("base", url: url("base")) { $0.maxBytes = 10 }
        let second = try RunningAgent([strict], in: directory)
        #expect(try second.start() != nil)
        #expect(second.value("a") == #""0123456789""#)
        // A file that is too large is not even read to its end.
        let facts = try #require(second.agent.sourceFacts[sourceName("base")])
        #expect(facts.lastFailure?.failure.code == "too_large" && facts.isLastGood)
    }

    @Test("The stored copy's ETag is sent after a restart, and 304 is enough to be fresh again")
    func conditionalAfterRestart() throws {
        let origin = try HeldOrigin { .document(#"{"a":1}"#, to: $0) }
        defer { origin.stop() }
        let sources = [source("base", .http, url: origin.url("/a"))]
        let first = try RunningAgent(sources, in: directory)
        try first.start()
        try waitUntil("it is durable") { first.agent.storeState.durableGeneration == 1 }
        first.stop()
        let second = try RunningAgent(sources, in: directory)
        try second.start()
        try waitUntil("it is confirmed") { second.agent.sourceFacts[sourceName("base")]?.notModified == 1 }
        #expect(second.agent.sourceFacts[sourceName("base")]?.isLastGood == false)
        #expect(second.value("a") == "1")
        #expect(origin.requests.map { $0.headers["if-none-match"] == nil } == [true, false])
    }

    @Test("An ETag means something at the URL that gave it, and nowhere else")
    func changedURL() throws {
        func origin(_ document: String) throws -> HeldOrigin {
            try HeldOrigin { request in
                request.headers["if-none-match"] == "\"1\""
                    ? .http(304) : .http(200, headers: ["ETag": "\"1\""], body: Array(document.utf8))
            }
        }
        let staging = try origin(#"{"stage":"test"}"#)
        let production = try origin(#"{"stage":"live"}"#)
        defer {
            staging.stop()
            production.stop()
        }
        let first = try RunningAgent([source("base", .http, url: staging.url("/a"))], in: directory)
        try first.start()
        try waitUntil("it is durable") { first.agent.storeState.durableGeneration == 1 }
        first.stop()
        let second = try RunningAgent([source("base", .http, url: production.url("/a"))], in: directory)
        try second.start()
        try second.refresh("base")
        #expect(second.value("stage") == "\"live\"")
    }

    @Test("Without a place to write, everything is served all the same")
    func noStateDirectory() throws {
        try directory.write("state", "a file")
        try directory.write("base", #"{"a":1}"#)
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.value("a") == "1" }
        #expect(running.story.contains("store failing"))
        #expect(running.agent.storeState.durableGeneration == 0)
        let health = Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds)
        #expect(health.reasons.map(\.code) == ["not_durable"])
        unlink(directory.path("state"))
        try directory.write("base", #"{"a":2}"#)
        try running.refresh("base")
        try waitUntil("it is durable") { running.agent.storeState.durableGeneration == running.generation }
        // On a busy machine the store may have got round to it before the second document came.
        try waitUntil("the recovery is told") { running.story.contains("store recovered") }
    }

    // MARK: The end, and many at once

    @Test("An agent stops within its deadline, whatever is on its way")
    func stop() throws {
        let origin = try HeldOrigin { _ in .http(200, body: Array("{}".utf8)) }
        defer { origin.stop() }
        origin.hold()
        let running = try RunningAgent([source("base", .http, url: origin.url("/a")), file("team")], in: directory)
        try running.agent.start()
        try waitUntil("the request is at the origin") { origin.held == 1 }
        let begun = MonotonicTime.now
        #expect(running.agent.stop(until: begun.advanced(byNanoseconds: 5 * second)))
        #expect(MonotonicTime.now.nanoseconds(since: begun) < 3 * second)
        #expect(running.agent.stop(until: MonotonicTime.now))
    }

    @Test func stopWithoutStart() throws {
        let running = try RunningAgent([file("base")], in: directory)
        #expect(running.agent.stop(until: MonotonicTime.now))
    }

    @Test("Eight readers during many publications: each snapshot is of one piece, and none goes backwards")
    func readers() throws {
        func document(_ version: Int) -> String {
            "{" + (0..<50).map { "\"k\($0)\":{\"v\":\(version)}" }.joined(separator: ",") + "}"
        }
        try directory.write("base", document(0))
        let running = try RunningAgent([file("base")], in: directory)
        try running.start()
        try waitUntil("there is a snapshot") { running.generation == 1 }
        let isOver = Mutex("test.over", false)
        let ended = Flag(isOver)
        let cell = running.agent.publisher.cell
        let readers = PendingThreads<[String]>(count: 8) { _ in
            var reader = cell.makeReader()
            var faults: [String] = []
            var last: UInt64 = 0
            var rounds = 0
            while !ended.isRaised || rounds == 0 {
                rounds += 1
                reader.withSnapshot { snapshot in
                    var versions: Set<[UInt8]> = []
                    for leaf in snapshot.table.leaves { versions.insert(Array(snapshot.table.value(leaf))) }
                    if versions.count != 1 { faults.append("\(versions.count) versions in one snapshot") }
                    if snapshot.count != 50 { faults.append("\(snapshot.count) keys") }
                    if snapshot.value(at: "k7.v").map({ Array($0.json) }) != versions.first { faults.append("k7") }
                    if snapshot.table.contentDigest != snapshot.digest, rounds % 16 == 0 { faults.append("digest") }
                    if snapshot.generation < last { faults.append("\(snapshot.generation) after \(last)") }
                    last = snapshot.generation
                }
            }
            return faults
        }
        for version in 1...60 {
            try directory.write("base", document(version))
            #expect(try running.refresh("base").name == "published")
        }
        ended.raise()
        #expect(try readers.results().flatMap { $0 } == [])
        #expect(running.generation == 61)
        #expect(running.value("k0.v") == "60")
    }

    private final class Flag: Sendable {
        private let value: Mutex<Bool>
        init(_ value: consuming Mutex<Bool>) { self.value = value }
        var isRaised: Bool { value.withLock { $0 } }
        func raise() { value.withLock { $0 = true } }
    }
}

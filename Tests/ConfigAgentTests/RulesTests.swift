import AgentTestSupport
import ConfigAgent
import ConfigDecode
import ConfigFetch
import ConfigGuard
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// Rules for documents, with a whole pipeline and real files; restarts included.
@Suite("Rules")
struct RulesTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func rules(_ schema: String) throws -> GuardRules {
        GuardRules(schema: try Schema(DocumentNode.parse(Array(schema.utf8), as: .json)))
    }

    private func ports() throws -> GuardRules {
        try rules(#"{"required": ["port"], "properties": {"port": {"type": "integer", "maximum": 65535}}}"#)
    }

    private func app(_ rules: GuardRules, _ name: String = "app", required: Bool = true) -> AgentPlan.Source {
        var app = source(name, url: "file://" + directory.path("\(name).json"), required: required)
        app.rules = rules
        return app
    }

    private func start(_ sources: [AgentPlan.Source]) throws -> RunningAgent {
        let running = try RunningAgent(sources, in: directory)
        try running.start()
        return running
    }

    private var deadline: MonotonicTime { .now.advanced(byNanoseconds: 20 * second) }

    private func accept(_ digits: String, _ running: RunningAgent) throws -> Quarantine.Document {
        let command = Command(by: Actor(uid: 0, pid: 1, user: "root"), at: WallClock.nowNanoseconds, reason: "because")
        let (document, isDurable) = try running.agent.accept(digits, command, until: deadline)
        #expect(isDurable)
        return document
    }

    @Test("What breaks rules is not published; what is in use stays, and others go on")
    func refused() throws {
        try directory.write("app.json", #"{"port": 80}"#)
        try directory.write("other.json", #"{"o": 1}"#)
        let running = try start([app(try ports()), app(GuardRules(), "other")])
        let before = running.generation
        try directory.write("app.json", #"{"port": 70000}"#)
        let outcome = try running.refresh("app")
        #expect(outcome.failure?.stage == .guarding && outcome.failure?.code == "refused")
        #expect(outcome.failure?.message == "line 1, column 10: port: has to be at most 65535")
        #expect(running.value("port") == "80" && running.generation == before)
        let held = try #require(running.agent.quarantined.documents.first)
        #expect(held.source.text == "app" && held.count == 1 && held.times == 1 && held.accepted == nil)
        #expect(outcome.failure?.hint?.contains("agentctl accept \(held.digest.short)") == true)
        // The same again is one document, refused twice.
        try running.refresh("app")
        #expect(running.agent.quarantined.documents.map(\.times) == [2])
        try directory.write("other.json", #"{"o": 2}"#)
        #expect(try running.refresh("other").name == "published")
        try directory.write("app.json", #"{"port": 443}"#)
        #expect(try running.refresh("app").name == "published")
        #expect(running.value("port") == "443" && running.value("o") == "2")
    }

    @Test("A first document that breaks rules: there is no configuration, rather than a bad one")
    func first() throws {
        try directory.write("app.json", "{}")
        let running = try start([app(try ports())])
        #expect(running.generation == 0)
        #expect(running.agent.sourceFacts[sourceName("app")]?.lastFailure?.failure.code == "refused")
    }

    @Test("What is accepted by its digest is taken, across restarts; anything else is not")
    func accepted() throws {
        try directory.write("app.json", #"{"port": 80}"#)
        var running = try start([app(try ports())])
        try directory.write("app.json", #"{"port": 70000}"#)
        try running.refresh("app")
        let held = try #require(running.agent.quarantined.documents.first)
        for (digits, code) in [("abc", "bad_digest"), ("00000000", "unknown_digest")] {
            #expect(throws: Agent.Refusal.self) { _ = try accept(digits, running) }
            #expect(running.value("port") == "80", "\(code)")
        }
        #expect(try accept(held.digest.short, running).digest == held.digest)
        // Taken from its source, not from anywhere else.
        #expect(running.value("port") == "80")
        #expect(try running.refresh("app").name == "published")
        #expect(running.value("port") == "70000")
        try running.waitUntilDurable()
        running.stop()
        running = try start([app(try ports())])
        #expect(running.value("port") == "70000")
        #expect(running.agent.generationRecords.map(\.command?.reason) == [nil, "because"], "on the record")
        #expect(running.agent.quarantined.documents.first?.accepted?.reason == "because")
        #expect(running.agent.sourceFacts[sourceName("app")]?.consecutiveFailures == 0)
        try directory.write("app.json", #"{"port": 70001}"#)
        #expect(try running.refresh("app").failure?.code == "refused")
        #expect(running.value("port") == "70000")
    }

    @Test("Shrunk too far, empty: refused; in steps that are small enough it is taken")
    func shrunk() throws {
        func write(_ count: Int) throws {
            try directory.write("app.json", "{" + (0..<count).map { "\"k\($0)\": 1" }.joined(separator: ",") + "}")
        }
        try write(100)
        var running = try start([app(GuardRules(refusesEmpty: true, maxShrink: 30))])
        try write(69)
        #expect(
            try running.refresh("app").failure?.message
                == "the document has 69 values, the one in use 100: more than 30 % less"
        )
        try write(0)
        #expect(try running.refresh("app").failure?.message.contains("the document has no values, and 1 more") == true)
        try write(70)
        #expect(try running.refresh("app").name == "published")
        // What counts is what is in use, also after a restart.
        try running.waitUntilDurable()
        running.stop()
        try write(40)
        running = try start([app(GuardRules(refusesEmpty: true, maxShrink: 30))])
        #expect(running.value("k69") == "1")
        #expect(running.agent.sourceFacts[sourceName("app")]?.lastFailure?.failure.code == "refused")
        try write(50)
        #expect(try running.refresh("app").name == "published")
    }

    @Test("Stricter rules than at the time: what is in use stays, and its source is what fails")
    func stricter() throws {
        try directory.write("app.json", #"{"port": 70000}"#)
        var running = try start([app(GuardRules())])
        #expect(running.value("port") == "70000")
        // By a reload.
        var plan = AgentPlan(sources: [app(try ports())], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: deadline))
        #expect(try running.refresh("app").failure?.code == "refused")
        #expect(running.value("port") == "70000")
        // And back: the same document is right again.
        plan.sources = [app(GuardRules())]
        #expect(running.agent.adopt(plan, until: deadline))
        #expect(try running.refresh("app").failure == nil)
        // By a restart.
        try running.waitUntilDurable()
        running.stop()
        running = try start([app(try ports())])
        #expect(running.value("port") == "70000")
        #expect(running.agent.sourceFacts[sourceName("app")]?.lastFailure?.failure.code == "refused")
        try directory.write("app.json", #"{"port": 1}"#)
        #expect(try running.refresh("app").name == "published")
    }

    @Test("The stored copy of a source that says that nothing has changed is held against new rules all the same")
    func notModified() throws {
        let body = Array(#"{"port": 70000}"#.utf8)
        let origin = try HeldOrigin { request in
            request.headers["if-none-match"] == "\"1\""
                ? .http(304) : .http(200, headers: ["ETag": "\"1\""], body: body)
        }
        defer { origin.stop() }
        func remote(_ rules: GuardRules) -> AgentPlan.Source {
            var remote = source("app", .http, url: "http://127.0.0.1:\(origin.port)/app.json")
            remote.rules = rules
            return remote
        }
        var running = try start([remote(GuardRules())])
        try running.waitUntilDurable()
        running.stop()
        running = try start([remote(try ports())])
        #expect(running.value("port") == "70000")
        #expect(running.agent.sourceFacts[sourceName("app")]?.lastFailure?.failure.code == "refused")
    }

    @Test("A document on demand is held against the rules, too")
    func onDemand() async throws {
        try directory.write("app.json", #"{"port": 80}"#)
        var alone = app(try ports(), required: false)
        alone.fetch.idle = hour
        let running = try start([alone])
        #expect(try running.refresh("app").name == "published")
        try directory.write("app.json", #"{"port": "x"}"#)
        #expect(try running.refresh("app").failure?.message.contains("has to be of type integer") == true)
        let document = try await running.agent.documents.read(sourceName("app"), until: deadline)
        #expect(document.snapshot.value(at: "port").map { String(decoding: $0.json, as: UTF8.self) } == "80")
        #expect(document.isLastGood)
    }

    @Test("A list that somebody has damaged is set aside, and told")
    func damaged() throws {
        try directory.write("app.json", #"{"port": 70000}"#)
        var running = try start([app(try ports())])
        #expect(running.agent.quarantined.documents.count == 1)
        try waitUntil("it is on disk") { FileManager.default.fileExists(atPath: directory.path("state/quarantine")) }
        running.stop()
        try directory.write("state/quarantine", "config-agent quarantine 1\nx\n")
        running = try start([app(try ports())])
        #expect(running.story.contains("quarantine unusable"))
        #expect(running.agent.quarantined.documents.map(\.times) == [1])
    }

    @Test("However much is refused, only so much is remembered, and what was accepted longest")
    func bounded() throws {
        var quarantine = Quarantine()
        func digest(_ number: Int) throws -> ContentDigest {
            try #require(ContentDigest(bytes: (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) }))
        }
        let name = sourceName("app")
        let command = Command(by: Actor(uid: 0, pid: 1), at: 1)
        var forgotten: Quarantine.Document?
        for number in 0..<1_000 {
            #expect(quarantine.note(name, try digest(number), reasons: ["r"], count: 1, at: Int64(number)))
            if number == 7 { forgotten = quarantine.documents.last }
            if number == 5 { #expect(quarantine.accept(try #require(quarantine.documents.last), command)) }
        }
        #expect(quarantine.documents.count == Quarantine.most)
        #expect(quarantine.acceptance(of: name, try digest(5)) == command)
        #expect(quarantine.acceptance(of: sourceName("other"), try digest(5)) == nil)
        #expect(quarantine.documents.last?.since == 999)
        let gone = try #require(forgotten)
        let isAccepted = quarantine.accept(gone, command)
        #expect(!isAccepted, "forgotten, it cannot be accepted")
    }
}

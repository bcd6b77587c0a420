import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@Suite("A new plan while running")
struct ReloadTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func file(_ name: String, at path: String? = nil, required: Bool = true) -> AgentPlan.Source {
        source(name, url: "file://" + directory.path(path ?? name), required: required)
    }

    private func running(_ sources: [AgentPlan.Source]) throws -> RunningAgent {
        let running = try RunningAgent(sources, in: directory)
        try running.start()
        return running
    }

    private func adopt(_ running: RunningAgent, _ sources: [AgentPlan.Source]) {
        let plan = AgentPlan(sources: sources, stateDirectory: "/elsewhere")
        #expect(running.agent.adopt(plan, until: MonotonicTime.now.advanced(byNanoseconds: 20 * second)))
    }

    private func health(_ running: RunningAgent) -> [String] {
        Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds).reasons.map(\.code)
    }

    @Test("Sources are added, removed and moved in order without another look at the others")
    func addedRemovedReordered() throws {
        try directory.write("one", #"{"a":1,"x":"one"}"#)
        try directory.write("two", #"{"b":2,"x":"two"}"#)
        let running = try running([file("one"), file("two")])
        try waitUntil("both are there") { running.value("x") == "\"two\"" }
        let before = running.generation
        adopt(running, [file("two"), file("one")])
        #expect(running.value("") == #"{"a":1,"b":2,"x":"one"}"#)
        #expect(running.generation == before + 1)
        try directory.write("three", #"{"c":3}"#)
        adopt(running, [file("two"), file("one"), file("three")])
        try waitUntil("the third is there") { running.value("c") == "3" }
        adopt(running, [file("one"), file("three")])
        #expect(running.value("") == #"{"a":1,"c":3,"x":"one"}"#)
        #expect(running.agent.sourceFacts[sourceName("one")]?.requests == 1)
        #expect(running.agent.sourceFacts[sourceName("two")] == nil)
        #expect(running.agent.plan.sources.map(\.fetch.name.text) == ["one", "three"])
        #expect(running.agent.plan.stateDirectory == directory.path("state"))
        #expect(running.events.allSatisfy { if case .sourceFailed = $0 { false } else { true } })
    }

    @Test("A plan with nothing new changes nothing")
    func samePlan() throws {
        try directory.write("one", #"{"a":1}"#)
        let running = try running([file("one")])
        try waitUntil("it is there") { running.generation == 1 }
        for _ in 0..<5 { adopt(running, [file("one")]) }
        #expect(running.generation == 1)
        #expect(running.agent.sourceFacts[sourceName("one")]?.requests == 1)
        #expect(try running.refresh("one").name == "unchanged")
    }

    @Test("Until a required source that was added is there, readers see the old layers, and changes in them")
    func awaited() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("app", #"{"b":1}"#)
        let running = try running([file("base"), file("app")])
        try waitUntil("both are there") { running.value("") == #"{"a":1,"b":1}"# }
        // A new name for the second layer, and a mistake in its path: never is there a snapshot without either.
        adopt(running, [file("base"), file("app2", at: "missing")])
        #expect(running.value("") == #"{"a":1,"b":1}"#)
        try waitUntil("it says so") {
            health(running) == ["source_failing", "source_awaited"]
                || health(running) == ["source_awaited", "source_failing"]
        }
        try directory.write("base", #"{"a":2}"#)
        #expect(try running.refresh("base").name == "published")
        #expect(running.value("") == #"{"a":2,"b":1}"#)
        // The mistake again, then mended.
        adopt(running, [file("base"), file("app3", at: "missing3")])
        #expect(running.value("") == #"{"a":2,"b":1}"#)
        try directory.write("app2", #"{"c":1}"#)
        adopt(running, [file("base"), file("app2")])
        try waitUntil("the new layers are in force") { running.value("") == #"{"a":2,"c":1}"# }
        try waitUntil("all is well") { health(running).isEmpty }
    }

    @Test("A source that is not required joins when it comes")
    func optional() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("gone", #"{"g":1}"#)
        let running = try running([file("base"), file("gone")])
        try waitUntil("both are there") { running.value("g") == "1" }
        adopt(running, [file("base"), file("extra", required: false)])
        #expect(running.value("") == #"{"a":1}"#)
        try waitUntil("it was asked in vain") {
            running.agent.sourceFacts[sourceName("extra")]?.consecutiveFailures == 1
        }
        try directory.write("extra", #"{"e":1}"#)
        #expect(try running.refresh("extra").name == "published")
        #expect(running.value("") == #"{"a":1,"e":1}"#)
    }

    @Test("A source at another place keeps its document until the new place answers, which is not asked with old tags")
    func moved() throws {
        let origin = try HeldOrigin { request in
            .http(
                request.headers["if-none-match"] == nil ? 200 : 304,
                headers: ["ETag": "\"same\"", "Content-Type": "application/json"],
                body: Array("{\"at\":\"\(request.path)\"}".utf8)
            )
        }
        let running = try running([source("app", .http, url: origin.url("/old"))])
        try waitUntil("the old one is there") { running.value("at") == "\"/old\"" }
        origin.hold()
        adopt(running, [source("app", .http, url: origin.url("/new"))])
        #expect(running.value("at") == "\"/old\"")
        #expect(running.agent.sourceFacts[sourceName("app")]?.isLastGood == true)
        origin.releaseAll()
        try waitUntil("the new one is there") { running.value("at") == "\"/new\"" }
        try waitUntil("and known to be") { running.agent.sourceFacts[sourceName("app")]?.isLastGood == false }
        #expect(origin.requests.last?.headers["if-none-match"] == nil)
    }

    @Test("What is on its way when a source changes is not taken for the new source's")
    func overtaken() throws {
        let origin = try HeldOrigin { .document("{\"at\":\"\($0.path)\"}", to: $0) }
        let running = try running([source("app", .http, url: origin.url("/first"))])
        try waitUntil("the first is there") { running.value("at") == "\"/first\"" }
        origin.hold()
        let shared = Shared()
        _ = try running.agent.fetch(sourceName("app"), .requestedAfterNow) { outcome in
            shared.outcomes.withLock { $0.append(outcome) }
        }
        try waitUntil("the request is held") { origin.held == 1 }
        adopt(running, [source("app", .http, url: origin.url("/second"))])
        try waitUntil("it is asked anew") { origin.requests.last?.path == "/second" }
        origin.releaseAll()
        try waitUntil("the caller is answered") { shared.outcomes.withLock { $0.count } == 1 }
        #expect(shared.outcomes.withLock { $0.first?.name } == "published")
        #expect(running.value("at") == "\"/second\"")
    }

    @Test("Callers of a source that goes away are told so")
    func removedWhileWaiting() throws {
        try directory.write("base", #"{"a":1}"#)
        let origin = try HeldOrigin { .document("{\"b\":1}", to: $0) }
        let app = source("app", .http, url: origin.url("/a"))
        let running = try running([file("base"), app])
        try waitUntil("both are there") { running.value("b") == "1" }
        origin.hold()
        let shared = Shared()
        _ = try running.agent.fetch(sourceName("app"), .requestedAfterNow) { outcome in
            shared.outcomes.withLock { $0.append(outcome) }
        }
        try waitUntil("the request is held") { origin.held == 1 }
        adopt(running, [file("base")])
        try waitUntil("the caller is answered") { shared.outcomes.withLock { $0.count } == 1 }
        #expect(shared.outcomes.withLock { $0.first?.name } == "fetch removed")
        #expect(running.value("") == #"{"a":1}"#)
        origin.releaseAll()
        #expect(running.events.allSatisfy { if case .sourceFailed = $0 { false } else { true } })
        #expect(try running.refresh("app").name == "fetch removed")
    }

    @Test("A source that comes back is served from its stored copy while it cannot be reached")
    func comesBack() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("app", #"{"b":1}"#)
        let running = try running([file("base"), file("app")])
        try waitUntil("both are stored") {
            running.agent.storeState.durableGeneration == running.generation && running.generation > 0
                && running.value("b") == "1"
        }
        adopt(running, [file("base")])
        #expect(running.value("") == #"{"a":1}"#)
        try FileManager.default.removeItem(atPath: directory.path("app"))
        adopt(running, [file("base"), file("app")])
        #expect(running.value("") == #"{"a":1,"b":1}"#)
        #expect(running.agent.sourceFacts[sourceName("app")]?.isLastGood == true)
        #expect(running.story.contains("last good of app"))
    }

    @Test("A mistake in a reload, and then a restart: what was in force is in force again")
    func restartWhileAwaited() throws {
        try directory.write("base", #"{"a":1}"#)
        try directory.write("app", #"{"b":1}"#)
        do {
            let running = try running([file("base"), file("app")])
            try waitUntil("both are there") { running.value("") == #"{"a":1,"b":1}"# }
            // Renamed, and the new one is not there.
            adopt(running, [file("base"), file("app2", at: "missing")])
            try directory.write("base", #"{"a":2}"#)
            #expect(try running.refresh("base").name == "published")
            try waitUntil("it is stored") { running.agent.storeState.durableGeneration == running.generation }
            running.stop()
        }
        let again = try RunningAgent([file("base"), file("app2", at: "missing")], in: directory)
        try again.start()
        #expect(again.value("") == #"{"a":2,"b":1}"#)
        #expect(health(again).contains("source_awaited"))
        try directory.write("missing", #"{"c":1}"#)
        #expect(try again.refresh("app2").name == "published")
        #expect(again.value("") == #"{"a":2,"c":1}"#)
        #expect(health(again).isEmpty)
    }

    @Test("A source that comes back under another URL is not asked with the tag of the first")
    func backElsewhere() throws {
        let origin = try HeldOrigin { request in
            .http(
                request.headers["if-none-match"] == nil ? 200 : 304,
                headers: ["ETag": "\"same\"", "Content-Type": "application/json"],
                body: Array("{\"at\":\"\(request.path)\"}".utf8)
            )
        }
        let running = try running([source("app", .http, url: origin.url("/one"))])
        try waitUntil("the first is there") { running.value("at") == "\"/one\"" }
        adopt(running, [file("other", at: "missing")])
        adopt(running, [source("app", .http, url: origin.url("/two"))])
        try waitUntil("the second is there") { running.value("at") == "\"/two\"" }
    }

    @Test("Reloads without end, under refreshes without end")
    func storm() throws {
        for number in 0..<4 { try directory.write("s\(number)", "{\"k\(number)\":0}") }
        let running = try running([file("s0")])
        try waitUntil("it is there") { running.generation == 1 }
        for round in 1...100 {
            let count = 1 + round % 4
            adopt(running, (0..<count).map { file("s\($0)") })
            for number in 0..<count {
                _ = try? running.agent.fetch(sourceName("s\(number)"), .requestedAfterNow) { _ in }
            }
        }
        adopt(running, (0..<4).map { file("s\($0)") })
        // The thread sanitizer's machine has everything else to do at the same time.
        try waitUntil("all four are in force", deadline: .seconds(60)) {
            running.value("") == #"{"k0":0,"k1":0,"k2":0,"k3":0}"#
        }
        try waitUntil("nothing is left on its way") { running.agent.flightStatistics.inFlight == 0 }
    }

    private final class Shared: Sendable {
        let outcomes = Mutex("test.outcomes", [FlightOutcome]())
    }
}

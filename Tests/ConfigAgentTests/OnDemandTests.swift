import AgentTestSupport
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

@testable import ConfigAgent

@Suite("Documents on demand")
struct OnDemandTests {
    private let directory: TemporaryDirectory
    private let origin: HeldOrigin

    init() throws {
        directory = try TemporaryDirectory()
        origin = try HeldOrigin { .document(#"{"a":1}"#, to: $0) }
    }

    /// Longer than any test waits where all works, however busy the machine is.
    private static let patience: UInt64 = 500 * second

    private func onDemand(
        _ name: String = "rare",
        idle: UInt64 = 100 * hour,
        _ change: (inout SourceSpec) -> Void = { _ in }
    ) -> AgentPlan.Source {
        source(name, .http, url: origin.url("/\(name)"), required: false) {
            $0.idle = idle
            change(&$0)
        }
    }

    private func running(_ sources: [AgentPlan.Source]) throws -> RunningAgent {
        try directory.write("base", #"{"base":true}"#)
        let base = source("base", url: "file://" + directory.path("base"))
        let running = try RunningAgent([base] + sources, in: directory)
        try running.start()
        try waitUntil("the configuration is there") { running.generation > 0 }
        return running
    }

    private func serve(_ text: String) { origin.answer { .document(text, to: $0) } }

    private func read(_ running: RunningAgent, _ name: String = "rare", within: UInt64 = patience) async throws
        -> String
    {
        let document = try await running.agent.documents.read(
            sourceName(name),
            until: MonotonicTime.now.advanced(byNanoseconds: within)
        )
        return Self.text(document)
    }

    private static func text(_ document: OnDemandDocuments.Document?) -> String {
        guard let document, let value = document.snapshot.value(at: "") else { return "nothing" }
        return String(decoding: value.json, as: UTF8.self)
    }

    private func facts(_ running: RunningAgent, _ name: String = "rare") -> SourceFacts? {
        running.agent.sourceFacts[sourceName(name)]
    }

    private func health(_ running: RunningAgent) -> [String] {
        Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds).reasons.map(\.code)
    }

    /// Without holding a thread: a document's load needs one of the same few.
    private func soon(_ what: String, _ condition: () throws -> Bool) async throws {
        let end = MonotonicTime.now.advanced(byNanoseconds: Self.patience)
        while try !condition() {
            guard MonotonicTime.now < end else { throw InVain(what: what) }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func failure(_ body: () async throws -> String) async -> String {
        do {
            return "read \(try await body())"
        } catch OnDemandDocuments.LoadError.failed(let failure, _) {
            return failure.code
        } catch OnDemandDocuments.LoadError.late {
            return "late"
        } catch {
            return "\(error)"
        }
    }

    // MARK: Loading

    @Test("Until somebody reads it, a source is not asked, and all is well without it")
    func asleep() async throws {
        let running = try running([onDemand()])
        #expect(facts(running)?.isAsleep == true)
        #expect(running.agent.documents.cached(sourceName("rare")) == nil)
        #expect(health(running) == [])
        #expect(running.agent.awake.map(\.text) == ["base"])
        #expect(origin.requests.isEmpty)
        #expect(try await read(running) == #"{"a":1}"#)
        #expect(facts(running)?.isAsleep == false)
        // No layer of the configuration, and no generation of it.
        #expect(running.value("") == #"{"base":true}"#)
        #expect(running.generation == 1)
        #expect(running.story.contains("loaded 1 keys from rare"))
    }

    @Test("Who reads at once shares one request; whose time is over goes, and the others stay")
    func folded() async throws {
        origin.hold()
        let running = try running([onDemand()])
        let hasty = Task { await Self.failure { try await read(running, within: second / 5) } }
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<64 { group.addTask { try await read(running) } }
            let late = await hasty.value
            #expect(late == "late")
            try await soon("the request") { origin.held == 1 }
            origin.releaseAll()
            for try await text in group { #expect(text == #"{"a":1}"#) }
        }
        #expect(origin.requests.count == 1)
        #expect(Self.text(running.agent.documents.cached(sourceName("rare"))) == #"{"a":1}"#)
        _ = try await read(running)
        #expect(origin.requests.count == 1)
    }

    @Test("Whoever goes takes the load with him only if nobody else wants it, and it is done all the same")
    func cancelled() async throws {
        origin.hold()
        let running = try running([onDemand()])
        let reader = Task { try await read(running) }
        try await soon("the request") { origin.held == 1 }
        reader.cancel()
        await #expect(throws: CancellationError.self) { try await reader.value }
        origin.releaseAll()
        try await soon("the document") { facts(running)?.revision != nil }
        let requests = origin.requests.count
        #expect(try await read(running) == #"{"a":1}"#)
        #expect(origin.requests.count == requests)
    }

    @Test("Who reads after a change has come sees it")
    func changes() async throws {
        let running = try running([onDemand()])
        #expect(try await read(running) == #"{"a":1}"#)
        for version in 2..<6 {
            serve("{\"a\":\(version)}")
            #expect(try running.refresh("rare").name == "published")
            #expect(try await read(running) == "{\"a\":\(version)}")
        }
        // Bad ones change nothing.
        serve("{")
        #expect(try running.refresh("rare").name == "decode syntax")
        #expect(try await read(running) == #"{"a":5}"#)
        #expect(health(running) == ["source_failing"])
        serve(#"{"a":5}"#)
        #expect(try running.refresh("rare").name == "unchanged")
        #expect(health(running) == [])
    }

    @Test("There is no document of what is not on demand")
    func unknown() async throws {
        let running = try running([onDemand()])
        for name in ["base", "nowhere"] {
            await #expect(throws: OnDemandDocuments.LoadError.self) { try await read(running, name) }
            #expect(running.agent.documents.cached(sourceName(name)) == nil)
        }
    }

    @Test("Where all is on demand, the configuration is empty and there")
    func nothingElse() async throws {
        let running = try RunningAgent([onDemand()], in: directory)
        try running.start()
        #expect(running.generation == 1)
        #expect(running.value("") == "{}")
        #expect(health(running) == [])
        #expect(try await read(running) == #"{"a":1}"#)
        #expect(running.generation == 1)
    }

    // MARK: Sleeping

    @Test(
        "What nobody reads for its idle time is dropped and not asked for, until the next reader: a 304 is enough then"
    )
    func idle() async throws {
        let running = try running([onDemand(idle: second) { $0.poll = second...(second + 1) }])
        #expect(try await read(running) == #"{"a":1}"#)
        // Found by many tasks: none of their threads keeps it.
        for _ in 0..<20 { #expect(try await read(running) == #"{"a":1}"#) }
        let holder = Weak(running.agent.documents.held(sourceName("rare"))?.snapshot)
        #expect(holder.value != nil || facts(running)?.isAsleep == true)
        try await soon("the sleep") { facts(running)?.isAsleep == true }
        #expect(running.story.last == "rare asleep")
        #expect(running.agent.documents.cached(sourceName("rare")) == nil)
        try await soon("its memory is free") { holder.value == nil }
        #expect(health(running) == [])
        #expect(facts(running)?.revision == nil)
        #expect(facts(running)?.nextPollAt == nil)
        let copy = directory.path("state/documents/rare")
        try await soon("the stored copy") { FileManager.default.fileExists(atPath: copy) }
        let requests = origin.requests.count
        #expect(try await read(running) == #"{"a":1}"#)
        let first = origin.requests[requests]
        #expect(first.headers["if-none-match"] != nil)
        #expect(running.agent.documents.held(sourceName("rare"))?.isLastGood == false)
        #expect(facts(running)?.isLastGood == false)
    }

    @Test("What is read stays awake")
    func read() async throws {
        let running = try running([onDemand(idle: 2 * second)])
        var longest: UInt64 = 0
        var last = MonotonicTime.now
        #expect(try await read(running) == #"{"a":1}"#)
        let end = MonotonicTime.now.advanced(byNanoseconds: 5 * second)
        while MonotonicTime.now < end {
            let document = running.agent.documents.cached(sourceName("rare"))
            longest = max(longest, MonotonicTime.now.nanoseconds(since: last))
            last = .now
            // On a busy machine this test may itself be idle for so long.
            if document == nil { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        let (hasSlept, requests) = (running.story.contains("rare asleep"), origin.requests.count)
        // Until now nobody has read again.
        longest = max(longest, MonotonicTime.now.nanoseconds(since: last))
        #expect(longest > second / 2 || !hasSlept)
        #expect(longest > second / 2 || requests == 1)
    }

    // MARK: Failing

    @Test("A source that fails is not asked by its readers, who are told at once why")
    func failing() async throws {
        origin.answer { _ in .http(500) }
        let running = try running([onDemand()])
        for _ in 0..<5 { #expect(await Self.failure { try await read(running) } == "http_status") }
        #expect(origin.requests.count == 1)
        #expect(health(running) == ["source_failing"])
        serve(#"{"a":2}"#)
        try running.refresh("rare")
        #expect(try await read(running) == #"{"a":2}"#)
        #expect(health(running) == [])
    }

    @Test("A source that does not answer is read from its stored copy, and asked with its tag")
    func lastGood() async throws {
        let first = try running([onDemand()])
        #expect(try await read(first) == #"{"a":1}"#)
        let copy = directory.path("state/documents/rare")
        try await soon("the stored copy") { FileManager.default.fileExists(atPath: copy) }
        first.stop()
        let before = origin.requests.count
        origin.answer { _ in .http(500) }
        let second = try running([onDemand()])
        #expect(try await read(second) == #"{"a":1}"#)
        #expect(second.agent.documents.cached(sourceName("rare"))?.isLastGood == true)
        #expect(origin.requests.count == before + 1)
        #expect(origin.requests.last?.headers["if-none-match"] != nil)
        #expect(second.story.contains("last good of rare"))
        #expect(health(second) == ["source_failing"])
        // The same document under another tag.
        origin.answer { _ in .http(200, headers: ["ETag": "\"0e1\""], body: Array(#"{"a":1}"#.utf8)) }
        #expect(try second.refresh("rare").name == "unchanged")
        let document = second.agent.documents.held(sourceName("rare"))
        #expect(document?.isLastGood == false)
        #expect(document?.revision.label == "0e1")
        #expect(health(second) == [])
    }

    @Test("Who cannot wait for a source that hangs gets the stored copy")
    func hanging() async throws {
        let first = try running([onDemand()])
        #expect(try await read(first) == #"{"a":1}"#)
        let copy = directory.path("state/documents/rare")
        try await soon("the stored copy") { FileManager.default.fileExists(atPath: copy) }
        first.stop()
        origin.hold()
        let second = try running([onDemand { $0.timeoutMilliseconds = 600_000 }])
        // On a busy machine even the copy may take its time.
        var text = "late"
        for _ in 0..<100 where text == "late" {
            text = await Self.failure { try await read(second, within: AgentTestSupport.second) }
        }
        #expect(text == #"read {"a":1}"#)
        #expect(second.agent.documents.held(sourceName("rare"))?.isLastGood == true)
        origin.releaseAll()
        try await soon("the answer") { facts(second)?.isLastGood == false }
    }

    @Test("Whoever commands a refresh of a sleeping source in vain takes its stored copy from nobody")
    func refreshedInVain() async throws {
        let first = try running([onDemand()])
        #expect(try await read(first) == #"{"a":1}"#)
        let copy = directory.path("state/documents/rare")
        try await soon("the stored copy") { FileManager.default.fileExists(atPath: copy) }
        first.stop()
        origin.answer { _ in .http(500) }
        let second = try running([onDemand()])
        #expect(try second.refresh("rare").name == "fetch http_status")
        #expect(try await read(second) == #"{"a":1}"#)
        #expect(second.agent.documents.cached(sourceName("rare"))?.isLastGood == true)
        #expect(facts(second)?.isLastGood == true)
    }

    @Test("What could not be written is as good as what was: nothing older is read after it")
    func unwritten() async throws {
        let running = try running([onDemand(idle: second)])
        #expect(try await read(running) == #"{"a":1}"#)
        let documents = directory.path("state/documents")
        try await soon("the stored copy") { FileManager.default.fileExists(atPath: documents + "/rare") }
        // From now on nothing can be written.
        try FileManager.default.moveItem(atPath: documents, toPath: documents + ".away")
        try directory.write("state/documents", "in the way")
        serve(#"{"a":2}"#)
        #expect(try running.refresh("rare").name == "published")
        try await soon("the store fails") { running.story.contains("store failing") }
        try await soon("the sleep") { facts(running)?.isAsleep == true }
        // The store, which tries again, may make one of its own in the moment between.
        try await soon("the directory is back") {
            unlink(documents)
            return rename(documents + ".away", documents) == 0
        }
        origin.answer { _ in .http(500) }
        #expect(try await read(running) == #"{"a":2}"#)
    }

    @Test("A failure before its sleep is remembered: the next reader does not ask before its time")
    func failureOverSleep() async throws {
        origin.answer { _ in .http(500) }
        let running = try running([onDemand(idle: second)])
        #expect(await Self.failure { try await read(running) } == "http_status")
        for _ in 0..<3 {
            try await soon("the sleep") { facts(running)?.isAsleep == true }
            #expect(health(running) == [])
            for _ in 0..<3 { #expect(await Self.failure { try await read(running) } == "http_status") }
        }
        try await soon("it is told") { health(running) == ["source_failing"] || facts(running)?.isAsleep == true }
        #expect(origin.requests.count == 1)
    }

    @Test("What takes longer than its idle time to load is there for those who waited, and a while longer")
    func slowLoad() async throws {
        origin.hold()
        let running = try running([onDemand(idle: second)])
        async let text = read(running)
        try await soon("the request") { origin.held == 1 }
        try await Task.sleep(for: .milliseconds(1_500))
        let released = MonotonicTime.now
        origin.releaseAll()
        let loaded = try await text
        #expect(loaded == #"{"a":1}"#)
        #expect(try await read(running) == #"{"a":1}"#)
        // Unless this test itself was idle for so long, on a busy machine.
        #expect(origin.requests.count == 1 || MonotonicTime.now.nanoseconds(since: released) > second / 2)
    }

    @Test("A stored copy that is damaged is told of, and the source asked")
    func damaged() async throws {
        let copy = directory.path("state/documents/rare")
        try FileManager.default.createDirectory(
            atPath: directory.path("state/documents"),
            withIntermediateDirectories: true
        )
        try Data("rubbish".utf8).write(to: URL(fileURLWithPath: copy))
        let running = try running([onDemand()])
        #expect(try await read(running) == #"{"a":1}"#)
        #expect(running.story.contains("stored copy of rare unusable"))
    }

    // MARK: Another plan

    private func adopt(_ running: RunningAgent, _ sources: [AgentPlan.Source]) {
        let base = source("base", url: "file://" + directory.path("base"))
        let plan = AgentPlan(sources: [base] + sources, stateDirectory: "/elsewhere")
        #expect(running.agent.adopt(plan, until: MonotonicTime.now.advanced(byNanoseconds: 60 * second)))
    }

    @Test("A source that is somewhere else now is asked there, and not with the tag of the first place")
    func moved() async throws {
        let running = try running([onDemand()])
        #expect(try await read(running) == #"{"a":1}"#)
        origin.answer { .document($0.route == "/rare" ? #"{"a":1}"# : #"{"a":2}"#, to: $0) }
        adopt(running, [onDemand { $0.url = origin.url("/elsewhere") }])
        #expect(try await read(running) == #"{"a":2}"#)
        let there = origin.requests.filter { $0.route == "/elsewhere" }
        #expect(there.count > 0)
        #expect(there.first?.headers["if-none-match"] == nil)
        adopt(running, [])
        #expect(running.agent.documents.cached(sourceName("rare")) == nil)
        await #expect(throws: OnDemandDocuments.LoadError.self) { try await read(running) }
    }

    @Test("A reload that leaves a source in its place leaves its document in use, whether the source answers or not")
    func keptOverReload() async throws {
        let running = try running([onDemand()])
        #expect(try await read(running) == #"{"a":1}"#)
        origin.answer { _ in .http(500) }
        adopt(running, [onDemand(idle: 50 * hour) { $0.timeoutMilliseconds = 50_000 }])
        #expect(try await read(running) == #"{"a":1}"#)
        try await soon("the failure") { health(running) == ["source_failing"] }
        #expect(try await read(running) == #"{"a":1}"#)
        #expect(running.agent.documents.cached(sourceName("rare"))?.isLastGood == true)
        // With the tag of what is in use.
        #expect(origin.requests.last?.headers["if-none-match"] != nil)
    }

    @Test("What comes for a source that began to sleep meanwhile is not kept, and the source is left alone")
    func lateArrival() async throws {
        origin.hold()
        let layer = source("rare", .http, url: origin.url("/rare"), required: false) { $0.poll = second...second }
        let base = source("base", url: "file://" + directory.path("base"))
        try directory.write("base", #"{"base":true}"#)
        let running = try RunningAgent([base, layer], in: directory)
        try running.agent.start()
        try await soon("the poll") { origin.held == 1 }
        adopt(running, [onDemand { $0.poll = second...second }])
        try await soon("the next request, which belongs to the new plan") { origin.requests.count == 2 }
        origin.releaseAll()
        try await soon("the end of it") { running.agent.flightStatistics.inFlight == 0 }
        try await soon("the sleep") { facts(running)?.isAsleep == true && facts(running)?.nextPollAt == nil }
        #expect(running.agent.documents.held(sourceName("rare")) == nil)
        try await Task.sleep(for: .milliseconds(1_500))
        #expect(origin.requests.count == 2)
        #expect(try await read(running) == #"{"a":1}"#)
    }

    @Test("A layer becomes a document on demand, and a layer again")
    func changesSides() async throws {
        let running = try running([])
        let layer = source("rare", .http, url: origin.url("/rare"))
        adopt(running, [layer])
        try await soon("the layer") { running.value("") == #"{"a":1,"base":true}"# }
        adopt(running, [onDemand()])
        #expect(running.value("") == #"{"base":true}"#)
        #expect(try await read(running) == #"{"a":1}"#)
        adopt(running, [layer])
        try await soon("the layer again") { running.value("") == #"{"a":1,"base":true}"# }
        #expect(running.agent.documents.held(sourceName("rare")) == nil)
        #expect(health(running) == [])
    }

    @Test("A reload in the middle of a load costs its readers nothing")
    func reloadMeanwhile() async throws {
        origin.hold()
        let running = try running([onDemand()])
        async let text = read(running)
        try await soon("the request") { origin.held == 1 }
        adopt(running, [onDemand { $0.url = origin.url("/elsewhere") }])
        try await soon("the request at the new place") { origin.requests.last?.route == "/elsewhere" }
        origin.releaseAll()
        let loaded = try await text
        #expect(loaded == #"{"a":1}"#)
        try await soon("it is told") { facts(running)?.isAsleep == false }
    }

    // MARK: All at once

    @Test("Under changes, sleep and reloads without end, no reader ever sees an older document than before")
    func neverOlder() async throws {
        let version = Counter()
        let origin = origin
        origin.answer { _ in
            let next = version.next()
            return .http(200, headers: ["ETag": "\"\(next)\""], body: Array("{\"version\":\(next)}".utf8))
        }
        func source(_ poll: UInt64) -> AgentPlan.Source {
            onDemand(idle: second) { $0.poll = second...(second + poll) }
        }
        let running = try running([source(1)])
        var newest = 0
        for round in 1...3 {
            newest = try await withThrowingTaskGroup(of: Int.self) { [newest] group in
                for reader in 0..<4 {
                    group.addTask {
                        var newest = newest
                        while version.current < round * 25 {
                            let text = try await read(running)
                            let seen = Int(text.filter(\.isNumber)) ?? 0
                            #expect(seen >= newest, "reader \(reader) saw \(seen) after \(newest)")
                            newest = max(newest, seen)
                            try await Task.sleep(for: .milliseconds(1))
                        }
                        return newest
                    }
                }
                group.addTask {
                    var poll: UInt64 = 0
                    while version.current < round * 25 {
                        poll += 1
                        if poll.isMultiple(of: 5) { adopt(running, [source(poll)]) }
                        _ = try running.agent.fetch(sourceName("rare"), .requestedAfterNow) { _ in }
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    return 0
                }
                return try await group.reduce(newest) { max($0, $1) }
            }
            try await soon("the sleep") { facts(running)?.isAsleep == true }
        }
        #expect(newest > 50)
    }
}

private struct InVain: Error { let what: String }

private final class Counter: Sendable {
    private let count = Mutex("test.versions", 0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }

    var current: Int { count.withLock { $0 } }
}

private struct Weak {
    weak var value: Snapshot?

    init(_ value: Snapshot?) { self.value = value }
}

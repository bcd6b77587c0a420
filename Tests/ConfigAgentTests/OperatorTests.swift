import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// What an operator commands, with a whole pipeline and real files; restarts included.
@Suite("The operator's verbs")
struct OperatorTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private var app: AgentPlan.Source { source("app", url: "file://" + directory.path("app.json")) }

    private func write(_ value: Int) throws { try directory.write("app.json", #"{"v":\#(value),"same":1}"#) }

    private func start(_ sources: [AgentPlan.Source]? = nil) throws -> RunningAgent {
        let running = try RunningAgent(sources ?? [app], in: directory)
        try running.start()
        return running
    }

    /// An agent that has had the values 1 to 3, each on disk.
    private func running() throws -> RunningAgent {
        try write(1)
        let running = try start()
        for value in 2...3 {
            try running.waitUntilDurable()
            try write(value)
            #expect(try running.refresh("app").name == "published")
        }
        try running.waitUntilDurable()
        return running
    }

    private var deadline: MonotonicTime { .now.advanced(byNanoseconds: 20 * second) }

    private func command(_ reason: String? = "because") -> Command {
        Command(by: Actor(uid: 0, pid: 1, user: "root"), at: WallClock.nowNanoseconds, reason: reason)
    }

    @discardableResult
    private func perform(_ action: OperatorAction, _ running: RunningAgent) throws -> Agent.Done {
        let done = try running.agent.perform(action, command(), until: deadline)
        #expect(done.isDurable)
        return done
    }

    private func reasons(_ running: RunningAgent) -> [String] {
        Health.judge(running.agent.healthFacts(workers: []), now: WallClock.nowNanoseconds).reasons.map(\.code)
    }

    // MARK: History

    @Test("Each generation is kept with its cause, and its content can be had again")
    func history() throws {
        let running = try running()
        let records = running.agent.generationRecords
        #expect(records.map(\.generation) == [1, 2, 3])
        #expect(records.allSatisfy { $0.cause == .source(sourceName("app")) && $0.keys == 2 && $0.layers.count == 1 })
        for generation in 1...3 {
            let snapshot = try running.agent.snapshot(of: UInt64(generation))
            #expect(snapshot.value(at: "v").map { String(decoding: $0.json, as: UTF8.self) } == "\(generation)")
        }
        let refusal = try #require(throws: Agent.Refusal.self) { try running.agent.snapshot(of: 7) }
        #expect(refusal.code == "unknown_generation")
        #expect(refusal.hint?.contains("1 to 3") == true)
    }

    @Test("A start with the same content is no entry of its own, and its number is found all the same")
    func restart() throws {
        var running = try running()
        running.stop()
        running = try start()
        #expect(running.generation > 3)
        try running.waitUntilDurable()
        let records = running.agent.generationRecords
        #expect(records.map(\.generation) == [1, 2, 3])
        #expect(records.last?.last == running.generation)
        #expect(try running.agent.snapshot(of: running.generation).value(at: "v") != nil)
    }

    @Test("A damaged document is not gone back to, and a damaged record is none")
    func damaged() throws {
        var running = try running()
        let first = try #require(running.agent.generationRecords.first?.layers.first)
        let path = "state/history/app.\(first.id)"
        try directory.write(path, readText(directory.path(path)) + " ")
        let refusal = try #require(throws: Agent.Refusal.self) {
            try running.agent.perform(.rollback(1), command(), until: deadline)
        }
        #expect(refusal.code == "damaged")
        #expect(running.value("v") == "3")
        running.stop()
        try directory.write("state/generations/2", "garbage")
        running = try start()
        // The first was not to be had any more, either: its document has been set aside.
        #expect(running.agent.generationRecords.map(\.generation) == [3])
    }

    @Test(
        "Only so many are kept, and only so old ones, and nothing else is left of the others",
        arguments: [
            (Retention(count: 3, age: 3_600 * second), [8, 9, 10] as [UInt64]), (Retention(count: 20, age: 1), [10]),
        ]
    )
    func retention(_ retention: Retention, kept: [UInt64]) throws {
        try write(1)
        let plan = AgentPlan(
            sources: [app],
            stateDirectory: directory.path("state"),
            retention: retention
        )
        let agent = try Agent(plan) { _ in }
        defer { _ = agent.stop(until: deadline) }
        try agent.start()
        for value in 2...10 {
            try waitUntil("it is on disk") { agent.storeState.durableGeneration >= UInt64(value - 1) }
            try write(value)
            let done = WakeSignal()
            _ = try agent.fetch(sourceName("app"), .requestedAfterNow) { _ in done.raise() }
            #expect(done.wait(until: deadline))
        }
        try waitUntil("the older ones are gone") { agent.generationRecords.map(\.generation) == kept }
        try waitUntil("their files are gone") {
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path("state/history"))
            let records = try FileManager.default.contentsOfDirectory(atPath: directory.path("state/generations"))
            return files.count == kept.count && Set(records) == Set(kept.map(String.init))
        }
    }

    // MARK: Going back and staying

    @Test("Gone back to, it stays, whatever the source says, and through restarts and reloads, until somebody lets go")
    func rollback() throws {
        var running = try running()
        let done = try perform(.rollback(1), running)
        #expect(done.generation == 4)
        #expect(done.state.pin?.generation == 1)
        #expect(running.value("v") == "1")
        #expect(
            running.agent.sourceFacts[sourceName("app")]?.revision?.digest
                == digest(of: Array(#"{"v":1,"same":1}"#.utf8))
        )
        // The source keeps changing: that is checked and kept ready, and not used.
        for value in 4...6 {
            try write(value)
            #expect(try running.refresh("app").name == "held")
            #expect(running.value("v") == "1")
        }
        let facts = try #require(running.agent.sourceFacts[sourceName("app")])
        #expect(facts.desired?.digest == digest(of: Array(#"{"v":6,"same":1}"#.utf8)))
        #expect(facts.attempt?.revision.digest == facts.revision?.digest)
        #expect(facts.consecutiveFailures == 0)
        #expect(reasons(running) == ["pinned"])
        // A reload.
        let other = source("app", url: "file://" + directory.path("app.json")) { $0.maxBytes = 1_000 }
        let plan = AgentPlan(sources: [other], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: deadline))
        #expect(try running.refresh("app").name != "published")
        #expect(running.value("v") == "1")
        // A restart, and one more.
        for value in 7...8 {
            running.stop()
            try write(value)
            running = try start()
            #expect(running.value("v") == "1")
            #expect(running.agent.operatorState.pin?.generation == 1)
            #expect(running.agent.operatorState.pin?.command.reason == "because")
            try running.refresh("app")
            #expect(running.value("v") == "1")
        }
        let before = running.generation
        let unpinned = try perform(.unpin, running)
        #expect(unpinned.generation == before + 1)
        #expect(running.value("v") == "8")
        #expect(running.agent.operatorState == OperatorState())
        #expect(reasons(running) == [])
        try running.waitUntilDurable()
        #expect(running.agent.generationRecords.last?.cause == .unpinned)
        #expect(running.agent.generationRecords.contains { $0.cause == .rollback(1) && $0.command?.by.user == "root" })
        running.stop()
        running = try start()
        #expect(running.value("v") == "8")
    }

    @Test("Gone back to by any number that its content had, it is pinned by that number")
    func rollbackByLaterNumber() throws {
        var running = try running()
        running.stop()
        running = try start()
        let later = running.generation
        #expect(later > 3)
        try running.waitUntilDurable()
        try write(4)
        #expect(try running.refresh("app").name == "published")
        let done = try perform(.rollback(later), running)
        #expect(done.state.pin?.generation == later)
        running.stop()
        running = try start()
        #expect(running.agent.operatorState.pin?.generation == later)
        #expect(running.value("v") == "3")
        try perform(.unpin, running)
        #expect(running.agent.generationRecords.contains { $0.cause == .rollback(later) })
    }

    @Test("Pinned where it stands")
    func pin() throws {
        var running = try running()
        let done = try perform(.pin, running)
        #expect(done.generation == 3)
        try write(4)
        #expect(try running.refresh("app").name == "held")
        #expect(running.value("v") == "3")
        running.stop()
        running = try start()
        #expect(running.value("v") == "3")
        try perform(.unpin, running)
        #expect(running.value("v") == "4")
        #expect(running.story.contains("root unpin"))
    }

    @Test("A pinned generation outlives what else is forgotten")
    func pinnedIsKept() throws {
        try write(1)
        func plan() -> AgentPlan {
            AgentPlan(
                sources: [app],
                stateDirectory: directory.path("state"),
                retention: Retention(count: 1, age: second)
            )
        }
        let agent = try Agent(plan()) { _ in }
        try agent.start()
        try waitUntil("it is on disk") { agent.storeState.durableGeneration == 1 }
        _ = try agent.perform(.pin, command(), until: deadline)
        for value in 2...4 {
            try write(value)
            let done = WakeSignal()
            _ = try agent.fetch(sourceName("app"), .requestedAfterNow) { _ in done.raise() }
            #expect(done.wait(until: deadline))
        }
        _ = agent.stop(until: deadline)
        let again = try RunningAgent([app], in: directory)
        try again.start()
        #expect(again.value("v") == "1")
    }

    @Test("What was pinned cannot be had any more: the newest copies are pinned instead, and it is told")
    func pinLost() throws {
        var running = try running()
        try perform(.rollback(1), running)
        running.stop()
        try FileManager.default.removeItem(atPath: directory.path("state/history"))
        try write(9)
        running = try start()
        #expect(running.value("v") == "3")
        #expect(running.story.contains("pin of 1 lost"))
        #expect(running.agent.operatorState.pin != nil)
        try running.refresh("app")
        #expect(running.value("v") == "3")
        try perform(.unpin, running)
        #expect(running.value("v") == "9")
    }

    @Test("Whatever reason is given, and however often the agent starts: what was commanded stays in force")
    func strangeReasons() throws {
        for reason in ["\u{301}bad deploy", "100 % \n: x", " ", "pin: 7"] {
            var running = try running()
            _ = try running.agent.perform(.rollback(running.generation - 2), command(reason), until: deadline)
            _ = try running.agent.perform(.freeze, command(reason), until: deadline)
            let value = running.value("v")
            for _ in 0..<2 {
                running.stop()
                running = try RunningAgent([app], in: directory)
                try running.agent.start()
                #expect(running.value("v") == value)
                #expect(running.agent.operatorState.pin?.command.reason == reason)
                #expect(running.agent.operatorState.freeze?.reason == reason)
                try waitUntil("it is on disk") {
                    running.agent.storeState.durableGeneration == running.generation
                }
            }
            try perform(.unpin, running)
            try perform(.thaw, running)
            running.stop()
            try FileManager.default.removeItem(atPath: directory.path("state"))
        }
    }

    @Test("A damaged copy gives way to the next older one, at each start; its number is never used again")
    func damagedTwice() throws {
        var running = try running()
        running.stop()
        unlink(directory.path("app.json"))
        // In place, so that what the generation has of it is damaged, too.
        let newest = FileHandle(forWritingAtPath: directory.path("state/documents/app"))
        try newest?.seekToEnd()
        try newest?.write(contentsOf: Data(" ".utf8))
        try newest?.close()
        unlink(directory.path("state/generation"))
        for _ in 0..<3 {
            running = try start()
            #expect(running.value("v") == "2")
            #expect(running.generation > 3)
            try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
            running.stop()
        }
        try write(3)
        running = try start()
        try waitUntil("it comes again") { running.value("v") == "3" }
        try running.waitUntilDurable()
        #expect(try running.agent.snapshot(of: running.generation).value(at: "v") != nil)
        try perform(.pin, running)
        try write(4)
        running.stop()
        running = try start()
        #expect(running.value("v") == "3")
    }

    @Test("Pinned, restarted, let go: what is not complete yet is not published, and nothing goes missing")
    func incompleteBehindPin() throws {
        var running = try running()
        try perform(.pin, running)
        let more = source("more", url: "file://" + directory.path("more.json"))
        let plan = AgentPlan(sources: [app, more], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: deadline))
        running.stop()
        try write(4)
        running = try RunningAgent([app, more], in: directory)
        try running.agent.start()
        #expect(running.value("") == #"{"v":3,"same":1}"# || running.value("") == #"{"same":1,"v":3}"#)
        try running.refresh("app")
        try perform(.unpin, running)
        // The layers of before: one of them.
        try waitUntil("the layer of before to be in force") { running.value("v") == "4" }
        #expect(running.agent.adopt(plan, until: deadline))
        #expect(running.value("v") == "4")
        try directory.write("more.json", #"{"w":1}"#)
        try running.refresh("more")
        try waitUntil("all of it") { running.value("w") == "1" && running.value("v") == "4" }
    }

    @Test("There is nothing to pin before there is a configuration")
    func nothingToPin() throws {
        let running = try start()
        let refusal = try #require(throws: Agent.Refusal.self) {
            try running.agent.perform(.pin, command(), until: deadline)
        }
        #expect(refusal.code == "no_snapshot")
        #expect(running.story.last == "root pin refused")
        #expect(running.agent.operatorState == OperatorState())
    }

    // MARK: Freezing

    @Test("Frozen, no source is asked, also after a restart, until somebody thaws them")
    func freeze() throws {
        let origin = try HeldOrigin()
        origin.answer { .document(#"{"v":\#($0.number)}"#, to: $0) }
        let remote = source("app", .http, url: "http://127.0.0.1:\(origin.port)/app.json") {
            $0.poll = (second / 10)...(second / 10)
        }
        var running = try start([remote])
        try waitUntil("some polls") { origin.requests.count >= 3 }
        try perform(.freeze, running)
        let value = running.value("v")
        // What was on its way when it was commanded may have left still.
        try waitUntil("nothing is on its way") { running.agent.flightStatistics.inFlight == 0 }
        let asked = origin.requests.count
        #expect(reasons(running) == ["frozen"])
        let outcome = try running.refresh("app")
        #expect(outcome.failure?.code == "frozen")
        #expect(origin.requests.count == asked)
        #expect(running.value("v") == value)
        #expect(running.agent.sourceFacts[sourceName("app")]?.consecutiveFailures == 0)
        // A reload asks nobody either, though the source is another one now.
        let other = source("app", .http, url: "http://127.0.0.1:\(origin.port)/app.json") {
            $0.poll = (second / 10)...(second / 10)
            $0.maxBytes = 1_000
        }
        let plan = AgentPlan(sources: [other], stateDirectory: directory.path("state"))
        #expect(running.agent.adopt(plan, until: deadline))
        #expect(try running.refresh("app").failure?.code == "frozen")
        #expect(origin.requests.count == asked)
        try waitUntil("it is on disk") { running.agent.storeState.durableGeneration == running.generation }
        running.stop()
        running = try RunningAgent([remote], in: directory)
        try running.agent.start()
        #expect(running.value("v") == value)
        #expect(running.agent.operatorState.freeze?.by.user == "root")
        #expect(try running.refresh("app").failure?.code == "frozen")
        #expect(origin.requests.count == asked)
        try perform(.thaw, running)
        try waitUntil("it is asked again") { origin.requests.count > asked && running.value("v") != value }
        #expect(running.agent.operatorState == OperatorState())
    }

    @Test("Frozen, a file that changes is not read, though its changes are told")
    func freezeFile() throws {
        try write(1)
        let watched = source("app", url: "file://" + directory.path("app.json")) { $0.isWatched = true }
        let running = try start([watched])
        try waitUntil("it is watched") { running.agent.sourceFacts[sourceName("app")]?.watch?.isOpen == true }
        try perform(.freeze, running)
        try write(2)
        #expect(try running.refresh("app").failure?.code == "frozen")
        #expect(running.value("v") == "1")
        try perform(.thaw, running)
        try waitUntil("it is read") { running.value("v") == "2" }
        try write(3)
        try waitUntil("it is watched again") { running.value("v") == "3" }
    }

    @Test("Where what was commanded cannot be read, what was in use stays, and that is told")
    func damagedState() throws {
        var running = try running()
        try perform(.rollback(1), running)
        running.stop()
        try directory.write("state/operator", "garbage")
        try write(4)
        for _ in 1...2 {
            running = try start()
            #expect(try running.refresh("app").name == "held")
            #expect(running.value("v") == "1")
            #expect(running.agent.operatorState.pin?.command.by.name == "agentd")
            #expect(reasons(running) == ["pinned"])
            try waitUntil("it is on disk") { readText(directory.path("state/operator")).contains("pin: ") }
            running.stop()
        }
        #expect(running.story.contains("operator state unusable") == false)
        #expect(readText(directory.path("state/operator.bad")) == "garbage")
        running = try start()
        try perform(.unpin, running)
        #expect(running.value("v") == "4")
    }

    @Test("What was commanded and cannot be read now is there when it can")
    func unreadableState() throws {
        var running = try running()
        try perform(.freeze, running)
        running.stop()
        let path = directory.path("state/operator")
        #expect(rename(path, path + ".elsewhere") == 0)
        try createDirectory(path)
        running = try start()
        #expect(running.story.contains("operator state unusable"))
        #expect(running.agent.operatorState.pin != nil)
        running.stop()
        #expect(rmdir(path) == 0 && rename(path + ".elsewhere", path) == 0)
        running = try RunningAgent([app], in: directory)
        try running.agent.start()
        #expect(running.agent.operatorState.pin == nil)
        #expect(running.agent.operatorState.freeze != nil)
    }

    @Test("A generation that a command has made is not durable before the command is", arguments: [true, false])
    func durableTogether(goesBack: Bool) throws {
        var running = try running()
        if !goesBack {
            try perform(.rollback(1), running)
        }
        let before = running.agent.storeState.durableGeneration
        // No file can take this one's place.
        unlink(directory.path("state/operator"))
        try createDirectory(directory.path("state/operator/in the way"))
        let done = try running.agent.perform(goesBack ? .rollback(2) : .unpin, command(), until: deadline)
        #expect(done.generation == before + 1 && !done.isDurable)
        // It was tried, and all that comes first was written.
        try waitUntil("its record is there") { running.agent.generationRecords.last?.generation == done.generation }
        try waitUntil("it is told") { running.agent.storeState.failure != nil }
        #expect(running.agent.storeState.durableGeneration == before)
        try FileManager.default.removeItem(atPath: directory.path("state/operator"))
        try waitUntil("it is durable") { running.agent.storeState.durableGeneration == done.generation }
        running.stop()
        running = try start()
        #expect(running.agent.operatorState.pin?.generation == (goesBack ? 2 : nil))
    }

    @Test("A generation that a crash has taken is not had under the number of another")
    func lostGeneration() throws {
        var running = try running()
        running.stop()
        // As if it had been killed before the third was stored.
        unlink(directory.path("state/generations/3"))
        let second = try #require(running.agent.generationRecords.first { $0.generation == 2 }?.layers.first)
        let copy = readText(directory.path("state/history/app.\(second.id)"))
        try directory.write("state/documents/app", copy)
        unlink(directory.path("app.json"))
        running = try start()
        #expect(running.value("v") == "2")
        try running.waitUntilDurable()
        let records = running.agent.generationRecords
        #expect(records.map(\.generation) == [1, 2] && records.last?.starts == [running.generation])
        for lost in [3, running.generation - 1] {
            #expect(throws: Agent.Refusal.self) { try running.agent.snapshot(of: lost) }
            let refusal = try #require(throws: Agent.Refusal.self) {
                try running.agent.perform(.rollback(lost), command(), until: deadline)
            }
            #expect(refusal.code == "unknown_generation")
        }
        try perform(.rollback(running.generation), running)
    }

    // MARK: Explaining

    @Test("Why a key has its value: source, layer, since when, what it was, what it would be")
    func explain() throws {
        try directory.write("base.json", #"{"a":1,"b":{"c":1,"d":2}}"#)
        try directory.write("team.json", #"{"b":{"c":7}}"#)
        let sources = ["base", "team"].map { source($0, url: "file://" + directory.path("\($0).json")) }
        let running = try start(sources)
        try running.waitUntilDurable()
        try directory.write("team.json", #"{"b":{"c":8},"e":1}"#)
        try running.refresh("team")
        try running.waitUntilDurable()
        try directory.write("base.json", #"{"a":2,"b":{"c":1,"d":2}}"#)
        try running.refresh("base")
        try running.waitUntilDurable()
        func explain(_ key: String) throws -> Explanation { try running.agent.explain(key, until: deadline) }
        func text(_ json: [UInt8]?) -> String? { json.map { String(decoding: $0, as: UTF8.self) } }

        var found = try explain("b.c")
        #expect(text(found.value) == "8")
        #expect(found.owners.map(\.revision.source.text) == ["team"] && found.owners.map(\.layer) == [1])
        #expect(found.since?.generation == 2)
        #expect(text(found.before) == "7")
        #expect(!found.mayBeOlder)
        #expect(text(found.without) == "1")

        found = try explain("a")
        #expect(found.owners.map(\.revision.source.text) == ["base"])
        #expect(found.since?.generation == 3)
        #expect(text(found.before) == "1")
        #expect(found.without == nil)

        found = try explain("b.d")
        #expect(found.since?.generation == 1)
        #expect(found.mayBeOlder)

        found = try explain("e")
        #expect(found.since?.generation == 2 && found.before == nil && !found.mayBeOlder)

        found = try explain("b")
        #expect(text(found.value) == #"{"c":8,"d":2}"#)
        #expect(found.owners.map(\.revision.source.text) == ["base", "team"])

        found = try explain("none")
        #expect(found.value == nil && found.before == nil)
    }
}

import AgentTestSupport
import ConfigAgent
import ConfigDecode
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// What a start finds, where what is configured, what lies on the disk, or what can be read of it is not what it was.
@Suite("What a start finds")
struct RestoredStateTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func file(_ name: String) -> AgentPlan.Source {
        source(name, url: "file://" + directory.path("\(name).json"))
    }
    private var app: AgentPlan.Source { file("app") }
    /// Allows less than the documents here have.
    private var narrow: AgentPlan.Source {
        var source = app
        source.limits = DocumentDecoder.Limits(maxKeys: 1)
        return source
    }

    private func write(_ value: Int, to name: String = "app") throws {
        try directory.write("\(name).json", #"{"\#(name)":\#(value),"same-\#(name)":1}"#)
    }

    private func start(_ sources: [AgentPlan.Source]) throws -> RunningAgent {
        let running = try RunningAgent(sources, in: directory)
        try running.start()
        return running
    }

    /// An agent that has had the values 1 to 3, each on disk.
    private func running() throws -> RunningAgent {
        try write(1)
        let running = try start([app])
        for value in 2...3 {
            try running.waitUntilDurable()
            try write(value)
            #expect(try running.refresh("app").name == "published")
        }
        try running.waitUntilDurable()
        return running
    }

    private var deadline: MonotonicTime { .now.advanced(byNanoseconds: 20 * second) }

    private func perform(_ action: OperatorAction, _ running: RunningAgent) throws {
        let command = Command(by: Actor(uid: 0, pid: 1, user: "root"), at: WallClock.nowNanoseconds, reason: "because")
        #expect(try running.agent.perform(action, command, until: deadline).isDurable)
    }

    private func adopt(_ running: RunningAgent, _ sources: [AgentPlan.Source]) {
        #expect(running.agent.adopt(AgentPlan(sources: sources, stateDirectory: "/elsewhere"), until: deadline))
    }

    private func failure(_ running: RunningAgent) -> String? {
        running.agent.sourceFacts[sourceName("app")]?.lastFailure?.failure.code
    }

    // MARK: Limits

    @Test(
        "A configuration that allows less than what is in use is told, and takes nothing away: not now, not at a start"
    )
    func narrower() throws {
        var running = try running()
        adopt(running, [narrow])
        try running.refresh("app")
        #expect(failure(running) == "too_large" && running.value("app") == "3")
        running.stop()
        running = try start([narrow])
        #expect(failure(running) == "too_large" && running.value("app") == "3")
        running.stop()
        running = try start([app])
        #expect(failure(running) == nil && running.value("app") == "3")
    }

    @Test("What is pinned stays so, whatever the limits are now")
    func narrowerPin() throws {
        var running = try running()
        try perform(.rollback(1), running)
        for sources in [[narrow], [app]] {
            running.stop()
            running = try start(sources)
            #expect(running.value("app") == "1" && running.agent.operatorState.pin?.generation == 1)
        }
    }

    // MARK: The disk

    /// Has a file give way to something that cannot be read, for now.
    private func hide(_ path: String) throws {
        try FileManager.default.moveItem(
            atPath: path,
            toPath: directory.path("hidden-") + path.split(separator: "/").joined()
        )
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    private func show(_ path: String) throws {
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(
            atPath: directory.path("hidden-") + path.split(separator: "/").joined(),
            toPath: path
        )
    }

    @Test("A copy that cannot be read for a moment is there again afterwards, and no older one in its place")
    func unreadable() throws {
        var running = try running()
        let newest = try #require(running.agent.generationRecords.last?.layers.first?.id)
        running.stop()
        try FileManager.default.removeItem(atPath: directory.path("app.json"))
        let copies = ["state/documents/app", "state/history/app.\(newest)"].map { directory.path($0) }
        for copy in copies { try hide(copy) }
        running = try start([app])
        #expect(running.value("app") == "2", "what there is")
        try running.waitUntilDurable()
        running.stop()
        for copy in copies { try show(copy) }
        running = try start([app])
        #expect(running.value("app") == "3")
    }

    @Test("A pin of which nothing is left holds what comes first, and is not forgotten")
    func emptied() throws {
        var running = try running()
        try perform(.rollback(1), running)
        running.stop()
        for name in ["documents", "history", "generations"] {
            try FileManager.default.removeItem(atPath: directory.path("state/\(name)"))
        }
        running = try RunningAgent([app], in: directory)
        try running.agent.start()
        #expect(running.agent.operatorState.pin?.command.reason == "because", "from the first moment on")
        try waitUntil("something has come") { running.generation > 0 }
        try waitUntil("it is pinned") { running.agent.operatorState.pin?.generation == running.generation }
        #expect(running.value("app") == "3")
        try write(4)
        #expect(try running.refresh("app").name == "held")
        try perform(.freeze, running)
        try running.waitUntilDurable()
        running.stop()
        running = try RunningAgent([app], in: directory)
        try running.agent.start()
        #expect(running.value("app") == "3")
        #expect(
            running.agent.operatorState.pin?.command.reason == "because" && running.agent.operatorState.freeze != nil
        )
        try perform(.thaw, running)
        try perform(.unpin, running)
        try running.refresh("app")
        #expect(running.value("app") == "4")
    }

    // MARK: Layers behind a pin

    @Test("After a start with a pin, a layer that is missing holds back nothing of what was in force")
    func pinnedLayers() throws {
        var running = try running()
        try perform(.rollback(1), running)
        running.stop()
        running = try start([app])
        #expect(running.value("app") == "1")
        adopt(running, [app, file("late")])
        try perform(.unpin, running)
        #expect(running.value("app") == "3")
        try write(4)
        #expect(try running.refresh("app").name == "published")
        #expect(running.value("app") == "4")
    }

    @Test("The layers of a pinned generation are not those that come back after it")
    func otherLayers() throws {
        try write(1)
        try write(1, to: "base")
        var running = try start([app])
        try running.waitUntilDurable()
        adopt(running, [file("base"), app])
        try waitUntil("both are in use") { running.value("base") == "1" }
        try running.waitUntilDurable()
        try perform(.rollback(1), running)
        #expect(running.value("base") == nil)
        running.stop()
        // A third one that does not answer: the two of before are to stay in force, not the one of the pinned generation.
        running = try start([file("base"), app, file("late")])
        try perform(.unpin, running)
        #expect(running.value("base") == "1" && running.value("app") == "1")
    }
}

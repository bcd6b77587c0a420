import AgentAPI
import AgentControl
import ConfigAgent
import ConfigFetch
import ConfigPublish
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// A client that watches.
private struct Watcher {
    struct Event: Equatable {
        var id: String
        var name: String
        var data: String
    }

    let client: Client

    init(_ running: Running, _ target: String = "/v1/watch", after id: String? = nil) throws {
        client = try Client(running.paths.configSocket)
        try client.request("GET", target, id.map { ["Last-Event-ID": $0] } ?? [:])
        let head = try client.answer()
        #expect(head.status == 200)
        #expect(head.headers["content-type"] == "text/event-stream")
    }

    /// The next event that is more than a sign of life.
    func next() throws -> Event {
        while true {
            var event = Event(id: "", name: "", data: "")
            for line in try client.block().split(separator: "\n") {
                let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                switch parts[0] {
                case "id": event.id = parts[1]
                case "event": event.name = parts[1]
                case "data": event.data = parts[1]
                default: break
                }
            }
            if !event.data.isEmpty { return event }
        }
    }
}

@Suite("Watching")
struct WatchTests {
    private func publish(_ running: Running, _ text: String) throws {
        try running.write("base.json", text)
        #expect(try running.control().status == 200)
    }

    @Test func valueOfAKey() throws {
        let running = try Running.withDocument(#"{"a":{"b":1,"c":2},"z":1}"#)
        let leaf = try Watcher(running, "/v1/watch/a.b")
        let object = try Watcher(running, "/v1/watch/a")
        #expect(
            try leaf.next() == .init(id: "1", name: "reset", data: #"{"generation":1,"exists":true,"value":1}"#)
        )
        #expect(try object.next().data == #"{"generation":1,"exists":true,"value":{"b":1,"c":2}}"#)
        // Of this neither hears.
        try publish(running, #"{"a":{"b":1,"c":2},"z":2}"#)
        try publish(running, #"{"a":{"b":1,"c":3},"z":2}"#)
        #expect(
            try object.next()
                == .init(id: "3", name: "change", data: #"{"generation":3,"exists":true,"value":{"b":1,"c":3}}"#)
        )
        try publish(running, #"{"a":7,"z":2}"#)
        #expect(
            try leaf.next() == .init(id: "4", name: "change", data: #"{"generation":4,"exists":false}"#)
        )
        #expect(try object.next().data == #"{"generation":4,"exists":true,"value":7}"#)
        try publish(running, #"{"a":{"b":{"d":null}}}"#)
        #expect(try leaf.next().data == #"{"generation":5,"exists":true,"value":{"d":null}}"#)
    }

    @Test func keysBelowAPrefix() throws {
        let running = try Running.withDocument(#"{"a":{"b":1,"c":[1,2]},"ab":1,"x.y":"é"}"#)
        let all = try Watcher(running)
        let below = try Watcher(running, "/v1/watch?prefix=a")
        #expect(
            try all.next()
                == .init(
                    id: "1",
                    name: "reset",
                    data: #"{"generation":1,"set":{"\"x.y\"":"é","a.b":1,"a.c":[1,2],"ab":1},"removed":[]}"#
                )
        )
        #expect(try below.next().data == #"{"generation":1,"set":{"a.b":1,"a.c":[1,2]},"removed":[]}"#)
        try publish(running, #"{"a":{"b":2,"d":true},"ab":2}"#)
        #expect(
            try all.next()
                == .init(
                    id: "2",
                    name: "change",
                    data: #"{"generation":2,"set":{"a.b":2,"a.d":true,"ab":2},"removed":["\"x.y\"","a.c"]}"#
                )
        )
        #expect(try below.next().data == #"{"generation":2,"set":{"a.b":2,"a.d":true},"removed":["a.c"]}"#)
        try publish(running, #"{"a":"scalar","ab":2}"#)
        #expect(try below.next().data == #"{"generation":3,"set":{"a":"scalar"},"removed":["a.b","a.d"]}"#)
    }

    @Test("A watch goes on where it was, and says so where it cannot")
    func resumption() throws {
        let running = try Running.withDocument(#"{"n":1,"m":1}"#)
        try publish(running, #"{"n":2,"m":1}"#)
        try publish(running, #"{"n":3,"m":1}"#)
        try publish(running, #"{"n":3,"m":1,"o":1}"#)
        let behind = try Watcher(running, after: "1")
        #expect(
            try behind.next()
                == .init(id: "4", name: "change", data: #"{"generation":4,"set":{"n":3,"o":1},"removed":[]}"#)
        )
        let upToDate = try Watcher(running, after: "4")
        let unconcerned = try Watcher(running, "/v1/watch/m", after: "1")
        let fromTheFuture = try Watcher(running, after: "99")
        let fromElsewhere = try Watcher(running, after: "none")
        #expect(try fromTheFuture.next().name == "reset")
        #expect(try fromElsewhere.next().name == "reset")
        try publish(running, #"{"n":3,"m":2}"#)
        #expect(try upToDate.next().data == #"{"generation":5,"set":{"m":2},"removed":["o"]}"#)
        #expect(
            try unconcerned.next() == .init(id: "5", name: "change", data: #"{"generation":5,"exists":true,"value":2}"#)
        )
    }

    @Test("More changes than are listed lead to a reset")
    func wholesale() throws {
        let running = try Running.withDocument(#"{"n":1}"#)
        let watcher = try Watcher(running)
        _ = try watcher.next()
        let members = (0...ChangedKeys.most).map { "\"k\($0)\":1" }.joined(separator: ",")
        try publish(running, "{\(members)}")
        let event = try watcher.next()
        #expect(event.name == "reset")
        #expect(event.data.contains("\"k\(ChangedKeys.most)\":1"))
        #expect(!event.data.contains("\"n\""))
    }

    @Test func watchBeforeTheFirstSnapshot() throws {
        let directory = try TemporaryDirectory()
        let running = try Running([source("base", .file, "file://\(directory.path)/base.json")], in: directory)
        try running.start()
        let watcher = try Watcher(running, "/v1/watch/n")
        try publish(running, #"{"n":1}"#)
        #expect(try watcher.next() == .init(id: "1", name: "reset", data: #"{"generation":1,"exists":true,"value":1}"#))
    }

    @Test func signsOfLife() throws {
        var limits = ClientLimits()
        limits.heartbeat = second / 50
        let running = try Running.withDocument(#"{"n":1}"#, limits: limits)
        let watcher = try Watcher(running, "/v1/watch/m")
        _ = try watcher.next()
        try publish(running, #"{"n":2}"#)
        // The id moves on although nothing was told: who comes back with it need not hear of generation 2 again.
        try waitUntil("a sign of life with the new id") { try watcher.client.block() == ": still here\nid: 2" }
    }

    @Test func refusals() throws {
        let running = try Running.withDocument("{}")
        #expect(try running.config("/v1/watch", "POST").status == 405)
        #expect(try running.config("/v1/watch/a?prefix=b").error?.code == "bad_watch")
        #expect(try running.config("/v1/watch/a..b").error?.code == "bad_key")
        #expect(try running.config("/v1/watch?prefix=%22a").error?.code == "bad_key")
        #expect(try running.status("/v1/watch").error?.code == "wrong_socket")
        #expect(try running.config("/v1/watcher").error?.nearest == ["/v1/watch"])
    }

    @Test("All who watch alike share one encoding of each generation")
    func encodedOnce() throws {
        let running = try Running.withDocument(#"{"n":0}"#, workers: 4)
        let watchers = try (0..<100).map { _ in try Watcher(running) }
        for watcher in watchers { _ = try watcher.next() }
        #expect(try running.report().clients["config"]?.watchers == 100)
        let before = try #require(try running.metric("config_agent_watch_events_encoded_total"))
        for number in 1...20 {
            try publish(running, "{\"n\":\(number)}")
            for watcher in watchers { #expect(try watcher.next().data.contains("\"n\":\(number)")) }
        }
        #expect(try running.metric("config_agent_watch_events_encoded_total") == before + 20)
    }

    @Test("Whatever a watcher says it knows: all who get everything share it")
    func resetsAreOne() throws {
        let running = try Running.withDocument(#"{"n":0}"#, workers: 4)
        let before = try #require(try running.metric("config_agent_watch_events_encoded_total"))
        let watchers = try (0..<50).map { try Watcher(running, after: "\($0 * 1_000 + 999)") }
        for watcher in watchers { #expect(try watcher.next().name == "reset") }
        #expect(try running.metric("config_agent_watch_events_encoded_total") == before + 1)
    }

    @Test("Watchers that never read pin nothing old, and are cut off")
    func stuckWatchers() throws {
        var limits = ClientLimits()
        limits.answerTime = 3 * second
        limits.connections = 2_000
        limits.connectionsPerPeer = 2_000
        let running = try Running.withDocument(#"{"n":0}"#, limits: limits)
        let snapshots = Mutex("test.snapshots", [Weak]())
        running.agent.publisher.observe { _ in
            var reader = running.agent.publisher.cell.makeReader()
            let newest = Weak(reader.strongCopy())
            snapshots.withLock { $0.append(newest) }
        }
        let stuck = try (0..<1_000).map { _ in
            let client = try Client(running.paths.configSocket)
            try client.request("GET", "/v1/watch")
            return client
        }
        let reading = try Watcher(running, "/v1/watch/n")
        let filling = String(repeating: "x", count: 4_000)
        #expect(try reading.next().name == "reset")
        for number in 1...500 {
            try publish(running, "{\"n\":\(number),\"f\":\"\(number)\(filling)\"}")
            #expect(try reading.next().data.hasSuffix("\"value\":\(number)}"))
        }
        #expect(running.agent.publisher.history.changes(after: 400, through: 501, atOrBelow: [])?.count == 2)
        try waitUntil("idle workers let go") { snapshots.withLock { $0.count { $0.object != nil } } <= 1 }
        try waitUntil("those who never read are cut off") {
            try running.metric("config_agent_clients_cut_off_total{socket=\"config\",limit=\"watch_time\"}") == 1_000
        }
        #expect(try running.report().clients["config"]?.watchers == 1)
        withExtendedLifetime(stuck) {}
    }

    @Test func watchersDoNotKeepTheAgent() throws {
        let running = try Running.withDocument("{}")
        let watcher = try Watcher(running)
        _ = try watcher.next()
        running.stop()
        #expect(watcher.client.isClosed())
    }

    @Test func aWatcherThatLeavesIsForgotten() throws {
        let running = try Running.withDocument("{}")
        do {
            let one = try Watcher(running)
            let other = try Watcher(running)
            other.client.endSending()
            #expect(try one.next().name == "reset")
            try waitUntil("one is left") { try running.report().clients["config"]?.watchers == 1 }
        }
        try waitUntil("none is left") { try running.report().clients["config"]?.watchers == 0 }
    }
}

private struct Weak: Sendable {
    weak let object: Snapshot?

    init(_ object: Snapshot) { self.object = object }
}

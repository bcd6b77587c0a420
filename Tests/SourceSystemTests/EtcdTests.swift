import AgentTestSupport
import ConfigAgent
import ConfigFetch
import ConfigSnapshot
import Foundation
import TestSupport
import Testing

@Suite("etcd 3.4 as a source", .serialized)
struct EtcdTests {
    /// Polled once; whatever comes later comes by the watch.
    private func watched(_ url: String, _ change: (inout SourceSpec) -> Void = { _ in }) -> AgentPlan.Source {
        source("e", .etcd, url: url) {
            $0.retryBase = 100_000_000
            $0.retryMax = 300_000_000
            change(&$0)
        }
    }

    private func agent(_ source: AgentPlan.Source) throws -> (RunningAgent, TemporaryDirectory) {
        let directory = try TemporaryDirectory()
        let agent = try RunningAgent([source], in: directory)
        try agent.start()
        return (agent, directory)
    }

    private func isWatched(_ agent: RunningAgent) -> Bool {
        agent.agent.sourceFacts[sourceName("e")]?.watch?.isOpen == true
    }

    @Test("A key's value is the document, and a change arrives by the watch")
    func key() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/app.json", #"{"a":{"b":1}}"#)
        let (agent, directory) = try agent(watched(etcd.url("/app.json")))
        #expect(agent.value("a.b") == "1")
        for value in 2...5 {
            try etcd.control("put", "/app.json", #"{"a":{"b":\#(value)}}"#)
            try waitUntil("the change") { agent.value("a.b") == "\(value)" }
        }
        let facts = try #require(agent.agent.sourceFacts[sourceName("e")]?.watch)
        #expect(facts.isOpen && facts.changes >= 4 && facts.failures == 0)
        // Another key is nobody's business.
        let requests = agent.agent.sourceFacts[sourceName("e")]?.requests
        try etcd.control("put", "/app.json2", "x")
        try etcd.control("put", "/app.json", #"{"a":{"b":6}}"#)
        try waitUntil("the change") { agent.value("a.b") == "6" }
        // The news brought the value along; a refresh asks for it all the same.
        #expect(agent.agent.sourceFacts[sourceName("e")]?.requests == requests)
        #expect(try agent.refresh("e").name == "unchanged")
        #expect(agent.agent.sourceFacts[sourceName("e")]?.requests == requests.map { $0 + 1 })
        // A value that is too long to be kept from the news is fetched.
        let long = String(repeating: "x", count: 100_000)
        try etcd.put("/app.json", #"{"a":{"b":7},"long":"\#(long)"}"#)
        try waitUntil("the long one") { agent.value("a.b") == "7" && agent.value("long")?.count == 100_002 }
        // A key that is gone leaves what it said, and what is no document too.
        try etcd.control("del", "/app.json")
        try waitUntil("the refusal") { agent.story.contains { $0.hasPrefix("e failed at fetch: not_found") } }
        try etcd.control("put", "/app.json", #"{"a": oops"#)
        try waitUntil("the other refusal") { agent.story.contains { $0.hasPrefix("e failed at decode") } }
        #expect(agent.value("a.b") == "7")
        try etcd.control("put", "/app.json", #"{"a":{"b":8}}"#)
        try waitUntil("the next one") { agent.value("a.b") == "8" }
        _ = directory
    }

    @Test("A prefix is a tree: additions, changes and deletions below it arrive")
    func prefix() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/app/db/url", "postgres://x")
        try etcd.control("put", "/app/db/pool", "10")
        try etcd.control("put", "/app/name", "quotes \" and \\ and \u{1} and é")
        try etcd.control("put", "/apple", "not ours")
        let (agent, directory) = try agent(watched(etcd.url("/app/")))
        #expect(agent.value("db.url") == #""postgres://x""#)
        #expect(agent.value("db.pool") == #""10""#)
        #expect(agent.value("name") == #""quotes \" and \\ and \u0001 and é""#)
        try etcd.control("put", "/app/new", "here")
        try waitUntil("the addition") { agent.value("new") == #""here""# }
        try etcd.control("del", "/app/db/pool")
        try waitUntil("the deletion") { agent.value("db.pool") == nil }
        #expect(agent.value("db.url") == #""postgres://x""#)
        // All of it gone is no configuration: the last good one stays.
        try etcd.control("del", "--prefix", "/app/")
        try waitUntil("the refusal") { agent.story.contains { $0.hasPrefix("e failed at fetch: not_found") } }
        #expect(agent.value("new") == #""here""#)
        // A key that is a value and a directory means two things.
        try etcd.control("put", "/app/new/below", "1")
        try etcd.control("put", "/app/new", "1")
        try waitUntil("the refusal") { agent.story.contains { $0.hasPrefix("e failed at fetch: key_conflict") } }
        #expect(agent.value("new") == #""here""#)
        _ = directory
    }

    @Test("A store that is written to all the time is fetched some times a second, and its last word is heard")
    func busy() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/app/v", "0")
        let (agent, directory) = try agent(watched(etcd.url("/app/")))
        try waitUntil("the watch") { isWatched(agent) }
        for value in 1...400 { try etcd.put("/app/v", "\(value)") }
        try waitUntil("the last one") { agent.value("v") == #""400""# }
        #expect((agent.agent.sourceFacts[sourceName("e")]?.requests ?? .max) < 200)
        // And the next one comes at once again, not when all the others would have had their turn.
        try etcd.put("/app/v", "401")
        try waitUntil("the next one") { agent.value("v") == #""401""# }
        _ = directory
    }

    @Test("A restart in the middle of the watch loses nothing")
    func restart() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/k", #"{"v":1}"#)
        let (agent, directory) = try agent(watched(etcd.url("/k")))
        try waitUntil("the watch") { isWatched(agent) }
        etcd.stop()
        try waitUntil("the watch's end to be noticed") { !isWatched(agent) }
        #expect(agent.value("v") == "1")
        try etcd.start()
        try etcd.control("put", "/k", #"{"v":2}"#)
        try waitUntil("what changed meanwhile") { agent.value("v") == "2" }
        try waitUntil("the watch to be back") { isWatched(agent) }
        try etcd.control("put", "/k", #"{"v":3}"#)
        try waitUntil("the change") { agent.value("v") == "3" }
        _ = directory
    }

    @Test("What was compacted away while nobody watched is fetched as it is now")
    func compaction() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/k", #"{"v":1}"#)
        let (agent, directory) = try agent(watched(etcd.url("/k")))
        try waitUntil("the watch") { isWatched(agent) }
        etcd.stop()
        try waitUntil("the watch's end to be noticed") { !isWatched(agent) }
        try etcd.start()
        for value in 2...20 { try etcd.control("put", "/k", #"{"v":\#(value)}"#) }
        try etcd.control("compact", "15")
        try waitUntil("the newest") { agent.value("v") == "20" }
        try waitUntil("the watch to be back") { isWatched(agent) }
        try etcd.control("put", "/k", #"{"v":21}"#)
        try waitUntil("the change") { agent.value("v") == "21" }
        _ = directory
    }

    @Test("A watch that asks for what was compacted away is told so, and what is there now is fetched")
    func compactionTold() throws {
        let etcd = try Etcd()
        try etcd.put("/k", #"{"v":1}"#)
        // Without the key itself there is only the watch to go on with.
        let relay = try TemporaryDirectory(prefix: "etcd-relay")
        let port = try freePort()
        let block = """
            server {
                listen 127.0.0.1:\(port);
                access_log off;
                location / { proxy_pass http://127.0.0.1:\(etcd.port); proxy_buffering off; }
                location = /v3/kv/range {
                    if (-f \(relay.path("no-range")) ) { return 404; }
                    proxy_pass http://127.0.0.1:\(etcd.port);
                }
            }
            """
        var nginx = try Nginx(extraServers: block)
        defer { nginx.stop() }
        let source = watched("etcd+http://127.0.0.1:\(port)/k") {
            $0.retryBase = second
            $0.retryMax = 2 * second
        }
        let (agent, directory) = try agent(source)
        try waitUntil("the watch") { isWatched(agent) }
        try relay.write("no-range", "")
        nginx.stop()
        for value in 2...20 { try etcd.put("/k", #"{"v":\#(value)}"#) }
        try etcd.control("compact", "15")
        nginx = try Nginx(extraServers: block)
        try waitUntil("the compaction to be told") {
            let failure = agent.agent.sourceFacts[sourceName("e")]?.watch?.lastFailure?.failure
            return failure?.code == "watch_canceled" && failure?.message.contains("compacted away") == true
        }
        #expect(agent.value("v") == "1")
        try FileManager.default.removeItem(atPath: relay.path("no-range"))
        try waitUntil("the newest") { agent.value("v") == "20" }
        try waitUntil("the watch to be back") { isWatched(agent) }
        try etcd.put("/k", #"{"v":21}"#)
        try waitUntil("the change") { agent.value("v") == "21" }
        _ = directory
    }

    @Test("A store that was wiped is watched from its new beginning, and until it has something the last good stays")
    func wiped() throws {
        let etcd = try Etcd()
        for value in 1...30 { try etcd.control("put", "/k", #"{"v":\#(value)}"#) }
        let (agent, directory) = try agent(watched(etcd.url("/k")))
        #expect(agent.value("v") == "30")
        try waitUntil("the watch") { isWatched(agent) }
        etcd.stop()
        try etcd.wipe()
        try etcd.start()
        try waitUntil("its absence to be noticed") {
            agent.story.contains { $0.hasPrefix("e failed at fetch: not_found") }
        }
        #expect(agent.value("v") == "30")
        try etcd.control("put", "/k", #"{"v":100}"#)
        try waitUntil("the new value") { agent.value("v") == "100" }
        try waitUntil("the watch to be back") { isWatched(agent) }
        try etcd.control("put", "/k", #"{"v":101}"#)
        try waitUntil("the change") { agent.value("v") == "101" }
        _ = directory
    }

    @Test("A user logs in, and again when the token is forgotten; a wrong password is said to be one")
    func authentication() throws {
        let etcd = try Etcd()
        try etcd.control("put", "/k", #"{"v":1}"#)
        try etcd.control("user", "add", "root:planted-root")
        try etcd.control("user", "grant-role", "root", "root")
        try etcd.control("auth", "enable")
        func user(_ password: String) -> AgentPlan.Source {
            watched(etcd.url("/k")) {
                $0.auth.user = "root"
                $0.auth.password = password
            }
        }
        do {
            let (agent, _) = try agent(user("wrong"))
            let failure = try #require(agent.agent.sourceFacts[sourceName("e")]?.lastFailure?.failure)
            #expect(failure.message.contains("authentication failed"))
            #expect(!"\(failure)".contains("wrong"))
        }
        let (agent, directory) = try agent(user("planted-root"))
        #expect(agent.value("v") == "1")
        try waitUntil("the watch") { isWatched(agent) }
        // Simple tokens are in the server's memory only.
        etcd.stop()
        try etcd.start()
        try etcd.control("--user", "root:planted-root", "put", "/k", #"{"v":2}"#)
        try waitUntil("the change") { agent.value("v") == "2" }
        try waitUntil("the watch to be back") { isWatched(agent) }
        try etcd.control("--user", "root:planted-root", "put", "/k", #"{"v":3}"#)
        try waitUntil("the change") { agent.value("v") == "3" }
        _ = directory
    }
}

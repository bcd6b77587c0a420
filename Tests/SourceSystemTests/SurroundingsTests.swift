import AgentTestSupport
import ConfigTrust
import Foundation
import TestSupport
import Testing

/// What the machine around the agent does to it: names that nobody answers for, clocks that jump.
@Suite("The agent's surroundings", .serialized)
struct SurroundingsTests {
    /// Of a document.
    private static let maxBytes = 1 << 20

    /// Holds what the agent costs from now on against what that may be: two documents, and 8 MiB.
    private func count(_ agent: AgentProcess) throws -> Int {
        try agent.forgetPeakMemory()
        return try agent.residentMemory() + 2 * Self.maxBytes + 8 << 20
    }

    private func source(_ name: String, _ agent: AgentProcess) -> JSONValue? {
        (try? agent.status())?["sources"][name]
    }

    @Test(
        "A resolver that hangs holds up nobody else, neither does it a stop; when it answers, the source comes",
        .enabled(if: geteuid() == 0)
    )
    func resolver() throws {
        let server = try NameServer()
        defer { server.stop() }
        let nginx = try Nginx()
        defer { nginx.stop() }
        try nginx.files.write("good.json", #"{"good": 1}"#)
        try nginx.files.write("named.json", #"{"named": 1}"#)
        // Several, so that a single thread for all names would be seen.
        let named = (1...5).map { number in
            let url = "http://name\(number).test:\(nginx.port)/named.json"
            let more = ["timeout: 2s", "retry: {base: 100ms, max: 1s}", "required: false"]
            return ("named\(number)", SourceSettings(url: url, more: more))
        }
        var sources = Dictionary(uniqueKeysWithValues: named)
        sources["good"] = SourceSettings(url: nginx.url("/good.json"))
        let settings = AgentSettings(sources: sources)
        let agent = try AgentProcess(settings, by: NameServer.asking)
        try waitUntil("the resolver to be asked", deadline: .seconds(20)) { server.questions >= 5 }
        func goodPolls() throws -> Int { try nginx.log().filter { $0.uri == "/good.json" }.count }
        try waitUntil("a name to fail", deadline: .seconds(20)) {
            source("named1", agent)?["last_error"]["code"].string == "timeout"
        }
        // While five names hang, polls of an address go on, each second.
        let before = try goodPolls()
        let begin = ContinuousClock.now
        try waitUntil("five more polls", deadline: .seconds(30)) { try goodPolls() >= before + 5 }
        #expect(ContinuousClock.now - begin < .seconds(15))
        #expect(source("good", agent)?["consecutive_failures"].int == 0)
        server.answer(.address(127, 0, 0, 1))
        for number in 1...5 {
            try waitUntil("name \(number) to be resolved", deadline: .seconds(60)) {
                source("named\(number)", agent)?["state"].string == "fresh"
            }
        }
        // Another agent, whose names nobody resolves: its stop does not wait for them.
        server.answer(.silent)
        let asked = server.questions
        var unnamed = settings
        unnamed.sources = ["other": SourceSettings(url: "http://other.test/a.json", more: ["timeout: 60s"])]
        unnamed.layers = ["other"]
        let hanging = try AgentProcess(unnamed, by: NameServer.asking)
        try waitUntil("the resolver to be asked again", deadline: .seconds(20)) { server.questions > asked }
        let stopping = ContinuousClock.now
        hanging.program.signal(SIGTERM)
        #expect(try hanging.program.waitForExit(deadline: .seconds(20)) == .exited(0))
        #expect(ContinuousClock.now - stopping < .seconds(5))
    }

    @Test(
        "However many names hang, an address is polled on time",
        .enabled(if: geteuid() == 0)
    )
    func manyNames() throws {
        let server = try NameServer()
        defer { server.stop() }
        let nginx = try Nginx()
        defer { nginx.stop() }
        try nginx.files.write("good.json", #"{"good": 1}"#)
        let more = ["retry: {base: 1s, max: 5s}", "required: false"]
        let named = (1...600).map { ("named\($0)", SourceSettings(url: "http://n\($0).test/a.json", more: more)) }
        var sources = Dictionary(uniqueKeysWithValues: named)
        sources["good"] = SourceSettings(url: nginx.url("/good.json"))
        let agent = try AgentProcess(AgentSettings(sources: sources), by: NameServer.asking)
        try waitUntil("most names to have failed", deadline: .seconds(60)) {
            guard let sources = (try? agent.status())?["sources"] else { return false }
            return sources.names.count { sources[$0]["consecutive_failures"].int ?? 0 > 0 } > 400
        }
        // Those who hang are always more than may be under way at once: without a room of their own five polls took half a
        // minute and more.
        func goodPolls() throws -> Int { try nginx.log().filter { $0.uri == "/good.json" }.count }
        let (before, begin) = (try goodPolls(), ContinuousClock.now)
        try waitUntil("ten more polls", deadline: .seconds(60)) { try goodPolls() >= before + 10 }
        #expect(ContinuousClock.now - begin < .seconds(20))
        #expect(server.questions > 600)
        // Each name that hangs may cost a thread of libcurl's, which outlives it: one each at first, then 64 in five seconds.
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(agent.program.pid)/task").count
        #expect(threads < 900, "\(threads) threads")
    }

    @Test(
        "A wall clock that is wrong: set forward nothing new is taken, set back nothing older is; what was in use stays"
    )
    func clockAgainstSignatures() throws {
        let library = try #require(
            (try FileManager.default.contentsOfDirectory(atPath: "/usr/lib")).map {
                "/usr/lib/\($0)/faketime/libfaketimeMT.so.1"
            }.first { FileManager.default.fileExists(atPath: $0) }
        )
        let files = try TemporaryDirectory(prefix: "clock")
        let time = try files.write("time", "+0s\n")
        let signer = Signer(PrivateKey())
        try files.write("keys/test.pub", signer.keys[0].publicKey.pem)
        func publish(_ version: UInt64) throws {
            try files.write("app.json", try signer.carried(#"{"v": \#(version)}"#, version))
        }
        try publish(5)
        let more = ["verify: {keys: \(files.path("keys")), signature: carried}", "watch: false"]
        let settings = AgentSettings(
            sources: [
                "app": SourceSettings(
                    url: "file://\(files.path("app.json"))",
                    poll: "1h",
                    maxBytes: "\(Self.maxBytes)",
                    more: more
                )
            ]
        )
        let environment = [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": time, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
        let agent = try AgentProcess(settings, environment: environment) { command, _ in
            ["sh", "-c", "exec \"$@\"", "sh"] + command
        }
        try agent.waitUntilReady()
        func refresh() throws -> String? {
            let app = try agent.refresh("app").json()["sources"]["app"]
            return app["error"]["code"].string ?? app["outcome"].string
        }
        let allowed = try count(agent)
        // Ten years ahead.
        try files.write("time", "+3650d\n")
        try publish(6)
        #expect(try refresh() == "expired")
        #expect(try agent.value("v").line == "5")
        try waitUntil("health to say so") {
            try agent.status()["health"]["reasons"].array.contains { $0["code"].string == "source_expired" }
        }
        // Ten years back.
        try files.write("time", "-3650d\n")
        try publish(4)
        #expect(try refresh() == "older_version")
        #expect(try agent.value("v").line == "5")
        try publish(6)
        #expect(try refresh() == "published")
        // And right again.
        try files.write("time", "+0s\n")
        try publish(7)
        #expect(try refresh() == "published")
        #expect(try agent.value("v").line == "7")
        #expect(try agent.peakMemory() <= allowed)
    }

    @Test("A wall clock that jumps a day ahead and back changes neither the pace of polls nor what is served")
    func clock() throws {
        let library = try #require(
            (try FileManager.default.contentsOfDirectory(atPath: "/usr/lib")).map {
                "/usr/lib/\($0)/faketime/libfaketimeMT.so.1"
            }.first { FileManager.default.fileExists(atPath: $0) }
        )
        let nginx = try Nginx()
        defer { nginx.stop() }
        let file = try nginx.files.write("app.json", #"{"v": 1}"#)
        try FileManager.default.setAttributes([.modificationDate: Date.now - 60], ofItemAtPath: file)
        let directory = try TemporaryDirectory(prefix: "clock")
        let time = try directory.write("time", "+0s\n")
        let environment = [
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": time, "FAKETIME_NO_CACHE": "1",
            // The kernel's steady clock does not jump either.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        ]
        let app = SourceSettings(url: nginx.url("/app.json"), maxBytes: "\(Self.maxBytes)")
        let settings = AgentSettings(sources: ["app": app])
        // By way of a shell: the library moves the environment of the first process that it finds itself in, behind which
        // Swift looks for a program's arguments.
        let agent = try AgentProcess(settings, environment: environment) { command, _ in
            ["sh", "-c", "exec \"$@\"", "sh"] + command
        }
        try waitUntil("a document", deadline: .seconds(30)) { source("app", agent)?["state"].string == "fresh" }
        func today() throws -> String {
            try agent.status()["sources"]["app"]["last_success"].string ?? ""
        }
        let allowed = try count(agent)
        for jump in ["+1d", "-1d", "+0s"] {
            let before = try nginx.log().count
            let day = String(try today().prefix(10))
            try directory.write("time", "\(jump)\n")
            let begin = ContinuousClock.now
            try waitUntil("five polls after \(jump)", deadline: .seconds(40)) { try nginx.log().count >= before + 5 }
            let took = ContinuousClock.now - begin
            #expect(took > .seconds(2) && took < .seconds(20), "\(jump): five polls of a second each took \(took)")
            // It did see the jump.
            try waitUntil("another day", deadline: .seconds(10)) { String(try today().prefix(10)) != day }
            #expect(source("app", agent)?["state"].string == "fresh")
            let health = try agent.status()["health"]["level"].string
            #expect(health == "healthy", "after \(jump)")
        }
        try nginx.files.write("app.json", #"{"v": 22}"#)
        try waitUntil("the change", deadline: .seconds(20)) {
            try agent.value("v").line == "22"
        }
        #expect(try agent.peakMemory() <= allowed)
    }
}

internal import Foundation
import TestSupport
import Testing

/// A disk that fails, or hangs, under a running agent: a library in its process lets each sync fail or wait while a file says
/// so. Everything else is real.
@Suite("A disk that fails or hangs", .serialized)
struct StorageFaultTests {
    private let files: TemporaryDirectory
    private let library: String

    init() throws {
        files = try TemporaryDirectory(prefix: "disk")
        library = files.path("fault.so")
        let source = try files.write(
            "fault.c",
            """
            #define _GNU_SOURCE
            #include <errno.h>
            #include <stdlib.h>
            #include <sys/syscall.h>
            #include <time.h>
            #include <unistd.h>
            int fsync(int descriptor) {
                const char *fails = getenv("SYNC_FAILS"), *hangs = getenv("SYNC_HANGS");
                if (fails && access(fails, F_OK) == 0) { errno = EIO; return -1; }
                if (hangs && access(hangs, F_OK) == 0) {
                    struct timespec length = { 10, 0 };
                    nanosleep(&length, 0);
                }
                return (int)syscall(SYS_fsync, descriptor);
            }
            """
        )
        try Program.check(["cc", "-shared", "-fPIC", "-o", library, source])
    }

    private func write(_ version: Int) throws { try files.write("app.json", #"{"version": \#(version)}"#) }

    private func agent(_ environment: [String: String] = [:]) throws -> AgentProcess {
        try write(1)
        let agent = try AgentProcess(
            AgentSettings(sources: ["app": SourceSettings(url: "file://\(files.path("app.json"))", poll: "1h")]),
            environment: [
                "LD_PRELOAD": library, "SYNC_FAILS": files.path("fails"), "SYNC_HANGS": files.path("hangs"),
            ].merging(environment) { $1 }
        )
        try agent.waitUntilReady()
        try waitUntil("the first to be durable") { try durable(agent) == generation(agent) }
        return agent
    }

    private func generation(_ agent: AgentProcess) throws -> Int? { try agent.status()["generation"].int }
    private func durable(_ agent: AgentProcess) throws -> Int? { try agent.status()["durable_generation"].int }
    private func reasons(_ agent: AgentProcess) throws -> [String] {
        try agent.status()["health"]["reasons"].array.compactMap { $0["code"].string }
    }

    @Test("Input and output errors: what is new is served, said not to be durable, and kept once the disk works")
    func errors() throws {
        let agent = try agent()
        let before = try durable(agent)
        try files.write("fails", "")
        for version in 2...4 {
            try write(version)
            try agent.refresh("app")
            #expect(try agent.value("version").line == "\(version)")
        }
        try waitUntil("it to be told") { try reasons(agent) == ["not_durable"] }
        #expect(try durable(agent) == before)
        let reason = try agent.status()["health"]["reasons"][0]["message"].string ?? ""
        #expect(reason.contains("Input/output error") && reason.contains("sync"), "\(reason)")
        let pinned = try agent.control("pin")
        #expect(pinned.code == 0 && pinned.standardOutput.contains("not stored yet"), "\(pinned)")
        unlink(files.path("fails"))
        try waitUntil("it to catch up", deadline: .seconds(30)) { try durable(agent) == generation(agent) }
        #expect(try reasons(agent) == ["pinned"])
        agent.program.stop()
        // What was commanded meanwhile is there after all.
        let again = try AgentProcess(after: agent)
        try again.waitUntilReady()
        #expect(try again.value("version").line == "4")
        #expect(try reasons(again).contains("pinned"))
    }

    @Test("A sync that hangs for ten seconds: reads and changes go on, the watchdog is fed, and all is well after it")
    func hangs() throws {
        let manager = try ManagerSocket(files.path("notify"))
        let agent = try agent(["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2000000"])
        let before = try durable(agent)
        try files.write("hangs", "")
        try write(2)
        try agent.refresh("app")
        let begin = ContinuousClock.now
        unlink(files.path("hangs"))
        var version = 2
        var reads = 0
        while try durable(agent) == before {
            version += 1
            try write(version)
            #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
            for _ in 0..<20 { #expect(try agent.value("version").line == "\(version)") }
            reads += 20
            try #require(ContinuousClock.now - begin < .seconds(40))
        }
        #expect(ContinuousClock.now - begin > .seconds(5), "it has hung")
        #expect(reads > 200)
        let fed = manager.times(of: "WATCHDOG=1").filter { $0 > begin && $0 < begin + .seconds(10) }
        for (earlier, later) in zip(fed, fed.dropFirst()) { #expect(later - earlier < .seconds(2)) }
        #expect(fed.count >= 5)
        try waitUntil("it to catch up", deadline: .seconds(30)) { try durable(agent) == generation(agent) }
        #expect(try reasons(agent) == [])
    }
}

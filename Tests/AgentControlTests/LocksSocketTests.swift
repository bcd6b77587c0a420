import AgentAPI
import AgentControl
import AgentTelemetry
import ConfigFetch
import ConfigSnapshot
import Foundation
import LockLadder
import TestSupport
import Testing

/// The socket that tells of locks while nobody else can.
@Suite("locks.sock")
struct LocksSocketTests {
    private func ask(_ running: Running, _ target: String = "/v1/locks", _ method: String = "GET") throws -> Answer {
        let client = try Client(running.paths.locksSocket)
        try client.request(method, target)
        let answer = try client.answer()
        #expect(answer.headers["connection"] == "close")
        #expect(client.isClosed())
        return answer
    }

    @Test("Whatever is asked for, the answer is that to /v1/locks; to /metrics, the metrics of the locks")
    func answers() throws {
        let running = try Running.withDocument("{}")
        let told = try running.status("/v1/locks").decoded(as: LocksReport.self)
        for target in ["/v1/locks", "/", "/v1/status?a=b"] {
            let answer = try ask(running, target)
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            let report = try answer.decoded(as: LocksReport.self)
            #expect(report.accounting == told.accounting && report.since == told.since)
            #expect(report.locks.contains { $0.name == "control.clients" })
        }
        let metrics = try ask(running, "/metrics")
        #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(metrics.text.contains("\nconfig_agent_lock_waiting_seconds{lock=\"control.clients\""))
        let families = metrics.text.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }
        #expect(families.allSatisfy { $0.hasPrefix("# TYPE config_agent_lock_") })
    }

    @Test("While every worker waits for a lock, it tells for which, since when, where, and where it is held")
    func stuckWorkers() throws {
        let running = try Running.withDocument("{}")
        let stuck = Mutex("test.stuck", 0)
        let workers = running.server.lifeSigns
        let unanswered = try Client(running.paths.statusSocket)
        try stuck.withLock { _ in
            for worker in workers { worker.ask { stuck.withLock { $0 += 1 } } }
            try waitUntil("all workers wait") {
                let report = try ask(running).decoded(as: LocksReport.self)
                return report.locks.first { $0.name == "test.stuck" }?.waiting == workers.count
            }
            try unanswered.request("GET", "/v1/locks")
            let report = try ask(running).decoded(as: LocksReport.self)
            let lock = try #require(report.locks.first { $0.name == "test.stuck" })
            #expect(lock.waitingSite?.hasPrefix("AgentControlTests/LocksSocketTests.swift:") == true)
            #expect(lock.holdingSite?.hasPrefix("AgentControlTests/LocksSocketTests.swift:") == true)
            #expect(lock.waitingSite != lock.holdingSite)
            let line = try ask(running, "/metrics").text.split(separator: "\n").first {
                $0.hasPrefix("config_agent_lock_waiting_threads{lock=\"test.stuck\"")
            }
            #expect(line?.hasSuffix(" \(workers.count)") == true)
        }
        #expect(try unanswered.answer().status == 200, "it was the lock that was waited for")
    }

    @Test("What is no request is told so, and so is what asks for something else")
    func refusals() throws {
        let running = try Running.withDocument("{}")
        let post = try ask(running, "/v1/locks", "POST")
        #expect(post.status == 405 && post.headers["allow"] == "GET")
        for (text, status) in [
            ("hello\r\n\r\n", 400), ("GET /v1/locks\r\n\r\n", 400), ("GET locks HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 9_000), 431),
        ] {
            let client = try Client(running.paths.locksSocket)
            // It may have been answered before the last byte.
            try? client.write(text)
            #expect(try client.answer().status == status, "\(text.prefix(30))")
        }
    }

    @Test("A request may come byte by byte, and its sender may have said all it has to say")
    func pieces() throws {
        let running = try Running.withDocument("{}")
        let client = try Client(running.paths.locksSocket)
        for byte in Array("GET / HTTP/1.1\r\nHost: agent\r\n\r\n".utf8) {
            try client.write(String(decoding: [byte], as: UTF8.self))
        }
        client.endSending()
        #expect(try client.answer().status == 200)
    }

    @Test("Clients that say nothing, or read nothing, are cut off after a second; the next is answered")
    func silentClients() throws {
        let running = try Running.withDocument("{}")
        // More than are answered at once.
        let silent = try (0..<10).map { _ in try Client(running.paths.locksSocket) }
        let deaf = try Client(running.paths.locksSocket)
        try deaf.request("GET", "/v1/locks")
        let begun = MonotonicTime.now
        #expect(try ask(running).status == 200)
        for client in silent { #expect(client.isClosed()) }
        let took = MonotonicTime.now.nanoseconds(since: begun)
        #expect(took > second / 2, "it had to wait for a place")
        #expect(took < 10 * second, "\(took)")
        #expect(try ask(running).status == 200)
        withExtendedLifetime(deaf) {}
    }

    @Test("A stop ends it, whoever is connected, and removes the socket")
    func stop() throws {
        let running = try Running.withDocument("{}")
        let idle = try Client(running.paths.locksSocket)
        running.stop()
        #expect(idle.isClosed())
        #expect(access(running.paths.locksSocket, F_OK) != 0)
    }

    @Test("Another file in its place is left alone")
    func otherFile() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write("base.json", "{}")
        try directory.write("locks.sock", "a file")
        #expect(throws: ControlServer.BindError.self) {
            try Running([source("base", .file, "file://\(path)")], in: directory)
        }
        #expect(readText(directory.path("locks.sock")) == "a file")
    }
}

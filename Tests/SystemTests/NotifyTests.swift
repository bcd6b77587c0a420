internal import Foundation
import TestSupport
import Testing

/// What the service manager is told, in the order in which it is told.
@Suite("Notifications")
struct NotifyTests {
    @Test("More time while a request is on its way, ready, reloading, ready, stopping; status at most once a second")
    func order() throws {
        let directory = try TemporaryDirectory()
        let manager = try ManagerSocket(directory.path("notify"))
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        origin.hold()
        let settings = AgentSettings(sources: ["app": SourceSettings(url: origin.url("/a.json"))])
        let agent = try AgentProcess(
            settings,
            environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "4000000"]
        )
        // The start takes as long as the origin does.
        try waitUntil("more time to be asked for") {
            manager.messages.contains { $0.hasPrefix("EXTEND_TIMEOUT_USEC=15") }
        }
        #expect(!manager.messages.contains("READY=1"))
        #expect(manager.messages.contains { $0.hasPrefix("STATUS=") && $0.contains("no configuration yet") })
        origin.releaseAll()
        try agent.waitUntilReady()
        try waitUntil("ready") { manager.messages.contains("READY=1") }

        // A lot happens, and little is said.
        let before = manager.times(of: "STATUS=").count
        let start = ContinuousClock.now
        for version in 2...60 {
            origin.answer { .document(document(version), to: $0) }
            try agent.refresh()
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        #expect(Double(manager.times(of: "STATUS=").count - before) <= seconds + 2)
        let times = manager.times(of: "STATUS=").dropFirst()
        for (earlier, later) in zip(times, times.dropFirst()) { #expect(later - earlier > .milliseconds(900)) }

        #expect(try agent.control("reload", "--wait").code == 0)
        try agent.directory.write("agent.yaml", "sources: {}\n")
        #expect(try agent.control("reload", "--wait").code == 1)
        try waitUntil("two reloads to be over") { manager.messages.count { $0 == "READY=1" } == 3 }
        let rough = manager.messages.map { String($0.prefix { $0 != "=" }) }
        #expect(
            rough.filter { $0 == "READY" || $0 == "RELOADING" } == [
                "READY", "RELOADING", "READY", "RELOADING", "READY",
            ]
        )
        try waitUntil("the watchdog to be fed") { manager.messages.contains("WATCHDOG=1") }
        #expect(agent.program.stop() == .exited(0) || agent.program.exitStatus == .exited(0))
        #expect(manager.messages.last?.hasPrefix("STOPPING=1") == true)
    }
}

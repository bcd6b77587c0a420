internal import Foundation
import TestSupport
import Testing

/// Checks that do what they must not, without systemd: the helper's sandbox holds them, whoever the agent is.
@Suite("A sandbox for checks", .serialized)
struct SandboxTests {
    private let files: TemporaryDirectory

    init() throws {
        files = try TemporaryDirectory(prefix: "sandbox")
        // For whoever runs checks.
        try Program.check(["chmod", "755", files.path])
        try files.write("other.json", #"{"other": 1}"#)
        try files.write("app.json", #"{"app": 1}"#)
    }

    @discardableResult
    private func check(_ text: String) throws -> String {
        let path = try files.write("check.sh", text)
        try Program.check(["chmod", "755", path])
        return path
    }

    private func agent(_ path: String, asNobody: Bool = false) throws -> AgentProcess {
        let guarded = "guard: {check: {command: [\(path)], timeout: 1500ms}}"
        let agent = try AgentProcess(
            AgentSettings(sources: [
                "app": SourceSettings(
                    url: "file://\(files.path("app.json"))",
                    poll: "1h",
                    more: [guarded, "required: false", "watch: false"]
                ),
                "other": SourceSettings(url: "file://\(files.path("other.json"))", poll: "1h", more: ["watch: false"]),
            ]),
            by: { command, directory in
                guard asNobody else { return command }
                try Program.check(["chown", "-R", "nobody", directory.path, files.path])
                return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] + command
            }
        )
        try agent.waitUntilReady()
        return agent
    }

    private func processes() throws -> String {
        try Program.run(["pgrep", "-f", "-a", "^\(HostileCheck.mark)"]).standardOutput
    }

    @Test(
        "Whatever a check tries, it is held, and nothing else is disturbed",
        arguments: HostileCheck.all,
        [false, true]
    )
    func held(_ hostile: HostileCheck, asNobody: Bool) throws {
        let origin = try HeldOrigin { _ in .http(200) }
        defer { origin.stop() }
        let path = files.path("check.sh")
        let agent = try agent(check("#!/bin/sh\nexit 0\n"), asNobody: asNobody)
        try waitUntil("the first to be taken") { try agent.value("app").line == "1" }
        let secret = agent.directory.path("state/generation")
        try check(hostile.text(secret: secret, port: origin.port, socket: agent.runtimeDirectory + "/control.sock"))
        #expect(FileManager.default.isExecutableFile(atPath: path))
        try files.write("app.json", #"{"app": 2}"#)
        let refreshing = PendingThreads(count: 1) { _ in try agent.refresh("app").json()["sources"]["app"] }
        // Meanwhile another source changes, and those who read do not wait.
        try files.write("other.json", #"{"other": 2}"#)
        #expect(try agent.refresh("other").status == 200)
        #expect(try agent.value("other").line == "2" && agent.value("app").line == "1")
        let outcome = try #require(try refreshing.results().first)
        if hostile.reasons.isEmpty {
            #expect(outcome["outcome"].string == "published", "\(hostile): \(outcome) \(agent.log)")
        } else {
            #expect(outcome["error"]["code"].string == "refused", "\(hostile): \(outcome) \(agent.log)")
            let listed = try agent.control("quarantine").standardOutput
            #expect(hostile.reasons.contains { listed.contains($0) }, "\(hostile): \(listed)")
            #expect(listed.contains("source app, refused once"), "\(listed)")
            #expect(try agent.value("app").line == "1")
        }
        #expect(origin.requests.isEmpty)
        try waitUntil("all that it started to be gone") { try processes().isEmpty }
        #expect(agent.program.isRunning)
        // And the next document is taken.
        try check("#!/bin/sh\nexit 0\n")
        try files.write("app.json", #"{"app": 3}"#)
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published", "\(agent.log)")
        #expect(try agent.status()["health"]["reasons"].array.isEmpty)
    }

    @Test("What has too much memory is refused, however short the time that it has it")
    func tooLarge() throws {
        let agent = try agent(check("#!/bin/sh\nexit 0\n"))
        try waitUntil("the first to be taken") { try agent.value("app").line == "1" }
        try check(
            """
            #!/bin/bash
            python3 -c 'import mmap
            # All of it is there at once.
            mmap.mmap(-1, 260 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x8000)'
            exit 0
            """
        )
        for version in 2...4 {
            try files.write("app.json", #"{"app": \#(version)}"#)
            let outcome = try agent.refresh("app").json()["sources"]["app"]
            #expect(outcome["error"]["message"].string == "its check took more than 256 MiB", "\(outcome)")
        }
    }

    @Test("An agent that stops, or is killed, leaves no check behind", arguments: [SIGTERM, SIGKILL])
    func ended(signal: Int32) throws {
        let agent = try agent(check("#!/bin/bash\nexec -a \(HostileCheck.mark) sleep 1000\n"))
        try waitUntil("the check to run") { try !processes().isEmpty }
        agent.program.stop(signal: signal)
        try waitUntil("it to be gone") { try processes().isEmpty }
    }

    @Test("What runs a check may be killed: with the command at work it is refused, and another word is asked for anew")
    func runnerKilled() throws {
        let agent = try agent(check("#!/bin/sh\nexit 0\n"))
        try waitUntil("the first to be taken") { try agent.value("app").line == "1" }
        try check("#!/bin/bash\nexec -a \(HostileCheck.mark) sleep 1000\n")
        try files.write("app.json", #"{"app": 2}"#)
        let refreshing = PendingThreads(count: 1) { _ in try agent.refresh("app").json()["sources"]["app"] }
        try waitUntil("the check to run") { try !processes().isEmpty }
        try Program.check(["pkill", "-KILL", "-f", "agent-check --isolate .*\(agent.runtimeDirectory)"])
        let outcome = try #require(try refreshing.results().first)
        let message = outcome["error"]["message"].string ?? ""
        #expect(message.hasPrefix("its check, or what ran it, was ended"), "\(outcome)")
        try waitUntil("it to be gone") { try processes().isEmpty }
        try check("#!/bin/sh\nexit 0\n")
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published", "\(agent.log)")
    }

    @Test("A helper that was killed is there again, and the source with it")
    func helperKilled() throws {
        let agent = try agent(check("#!/bin/sh\nexit 0\n"))
        try waitUntil("the first to be taken") { try agent.value("app").line == "1" }
        try Program.check(["pkill", "-KILL", "-f", "agent-check --listen \(agent.runtimeDirectory)"])
        try files.write("app.json", #"{"app": 2}"#)
        try waitUntil("it to be taken") {
            _ = try agent.refresh("app")
            return try agent.value("app").line == "2"
        }
    }
}

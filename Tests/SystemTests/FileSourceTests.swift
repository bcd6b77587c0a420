internal import Foundation
import TestSupport
import Testing

@Suite("Files as sources")
struct FileSourceTests {
    /// Makes every read of one file wait, as a mount does whose server is gone, until this program ends.
    private static let blocker = """
        import ctypes, sys, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fanotify_mark.argtypes = [
            ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p
        ]
        group = libc.fanotify_init(4, 0)
        assert group >= 0, ctypes.get_errno()
        # FAN_ACCESS_PERM: nobody ever answers whether the read may go on.
        assert libc.fanotify_mark(group, 1, 0x20000, -100, sys.argv[1].encode()) == 0, ctypes.get_errno()
        print("blocked", flush=True)
        time.sleep(120)
        """

    @Test(
        "A file that cannot be read to its end fails its own source in time, and holds up nothing else",
        .enabled(if: geteuid() == 0 || Workspace.isContinuousIntegration)
    )
    func hangingFile() throws {
        let files = try TemporaryDirectory()
        let stuck = try files.write("stuck.json", #"{"stuck": 1}"#)
        let fine = try files.write("fine.json", #"{"fine": 1}"#)
        func settings(_ path: String) -> AgentSettings {
            // Else it would be read as soon as it is written.
            let more = ["timeout: 500ms", "retry: {base: 1h, max: 1h}", "watch: false"]
            return AgentSettings(
                sources: [
                    "fine": SourceSettings(url: "file://\(fine)", poll: "1h", more: ["watch: false"]),
                    "stuck": SourceSettings(url: "file://\(path)", poll: "1h", more: more),
                ]
            )
        }
        let agent = try AgentProcess.ready(settings(stuck))
        try files.write("stuck.json", #"{"stuck": 2}"#)
        let blocker = try Program(["python3", "-c", Self.blocker, stuck])
        defer { blocker.stop(signal: SIGKILL) }
        try waitUntil("the file is blocked") { blocker.standardOutput.contains("blocked") }

        let failed = try agent.refresh("stuck").json()["sources"]["stuck"]
        #expect(failed["outcome"].string == "failed")
        #expect(failed["error"]["code"].string == "timeout")
        let again = try agent.refresh("stuck").json()["sources"]["stuck"]
        #expect(again["error"]["message"].string?.contains("earlier read") == true)
        // The fetch thread is as quick as ever.
        try files.write("fine.json", #"{"fine": 2}"#)
        #expect(try agent.refresh("fine").json()["sources"]["fine"]["outcome"].string == "published")
        #expect(try agent.value("fine").line == "2")
        #expect(try agent.value("stuck").line == "1")

        // Another file under its name is not held up by the first; back at the first, it hangs as before.
        let healthy = try files.write("healthy.json", #"{"stuck": 3}"#)
        for (path, value) in [(healthy, "3"), (stuck, "3"), (healthy, "3"), (stuck, "3")] {
            try agent.directory.write("agent.yaml", settings(path).yaml(in: agent.directory.path))
            #expect(try agent.control("reload", "--wait").code == 0)
            try agent.waitForValue("stuck", value)
        }
        #expect(try agent.refresh("stuck").json()["sources"]["stuck"]["error"]["code"].string == "timeout")
        #expect(try agent.control("status").code == 1)

        blocker.stop(signal: SIGKILL)
        try waitUntil("it is read again") {
            _ = try agent.refresh("stuck")
            return try agent.value("stuck").line == "2"
        }
        try agent.waitForLevel("healthy")
    }

    @Test(
        "A reload that cannot read a file to its end is refused in time, and the next one is not held up",
        .enabled(if: geteuid() == 0 || Workspace.isContinuousIntegration)
    )
    func hangingReload() throws {
        let files = try TemporaryDirectory()
        let secret = try files.write("secret", "s3cret")
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        func settings(_ header: String, poll: String) -> AgentSettings {
            let source = SourceSettings(url: origin.url("/a.json"), poll: poll, more: ["headers: {X-Key: \(header)}"])
            return AgentSettings(sources: ["app": source])
        }
        let agent = try AgentProcess.ready(settings("plain", poll: "1s"))
        let blocker = try Program(["python3", "-c", Self.blocker, secret])
        defer { blocker.stop(signal: SIGKILL) }
        try waitUntil("the file is blocked") { blocker.standardOutput.contains("blocked") }
        let path = agent.directory.path
        try agent.directory.write("agent.yaml", settings("{file: \(secret)}", poll: "1s").yaml(in: path))
        let refused = try agent.control("reload", "--wait")
        #expect(refused.code == 1)
        #expect(refused.standardError.contains("could not be read within 20 s"))
        #expect(try agent.value("version").line == "1")
        try agent.directory.write("agent.yaml", settings("plain", poll: "2s").yaml(in: path))
        #expect(try agent.control("reload", "--wait").code == 0)
    }
}

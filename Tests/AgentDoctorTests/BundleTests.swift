import AgentAPI
internal import Foundation
import TestSupport
import Testing

@testable import AgentDoctor

@Suite("What must not leave the host")
struct RedactionTests {
    /// What is written, and what is left of it.
    private static let urlRows: [(String, String)] = [
        ("https://h/a", "https://h/a"),
        ("https://h/a?x=1&y=2#f", "https://h/a?x=[removed]&y=[removed]"),
        ("https://user:word@h/a?x", "https://[removed]@h/a?[removed]"),
        ("https://user@h", "https://[removed]@h"),
        ("https://h/a@b?", "https://h/a@b?"),
        (
            "at https://u:p@h/a?x=1, see 'http://v@i/?k=2'.",
            "at https://[removed]@h/a?x=[removed] see 'http://[removed]@i/?k=[removed]'."
        ),
        ("no: url // here", "no: url // here"),
        ("unix:///run/x?y=1 file:///etc/a", "unix:///run/x?y=[removed] file:///etc/a"),
        ("a://b://c@d", "a://b://c@d"),
    ]

    @Test("URLs, alone and in text", arguments: urlRows.indices)
    func urls(_ index: Int) {
        let (written, left) = Self.urlRows[index]
        let result = Redaction.urls(in: written)
        // A comma may be part of a value, and is better lost than kept with it.
        #expect(result == left || result == left.replacingOccurrences(of: "] see", with: "], see"), "\(result)")
    }

    @Test("Names that tell", arguments: ["password", "API_TOKEN", "client-secret", "key", "Credentials", "X-Auth"])
    func secretNames(_ name: String) { #expect(Redaction.looksSecret(name)) }

    @Test("Names that do not", arguments: ["url", "max_keys", "headers", "poll", "timeout"])
    func plainNames(_ name: String) { #expect(!Redaction.looksSecret(name)) }

    @Test("A configuration keeps its structure and loses its secrets and comments")
    func configuration() throws {
        let yaml = """
            # comment4711
            workers: 2
            empty: {}
            list: [a, {token: [secret1, secret2]}]
            sources:
              app:
                url: https://secret3@h/a?q=secret4
                headers: {Accept: secret5, X: {deep: secret6}, Number: 5, Flag: true}
                tls: {key: /etc/path.key, ca: /etc/ca.pem}
            "quo\\"ted": "line\\nbreak"
            """
        let (text, secrets) = try Redaction.configuration(Array(yaml.utf8))
        #expect(!text.contains("secret1") && !text.contains("secret") && !text.contains("4711"), "\(text)")
        #expect(Set(secrets) == ["secret1", "secret2", "secret3", "secret4", "secret5", "secret6", "5"])
        let expected = """
            "workers": 2
            "empty": {}
            "list":
              - "a"
              -
                "token":
                  - "[removed]"
                  - "[removed]"
            "sources":
              "app":
                "url": "https://[removed]@h/a?q=[removed]"
                "headers":
                  "Accept": "[removed]"
                  "X":
                    "deep": "[removed]"
                  "Number": "[removed]"
                  "Flag": true
                "tls":
                  "key": "[removed]"
                  "ca": "/etc/ca.pem"
            "quo\\"ted": "line\\nbreak"

            """
        #expect(text == expected)
        // It is YAML again, of the same shape.
        #expect(try Redaction.configuration(Array(text.utf8)).text == expected)
    }

    @Test("Who logs in at a proxy, and the arguments of commands, are removed")
    func proxiesAndCommands() throws {
        let yaml = """
            a: {proxy: {url: "http://p:1", user: secretive, password: secret1}}
            b: {guard: {check: [/bin/c, -v, --strict, "--password=secret2", --api-token, /secret3, -psecret4, "A_KEY=secret5"]}}
            c: {guard: {check: {command: [/bin/c, /etc/rules, word], timeout: 1s}}}
            """
        let (text, secrets) = try Redaction.configuration(Array(yaml.utf8))
        #expect(!text.contains("secret"), "\(text)")
        #expect(Set(secrets) == ["secretive", "secret1", "secret2", "/secret3", "secret4", "secret5"])
        let left = [
            "/bin/c", "-v", "--strict", "--password=[removed]", "--api-token", "[removed]", "[removed]", "[removed]",
        ]
        let list = left.map { "        - \"\($0)\"\n" }.joined()
        #expect(text.contains(list.replacingOccurrences(of: "        -", with: "      -")), "\(text)")
        #expect(text.contains(#"- "/etc/rules""#) && !text.contains("- \"word\""), "\(text)")
    }

    @Test("Known secrets disappear wherever they are, short ones excepted")
    func scrubbing() {
        let scrubber = Scrubber(["Bearer abracadabra", "abc", "open%20sesame", "long", "longer"])
        func scrub(_ text: String) -> String { String(decoding: scrubber.scrub(Array(text.utf8)), as: UTF8.self) }
        #expect(scrub("Bearer abracadabra") == "[removed]")
        #expect(scrub("x=abracadabra.") == "x=[removed].")
        #expect(scrub("Bearer of news; abc") == "Bearer of news; abc")
        #expect(scrub("open sesame, open%20sesame") == "[removed], [removed]")
        #expect(scrub("longer long lon") == "[removed] [removed] lon")
        #expect(scrub("") == "")
    }

    @Test("Units lose what is set in the environment")
    func units() {
        let unit = """
            [Service]
            Environment=A=secret1 \\
              B=secret2
            EnvironmentFile=/etc/default/agent
            #Environment=C=secret3
            SetCredential=x:secret4
            ExecStart=/usr/bin/agentd --url https://u@h/?k=secret5
            """
        let text = Redaction.unit(unit)
        #expect(!text.contains("secret"), "\(text)")
        #expect(text.contains("EnvironmentFile=/etc/default/agent"))
        #expect(text.contains("ExecStart=/usr/bin/agentd"))
    }
}

@Suite("The archive")
struct ArchiveTests {
    @Test("Real tar and gzip read it, whatever its size")
    func readable() throws {
        let sizes = [0, 1, 511, 512, 513, 100_000]
        let entries = sizes.map { size in
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
            return SupportBundle.Entry(name: "dir/file-\(size)", what: "bytes", bytes: bytes, note: nil)
        }
        let bundle = SupportBundle(entries, now: 1_795_356_379, host: String(repeating: "h", count: 64))
        #expect(bundle.name == "agent-support-\(String(repeating: "h", count: 64))-20261122T140619Z")
        let directory = try TemporaryDirectory()
        let archive = directory.path("a.tar.gz")
        try bundle.write(to: archive)
        try Program.check(["gzip", "-t", archive])
        let names = try Program.check(["tar", "tzf", archive]).split(separator: "\n").map(String.init)
        #expect(names == bundle.entries.map { "\(bundle.name)/\($0.name)" })
        let listing = try Program.check(["tar", "tvzf", archive, "--utc"])
        #expect(listing.contains("-rw------- root/root"))
        #expect(listing.contains("2026-11-22 14:06"))
        try Program.check(["tar", "xzf", archive, "-C", directory.path])
        for entry in bundle.entries {
            let data = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(bundle.name)/\(entry.name)"))
            #expect([UInt8](data) == entry.bytes, "\(entry.name)")
        }
    }

    @Test("An existing file is not replaced, and neither is what a link leads to")
    func neverReplaces() throws {
        let directory = try TemporaryDirectory()
        let bundle = SupportBundle([], now: 0, host: "h")
        let file = try directory.write("mine", "precious")
        #expect(throws: SupportBundle.Failure.self) { try bundle.write(to: file) }
        #expect(readText(file) == "precious")
        let link = directory.path("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: directory.path("elsewhere"))
        #expect(throws: SupportBundle.Failure.self) { try bundle.write(to: link) }
        #expect(!FileManager.default.fileExists(atPath: directory.path("elsewhere")))
    }

    @Test("A program of the host: its output, its limits, its end")
    func commands() {
        var shell = Command(["/nonexistent/sh", "/bin/sh"], ["-c", "echo one; echo two >&2; exit 3"])
        #expect(shell.run()?.text == "one\n")
        #expect(shell.run()?.status == 3)
        shell.takesErrors = true
        #expect(shell.run()?.text == "one\ntwo\n")
        #expect(Command(["/nonexistent/sh"], []).run() == nil)
        #expect(Command(["/bin/sh"], ["-c", "echo $HOME$LD_PRELOAD"]).run()?.text == "\n")

        var endless = Command(["/bin/sh"], ["-c", "while :; do echo yes; done"])
        endless.maxBytes = 1000
        let cut = endless.run()
        #expect(cut?.bytes.count == 1000)
        #expect(cut?.isCut == true)
        var silent = Command(["/bin/sh"], ["-c", "exec >/dev/null; exec sleep 600"])
        silent.timeoutMilliseconds = 50
        let ended = silent.run()
        #expect(ended?.bytes.isEmpty == true)
        #expect(ended.map { $0.status == nil } == true)
    }
}

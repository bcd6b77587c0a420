internal import Foundation
import TestSupport
import Testing

/// What doctor said.
private struct Diagnosis {
    struct Check {
        var id: String
        var subject: String
        var result: String
        var found: String
        var advice: String
    }

    var output: ProgramOutput
    var checks: [Check]

    init(_ output: ProgramOutput) throws {
        self.output = output
        checks = try JSONValue(parsing: output.standardOutput)["checks"].array.map { check in
            Check(
                id: check["id"].string ?? "",
                subject: check["subject"].string ?? "",
                result: check["result"].string ?? "",
                found: check["found"].string ?? "",
                advice: check["advice"].string ?? ""
            )
        }
    }

    func all(_ result: String) -> Set<String> { Set(checks.filter { $0.result == result }.map(\.id)) }
    var fails: Set<String> { all("fail") }

    func first(_ id: String, _ result: String) -> Check? { checks.first { $0.id == id && $0.result == result } }
}

/// A running agent with everything in order, for a test to break one thing.
private final class Patient {
    let agent: AgentProcess
    private var mounts: [String] = []

    /// - Parameter source: a second source beside the one that makes the agent ready.
    init(_ source: SourceSettings? = nil) throws {
        let files = try TemporaryDirectory(prefix: "doctor-files")
        let document = try files.write("app.json", document(1))
        var sources = ["app": SourceSettings(url: "file://\(document)")]
        if var second = source {
            second.more.append("required: false")
            sources["second"] = second
        }
        self.files = files
        agent = try AgentProcess.ready(AgentSettings(sources: sources))
        try Program.check(["chmod", "755", agent.directory.path, agent.runtimeDirectory, files.path])
        try Program.check(["chmod", "750", state])
        try Program.check(["chmod", "640", configuration])
    }

    private let files: TemporaryDirectory

    deinit {
        for path in mounts { _ = try? Program.run(["umount", "-l", path]) }
    }

    var state: String { agent.directory.path("state") }
    var configuration: String { agent.directory.path("agent.yaml") }

    func socket(_ name: String) -> String { "\(agent.runtimeDirectory)/\(name).sock" }

    /// Lays a file system in memory over a directory, gone with this object.
    func mount(_ options: String, at path: String) throws {
        try Program.check(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path])
        mounts.append(path)
    }

    func examine(_ arguments: String...) throws -> Diagnosis {
        try Diagnosis(
            try Program.run(
                [
                    AgentProcess.path(of: "agentctl"), "doctor", "--config", configuration, "--runtime-dir",
                    agent.runtimeDirectory, "-o", "json",
                ] + arguments
            )
        )
    }

    /// The same as people see it.
    func text() throws -> ProgramOutput { try agent.control("doctor", "--config", configuration) }
}

private func expect(
    _ diagnosis: Diagnosis,
    fails expected: Set<String>,
    _ id: String,
    found: String,
    advice: String,
    _ location: SourceLocation = #_sourceLocation
) {
    #expect(diagnosis.fails == expected, "\(diagnosis.output)", sourceLocation: location)
    #expect(diagnosis.output.code == (expected.isEmpty ? 0 : 1), sourceLocation: location)
    let check = diagnosis.first(id, expected.contains(id) ? "fail" : "warn")
    #expect(check?.found.contains(found) == true, "\(diagnosis.output)", sourceLocation: location)
    #expect(check?.advice.contains(advice) == true, "\(diagnosis.output)", sourceLocation: location)
}

@Suite("agentctl doctor finds what is wrong", .enabled(if: geteuid() == 0 && mayUseNginx))
struct DoctorTests {
    // MARK: Nothing

    @Test("A healthy agent: no check fails")
    func healthy() throws {
        let nginx = try Nginx()
        try nginx.files.write("more.json", #"{"more": true}"#)
        let patient = try Patient(SourceSettings(url: nginx.url("/more.json")))
        let diagnosis = try patient.examine()
        #expect(diagnosis.fails == [], "\(diagnosis.output)")
        #expect(diagnosis.output.code == 0)
        let expected: Set<String> = [
            "config.loads", "config.private", "agent.running", "agent.answers", "agent.health", "runtime_dir.mode",
            "state_dir.usable", "socket.connects", "source.answers", "source.document", "clock.offset",
            "limit.descriptors", "version.agentd",
        ]
        #expect(diagnosis.all("ok").isSuperset(of: expected), "\(diagnosis.output)")
        let text = try patient.text()
        #expect(text.code == 0)
        #expect(text.standardOutput.contains(#/\d+ checks: \d+ ok/#))
        #expect(!text.standardOutput.contains("fail"), "\(text)")
        #expect(!text.standardOutput.contains("\u{1b}["), "colour is for terminals")
    }

    // MARK: The agent

    @Test("No agent runs; a socket of systemd's is not touched")
    func notRunning() throws {
        let patient = try Patient()
        patient.agent.program.stop()
        expect(
            try patient.examine(),
            fails: ["agent.running"],
            "agent.running",
            found: "not running",
            advice: "systemctl start agent"
        )
        let listener = try HeldOrigin(on: .unix(patient.socket("status")))
        defer { listener.stop() }
        #expect(try patient.examine().first("socket.stale", "warn") != nil)
        #expect(listener.connections == 0)
    }

    @Test("A killed agent leaves its sockets")
    func staleSockets() throws {
        let patient = try Patient()
        patient.agent.program.stop(signal: SIGKILL)
        let diagnosis = try patient.examine()
        expect(diagnosis, fails: ["agent.running"], "socket.stale", found: "no agent runs", advice: "rm ")
        #expect(diagnosis.checks.filter { $0.id == "socket.stale" }.count == 4)
    }

    // MARK: The configuration

    @Test("A mistake in the configuration, with file and line")
    func configurationError() throws {
        let patient = try Patient()
        try patient.agent.directory.write("agent.yaml", "sources:\n  app:\n    url: http://127.0.0.1/a\n    pol: 1s\n")
        let diagnosis = try patient.examine()
        expect(diagnosis, fails: ["config.loads"], "config.loads", found: "pol", advice: "poll")
        #expect(diagnosis.first("config.loads", "fail")?.subject == "\(patient.configuration):4")
    }

    @Test("Everyone may change the configuration")
    func writableConfiguration() throws {
        let patient = try Patient()
        try Program.check(["chmod", "646", patient.configuration])
        expect(
            try patient.examine(),
            fails: ["config.writable"],
            "config.writable",
            found: "everyone",
            advice: "chmod o-w \(patient.configuration)"
        )
    }

    @Test("Everyone may read a header's value; doctor does not repeat it")
    func readableSecret() throws {
        let nginx = try Nginx()
        try nginx.files.write("more.json", "{}")
        let headers = "headers: {Authorization: Bearer opensesame}"
        let patient = try Patient(SourceSettings(url: nginx.url("/more.json?token=abracadabra"), more: [headers]))
        try Program.check(["chmod", "644", patient.configuration])
        let diagnosis = try patient.examine()
        expect(diagnosis, fails: ["config.secrets"], "config.secrets", found: "line 9", advice: "chmod 0640")
        for output in [diagnosis.output, try patient.text()] {
            #expect(!"\(output)".contains("opensesame"))
            #expect(!"\(output)".contains("abracadabra"))
        }
    }

    @Test("Everyone may read a file with a secret; a credential that is not handed over is no failure")
    func secretFile() throws {
        let nginx = try Nginx()
        try nginx.files.write("more.json", "{}")
        let directory = try TemporaryDirectory()
        let file = try directory.write("token", "opensesame\n")
        try Program.check(["chmod", "755", directory.path])
        try Program.check(["chmod", "644", file])
        let headers = "headers: {Authorization: {file: \(file), prefix: \"Bearer \"}}"
        let patient = try Patient(SourceSettings(url: nginx.url("/more.json"), more: [headers]))
        let diagnosis = try patient.examine()
        expect(diagnosis, fails: ["secret.private"], "secret.private", found: "everyone", advice: "chmod 0640 \(file)")
        #expect(!"\(diagnosis.output)".contains("opensesame"))
        // Behind a closed door it is not everyone's any more, whatever its own mode.
        try Program.check(["chmod", "711", directory.path])
        #expect(try patient.examine().fails == ["secret.private"])
        try Program.check(["chmod", "710", directory.path])
        #expect(try patient.examine().fails == [])

        let yaml = readText(patient.configuration).replacingOccurrences(of: "file: \(file)", with: "credential: none")
        try patient.agent.directory.write("agent.yaml", yaml)
        try Program.check(["chmod", "640", patient.configuration])
        let without = try patient.examine()
        #expect(without.fails == [], "\(without.output)")
        #expect(without.first("source.answers", "skip")?.found.contains("'none'") == true, "\(without.output)")
    }

    // MARK: Directories and sockets

    @Test("Others may not enter the directory of the sockets")
    func closedRuntimeDirectory() throws {
        let patient = try Patient()
        try Program.check(["chmod", "700", patient.agent.runtimeDirectory])
        expect(
            try patient.examine(),
            fails: ["runtime_dir.mode"],
            "runtime_dir.mode",
            found: "may not enter",
            advice: "chmod 0755 \(patient.agent.runtimeDirectory)"
        )
        try Program.check(["chmod", "777", patient.agent.runtimeDirectory])
        expect(
            try patient.examine(),
            fails: ["runtime_dir.mode"],
            "runtime_dir.mode",
            found: "everyone may change",
            advice: "chmod 0755"
        )
        try Program.check(["chmod", "755", patient.agent.runtimeDirectory])
        try Program.check(["chmod", "700", patient.agent.directory.path])
        expect(
            try patient.examine(),
            fails: ["runtime_dir.reach"],
            "runtime_dir.reach",
            found: "may not enter",
            advice: "chmod o+x"
        )
    }

    @Test("A socket with the wrong mode", arguments: [("status", "600", "0666"), ("config", "666", "0660")])
    func socketMode(_ name: String, _ wrong: String, _ right: String) throws {
        let patient = try Patient()
        try Program.check(["chmod", wrong, patient.socket(name)])
        let diagnosis = try patient.examine()
        expect(diagnosis, fails: ["socket.mode"], "socket.mode", found: right, advice: "chmod \(right)")
        #expect(diagnosis.first("socket.mode", "fail")?.subject == "\(name).sock")
    }

    @Test("A socket that somebody removed, and one that somebody replaced by a file")
    func missingSocket() throws {
        let patient = try Patient()
        unlink(patient.socket("control"))
        expect(
            try patient.examine(),
            fails: ["socket.exists"],
            "socket.exists",
            found: "control.sock",
            advice: "systemctl restart agent"
        )
        try patient.agent.directory.write("run/control.sock", "")
        expect(
            try patient.examine(),
            fails: ["socket.kind"],
            "socket.kind",
            found: "not a socket",
            advice: "remove it"
        )
    }

    @Test("The state directory belongs to somebody else")
    func stateOwner() throws {
        let patient = try Patient()
        try Program.check(["chown", "65534", patient.state])
        expect(
            try patient.examine(),
            fails: ["state_dir.owner"],
            "state_dir.owner",
            found: "the agent runs as root",
            advice: "chown -R root: \(patient.state)"
        )
    }

    @Test("The file system of the state directory is full")
    func fullDisk() throws {
        let patient = try Patient()
        try patient.mount("size=1m,mode=0750", at: patient.state)
        expect(
            try patient.examine(),
            fails: ["state_dir.space"],
            "state_dir.space",
            found: "free",
            advice: "df -h \(patient.state)"
        )
    }

    @Test("The file system of the state directory has no inode left")
    func noInodes() throws {
        let patient = try Patient()
        try patient.mount("size=64m,mode=0750,nr_inodes=1", at: patient.state)
        expect(try patient.examine(), fails: ["state_dir.space"], "state_dir.space", found: "inodes", advice: "df -i")
    }

    @Test("The file system of the state directory is read-only")
    func readOnlyDisk() throws {
        let patient = try Patient()
        try patient.mount("size=64m,mode=0750,ro", at: patient.state)
        expect(
            try patient.examine(),
            fails: ["state_dir.writable"],
            "state_dir.writable",
            found: "read-only",
            advice: "remount,rw"
        )
    }

    @Test("A stored copy was set aside")
    func setAside() throws {
        let patient = try Patient()
        try patient.agent.directory.write("state/documents/app.bad", "half")
        expect(try patient.examine(), fails: [], "stored.set_aside", found: "source app", advice: "rm ")
    }

    // MARK: Sources

    @Test("The source answers with a web page, whatever it calls it", arguments: ["portal.html", "portal.json"])
    func webPage(_ name: String) throws {
        let nginx = try Nginx()
        try nginx.files.write(name, "<!DOCTYPE html><html><body>Please log in</body></html>")
        let patient = try Patient(SourceSettings(url: nginx.url("/\(name)")))
        let diagnosis = try patient.examine()
        expect(
            diagnosis,
            fails: ["source.document"],
            "source.document",
            found: "HTML, not JSON or YAML",
            advice: "captive portal"
        )
        #expect(diagnosis.first("agent.health", "warn")?.subject == "source second")
    }

    @Test("The source's document is cut off")
    func halfADocument() throws {
        let nginx = try Nginx()
        try nginx.files.write("half.json", #"{"greeting": "hel"#)
        let patient = try Patient(SourceSettings(url: nginx.url("/half.json")))
        expect(
            try patient.examine(),
            fails: ["source.document"],
            "source.document",
            found: "line 1",
            advice: "mend the document"
        )
    }

    @Test("The source answers 404")
    func notFound() throws {
        let nginx = try Nginx()
        let patient = try Patient(SourceSettings(url: nginx.url("/nothing.json")))
        expect(try patient.examine(), fails: ["source.answers"], "source.answers", found: "404", advice: "'url'")
    }

    @Test("Nobody listens at the source's port")
    func closedPort() throws {
        let patient = try Patient(SourceSettings(url: "http://127.0.0.1:\(try freePort())/app.json"))
        expect(
            try patient.examine(),
            fails: ["source.answers"],
            "source.answers",
            found: "connect",
            advice: "origin runs"
        )
    }

    @Test("The source's name leads nowhere")
    func unknownName() throws {
        let url = "http://config.example.invalid/app.json"
        let patient = try Patient(SourceSettings(url: url, more: ["connect_timeout: 4s"]))
        expect(
            try patient.examine(),
            fails: ["source.answers"],
            "source.answers",
            found: "esolv",
            advice: "resolver"
        )
    }

    @Test("A source that is slower than doctor is patient is no failure yet")
    func slow() throws {
        let origin = try HeldOrigin { .document(document(1), to: $0) }
        defer { origin.stop() }
        origin.hold()
        let patient = try Patient(SourceSettings(url: origin.url("/app.json")))
        expect(
            try patient.examine("--timeout", "300ms"),
            fails: [],
            "source.answers",
            found: "300 ms",
            advice: "--timeout 30000ms"
        )
    }

    @Test("Two clocks are an hour apart")
    func clock() throws {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let date = format.string(from: Date.now + 3600)
        let origin = try HeldOrigin { _ in .http(200, headers: ["Date": date], body: Array("{}".utf8)) }
        defer { origin.stop() }
        let patient = try Patient(SourceSettings(url: origin.url("/app.json")))
        expect(
            try patient.examine(),
            fails: ["clock.offset"],
            "clock.offset",
            found: "ahead of",
            advice: "timedatectl set-ntp true"
        )
    }

    // MARK: Certificates

    private func secure(_ settings: String) throws -> SourceSettings {
        SourceSettings(url: "https://127.0.0.1:\(try freePort())/app.json", more: ["tls: {\(settings)}"])
    }

    /// A certificate that ends within days, and its key.
    private func certificate() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory(prefix: "doctor-tls")
        let make = """
            cd \(directory.path) && chmod 755 . && openssl req -x509 -newkey ec -pkeyopt \
            ec_paramgen_curve:prime256v1 -nodes -days 400 -subj /CN=client -keyout client.key -out client.pem
            """
        try Program.check(["sh", "-c", make])
        try Program.check(["chmod", "600", directory.path("client.key")])
        return directory
    }

    @Test("A missing file of authorities")
    func missingAuthority() throws {
        let patient = try Patient(try secure("ca: /nonexistent/ca.pem"))
        expect(
            try patient.examine(),
            fails: ["tls.exists", "source.answers"],
            "tls.exists",
            found: "/nonexistent",
            advice: "'tls.ca'"
        )
    }

    @Test("A private key that everyone may read")
    func publicKey() throws {
        let tls = try certificate()
        let key = tls.path("client.key")
        try Program.check(["chmod", "644", key])
        let patient = try Patient(try secure("cert: \(tls.path("client.pem")), key: \(key)"))
        expect(
            try patient.examine(),
            fails: ["tls.key_private", "source.answers"],
            "tls.key_private",
            found: "everyone",
            advice: "chmod 0640 \(key)"
        )
    }

    @Test("A certificate file that holds a key, and a key file that holds a certificate")
    func swapped() throws {
        let tls = try certificate()
        let settings = "cert: \(tls.path("client.key")), key: \(tls.path("client.pem"))"
        try Program.check(["chmod", "600", tls.path("client.pem")])
        let patient = try Patient(try secure(settings))
        expect(
            try patient.examine(),
            fails: ["tls.content", "source.answers"],
            "tls.content",
            found: "in PEM form",
            advice: "-----BEGIN"
        )
    }

    @Test("A certificate that ends soon")
    func endingCertificate() throws {
        let tls = try certificate()
        let make = "openssl req -x509 -key client.key -days 3 -subj /CN=client -out client.pem"
        try Program.check(["sh", "-c", "cd \(tls.path) && \(make)"])
        let settings = "cert: \(tls.path("client.pem")), key: \(tls.path("client.key"))"
        let patient = try Patient(try secure(settings))
        expect(
            try patient.examine(),
            fails: ["source.answers"],
            "tls.expiry",
            found: "expires in",
            advice: "renew the certificate"
        )
    }

    // MARK: An agent that is not root

    @Test("Files that root can read and the agent's user cannot")
    func unreadable() throws {
        // Somebody without rights needs a copy of the program that may be reached.
        let home = try TemporaryDirectory(prefix: "doctor-nobody")
        try Program.check(["chmod", "755", home.path])
        try Program.check(["install", "-m", "755", AgentProcess.path(of: "agentd"), home.path("agentd")])
        let tls = try certificate()
        try home.write("app.json", document(1))
        let hidden = try home.write("hidden.json", document(1))
        let second = SourceSettings(
            url: "https://127.0.0.1:\(try freePort())/app.json",
            more: [
                "tls: {cert: \(tls.path("client.pem")), key: \(tls.path("client.key"))}", "required: false",
            ]
        )
        let settings = AgentSettings(sources: [
            "app": SourceSettings(url: "file://\(home.path("app.json"))"), "second": second,
            "third": SourceSettings(url: "file://\(hidden)", more: ["required: false"]),
        ])
        let configuration = try home.write("agent.yaml", settings.yaml(in: home.path))
        for name in ["run", "state"] { try createDirectory(home.path(name)) }
        try Program.check(["chmod", "600", hidden])
        try Program.check(["chown", "65534", home.path("run"), home.path("state")])
        try Program.check(["chmod", "750", home.path("state")])
        let agent = try Program(
            [
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", home.path("agentd"), "--config",
                configuration,
            ],
            log: home.path("agent.log")
        )
        defer { agent.stop() }
        try waitUntil("the agent to be ready", deadline: .seconds(20)) {
            guard agent.isRunning else { return true }
            return try HTTPClient.send("GET", "/readyz", to: .unix(home.path("run/status.sock"))).status == 200
        }
        let command = [AgentProcess.path(of: "agentctl"), "doctor", "-o", "json", "--config", configuration]
        let diagnosis = try Diagnosis(try Program.run(command))
        expect(
            diagnosis,
            fails: ["tls.readable", "source.readable", "source.answers"],
            "tls.readable",
            found: "may not read",
            advice: "chgrp agent \(tls.path("client.key"))"
        )
        #expect(diagnosis.first("source.readable", "fail")?.advice.contains("chmod g+r \(hidden)") == true)
        #expect(diagnosis.first("source.answers", "fail")?.subject == "source second")

        // Doctor as somebody else again: what may not be seen is skipped, with the way to see it.
        try Program.check(["install", "-m", "755", AgentProcess.path(of: "agentctl"), home.path("agentctl")])
        try Program.check(["chmod", "640", configuration])
        let stranger = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", home.path("agentctl"), "doctor"]
        let place = ["-o", "json", "--config", configuration, "--runtime-dir", home.path("run")]
        let outside = try Diagnosis(try Program.run(stranger + place))
        #expect(outside.first("config.loads", "skip")?.advice.contains("as root") == true, "\(outside.output)")
        #expect(outside.first("agent.running", "ok") != nil)
        #expect(outside.first("socket.connects", "skip") != nil)
    }
}

@Suite("agentctl support-bundle", .enabled(if: mayUseNginx))
struct SupportBundleTests {
    private func bundle(_ configuration: String, _ more: String...) throws -> ProgramOutput {
        try Program.run([AgentProcess.path(of: "agentctl"), "support-bundle", "--config", configuration] + more)
    }

    /// The texts of all files in an archive, by their names.
    private func unpack(_ archive: String) throws -> [String: String] {
        let directory = try TemporaryDirectory(prefix: "bundle")
        try Program.check(["tar", "xzf", archive, "-C", directory.path, "--strip-components=1"])
        var texts: [String: String] = [:]
        let names = FileManager.default.enumerator(atPath: directory.path)?.compactMap { $0 as? String } ?? []
        for name in names { texts[name] = readText(directory.path(name)) }
        return texts
    }

    @Test("One archive, for its owner only, without a secret and without a value that services read")
    func noSecrets() throws {
        let nginx = try Nginx()
        try nginx.files.write("more.json", #"{"deep": {"value": "servicevalue4711"}}"#)
        let url = nginx.url("/more.json?token=querysecret4711&plain=otherquery4711")
        let kept = try TemporaryDirectory()
        let file = try kept.write("token", "filesecret4711\n")
        let headers =
            "headers: {Authorization: Bearer headersecret4711, X-Api-Key: keysecret4711, X-Kept: {file: \(file)}}"
        let source = SourceSettings(url: url, more: [headers, "# an old one: commentsecret4711"])
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let archive = agent.directory.path("bundle.tar.gz")
        let configuration = agent.directory.path("agent.yaml")
        let output = try bundle(configuration, archive)
        #expect(output.code == 0, "\(output)")
        #expect(output.standardOutput.contains(archive))
        #expect(output.standardOutput.contains("before you send it"))
        let mode = try FileManager.default.attributesOfItem(atPath: archive)[.posixPermissions] as? Int
        #expect(mode == 0o600)

        let texts = try unpack(archive)
        for secret in [
            "querysecret", "otherquery", "headersecret", "keysecret", "commentsecret", "filesecret", "servicevalue",
        ] {
            for (name, text) in texts { #expect(!text.contains(secret), "\(secret) in \(name)") }
        }
        let names = [
            "MANIFEST", "doctor.txt", "doctor.json", "status.json", "sources.json", "locks.json", "healthz.json",
        ]
        for name in names + ["metrics.txt", "versions.txt", "limits.txt", "config/1-agent.yaml"] {
            #expect(texts[name]?.isEmpty == false, "\(name) of \(texts.keys.sorted())")
        }
        for name in texts.keys where name != "MANIFEST" && name != "config" {
            #expect(texts["MANIFEST"]?.contains(name) == true, "\(name) is not in the MANIFEST")
        }
        let yaml = texts["config/1-agent.yaml"] ?? ""
        #expect(yaml.contains(#""Authorization": "[removed]""#), "\(yaml)")
        #expect(yaml.contains("/more.json?token=[removed]&plain=[removed]"), "\(yaml)")
        #expect(try JSONValue(parsing: texts["status.json"] ?? "")["agent"]["pid"].int == Int(agent.program.pid))

        let again = try bundle(configuration, archive)
        #expect(again.code == 1)
        #expect(again.standardError.contains("nothing is replaced"), "\(again)")
    }

    @Test("Without an agent, and with a configuration that is refused")
    func withoutAgent() throws {
        let directory = try TemporaryDirectory()
        let configuration = try directory.write(
            "agent.yaml",
            """
            runtime_dir: \(directory.path("run"))
            sources:
              app:
                url: https://usersecret4711:wordsecret4711@127.0.0.1:1/app.json
                password: strangesecret4711

            """
        )
        let archive = directory.path("bundle.tar.gz")
        let runtime = directory.path("run")
        let output = try bundle(configuration, "--runtime-dir", runtime, "-o", "json", archive)
        #expect(output.code == 0, "\(output)")
        #expect(try JSONValue(parsing: output.standardOutput)["file"].string == archive)
        let texts = try unpack(archive)
        for (name, text) in texts { #expect(!text.contains("secret4711"), "\(name): \(text)") }
        #expect(texts["status.json.error"]?.contains("no agent runs") == true)
        #expect(texts["doctor.txt"]?.contains("config.loads") == true)

        // What is no YAML may be anything: only its size is told.
        try directory.write("agent.yaml", "sources: [\n  \"brokensecret4711\n")
        let second = directory.path("second.tar.gz")
        #expect(try bundle(configuration, "--runtime-dir", runtime, second).code == 0)
        for (name, text) in try unpack(second) { #expect(!text.contains("secret4711"), "\(name): \(text)") }
    }
}

import AgentAPI
import AgentConfiguration
import Testing

@testable import AgentDoctor

/// The judgements themselves, without a host: each row is what was seen and what is to be said of it.
@Suite("Judging")
struct JudgingTests {
    private func facts(_ mode: UInt32, kind: FileFacts.Kind = .file, owner: UInt32 = 0, group: UInt32 = 0) -> FileFacts
    {
        FileFacts(kind: kind, mode: mode, owner: owner, group: group)
    }

    @Test(
        "Who may change the configuration",
        arguments: [
            (0o644, 0, CheckResult?.none), (0o664, 0, nil), (0o664, 5, .warn), (0o646, 0, .fail), (0o666, 5, .fail),
        ] as [(UInt32, UInt32, CheckResult?)]
    )
    func configuration(_ mode: UInt32, _ group: UInt32, _ expected: CheckResult?) {
        let check = ConfigurationChecks.judgeWritable("/etc/agent", facts(mode, group: group)) { "group \($0)" }
        #expect(check?.result == expected)
        #expect(check == nil || check?.advice?.contains("chmod") == true)
    }

    @Test("What of the configuration is not for everyone")
    func secrets() {
        let yaml = """
            sources:
              app:
                url: https://h/a?token=x
                headers:
                  Accept-Language: en
                  Authorization: Bearer x
                  X-Token: {file: /etc/token, prefix: "Bearer "}
                  X-Other: {credential: other}
                tls: {key: {credential: client-key}, ca: /etc/ca.pem}
              plain: {url: "https://h/a?version=1"}
            """
        let places = SecretPlaces.find(in: Array(yaml.utf8))
        #expect(places.map(\.line) == [3, 5, 6])
        #expect(places.map(\.isCredential) == [true, false, true])
        #expect(!places.contains { $0.what.contains("Bearer") })
        #expect(SecretPlaces.find(in: Array("sources: [".utf8)).isEmpty)
        let references = SecretReference.find(in: Array(yaml.utf8))
        #expect(references.map(\.place) == [.file("/etc/token"), .credential("other"), .credential("client-key")])
        #expect(references.allSatisfy { $0.source == "app" })
        let open = facts(0o644)
        #expect(ConfigurationChecks.judgeSecrets("/f", open, places)?.result == .fail)
        #expect(ConfigurationChecks.judgeSecrets("/f", open, [places[1]])?.result == .warn)
        #expect(ConfigurationChecks.judgeSecrets("/f", open, []) == nil)
        #expect(ConfigurationChecks.judgeSecrets("/f", facts(0o640), places) == nil)
    }

    @Test(
        "The directory of the sockets",
        arguments: [(0o755, false), (0o711, false), (0o750, true), (0o700, true), (0o777, true), (0o1777, true)]
            as [(UInt32, Bool)]
    )
    func runtimeDirectory(_ mode: UInt32, _ isBad: Bool) {
        let check = DirectoryChecks.judgeRuntime("/run/agent", facts(mode, kind: .directory))
        #expect((check != nil) == isBad)
        #expect(check == nil || check?.advice?.contains("chmod 0755 /run/agent") == true)
    }

    @Test("The state directory's owner and mode")
    func stateDirectory() {
        let agent = Identity(user: 100, groups: [], name: "agent")
        let own = facts(0o750, kind: .directory, owner: 100)
        #expect(DirectoryChecks.judgeOwner("/s", own, agent) { _ in nil } == nil)
        let other = DirectoryChecks.judgeOwner("/s", facts(0o750), agent) { _ in "root" }
        #expect(other?.found == "it belongs to root, and the agent runs as agent")
        #expect(other?.advice == "chown -R agent: /s")
        #expect(DirectoryChecks.judgePrivate("/s", own) == nil)
        #expect(DirectoryChecks.judgePrivate("/s", facts(0o755))?.result == .warn)
        #expect(DirectoryChecks.judgePrivate("/s", facts(0o757))?.result == .fail)
    }

    @Test(
        "Room for stored copies",
        arguments: [
            (100 << 30, 1000 << 30, 5, 10, nil), (99 << 30, 1000 << 30, 5, 10, .warn),
            (15 << 20, 20 << 20, 5, 10, .fail),
            (100 << 30, 100 << 30, 0, 10, .fail), (100 << 30, 100 << 30, 0, 0, nil),
        ] as [(UInt64, UInt64, UInt64, UInt64, CheckResult?)]
    )
    func space(_ free: UInt64, _ all: UInt64, _ freeFiles: UInt64, _ allFiles: UInt64, _ expected: CheckResult?) {
        let room = DirectoryChecks.Room(freeBytes: free, allBytes: all, freeFiles: freeFiles, allFiles: allFiles)
        #expect(DirectoryChecks.judgeSpace("/s", room)?.result == expected)
    }

    @Test("A socket's kind, mode and group")
    func sockets() {
        let socket = SocketChecks.Socket(
            name: "config.sock",
            path: "/run/agent/config.sock",
            mode: 0o660,
            group: "agent"
        )
        func ids(_ facts: FileFacts, group: UInt32? = 7) -> [String] {
            SocketChecks.judge(socket, facts, groupID: { _ in group }, groupName: { "group \($0)" }).map(\.id)
        }
        #expect(ids(facts(0o660, kind: .socket, group: 7)) == [])
        #expect(ids(facts(0o770, kind: .socket, group: 7)) == [])
        #expect(ids(facts(0o666, kind: .socket, group: 7)) == ["socket.mode"])
        #expect(ids(facts(0o600, kind: .socket, group: 8)) == ["socket.mode", "socket.group"])
        #expect(ids(facts(0o660, kind: .socket, group: 8), group: nil) == [])
        #expect(ids(facts(0o660, kind: .file, group: 7)) == ["socket.kind"])
        #expect(SocketChecks.missing(socket, generation: 0).result == .warn)
        #expect(SocketChecks.missing(socket, generation: 1).result == .fail)
        #expect(SocketChecks.missing(socket, generation: nil).result == .fail)
    }

    @Test(
        "Two clocks",
        arguments: [
            (-1, 1, .ok), (3, 6, .ok), (-4, -1, .ok), (6, 8, .warn), (-70, -20, .warn), (61, 63, .fail),
            (-4000, -3600, .fail), (-90, 400, .ok),
        ] as [(Int64, Int64, CheckResult)]
    )
    func clock(_ least: Int64, _ most: Int64, _ expected: CheckResult) {
        let check = ClockChecks.judgeOffset("source app", least...most)
        #expect(check.result == expected, "\(check)")
        #expect((check.advice != nil) == (expected != .ok))
    }

    @Test("A year that cannot be")
    func year() {
        #expect(ClockChecks.judgeYear(now: 0)?.found.contains("1970-01-01") == true)
        #expect(ClockChecks.judgeYear(now: 1_735_689_599)?.result == .fail)
        #expect(ClockChecks.judgeYear(now: 1_735_689_600) == nil)
    }

    @Test("What only we may not read is not looked at, and is no fault of the configuration")
    func lackOfRights() {
        func error(_ what: String) -> ConfigurationError {
            ConfigurationError(file: "a.yaml", line: 4, column: 1, key: "k", what: what, advice: nil)
        }
        let errors = [error("/s cannot be read: Permission denied"), error("unknown key")]
        #expect(ConfigurationChecks.judge(errors, isRoot: false).map(\.result) == [.skip, .fail])
        #expect(ConfigurationChecks.judge(errors, isRoot: false).first?.advice == Doctor.asRoot)
        #expect(ConfigurationChecks.judge(errors, isRoot: true).map(\.result) == [.fail, .fail])
    }

    @Test("The agent's own reasons")
    func health() {
        let since = WireTime(unixMilliseconds: 0)
        let healthy = HealthState(level: .healthy, reasons: [], since: since)
        #expect(AgentChecks.health(healthy).map(\.result) == [.ok])
        let reasons = [
            HealthReason(code: "no_snapshot", message: "no configuration yet", since: since),
            HealthReason(code: "source_failing", source: "app", message: "fetch: away", since: since),
        ]
        let failed = AgentChecks.health(HealthState(level: .failed, reasons: reasons, since: since))
        #expect(failed.map(\.result) == [.fail, .warn])
        #expect(failed.map(\.found) == ["no configuration yet", "fetch: away"])
        #expect(failed.map(\.subject) == [nil, "source app"])
        #expect(failed.allSatisfy { $0.advice != nil })
        let commands = [
            "pinned": "agentctl unpin", "frozen": "agentctl thaw", "source_expired": "agentctl sign",
            "source_distrusted": "agentctl sign",
        ]
        for (code, command) in commands {
            let reason = HealthReason(code: code, message: "", since: since)
            let checks = AgentChecks.health(HealthState(level: .degraded, reasons: [reason], since: since))
            #expect(checks.first?.advice?.contains(command) == true, "\(code)")
        }
    }

    @Test("Records that were lost")
    func journal() {
        #expect(JournalChecks.judge(JournalCounts(sent: 1, dropped: 0, destination: .journald)) == nil)
        let check = JournalChecks.judge(JournalCounts(sent: 1, dropped: 3, destination: .journald))
        #expect(check?.result == .warn)
        #expect(check?.advice?.contains("journalctl --disk-usage") == true)
        #expect(JournalChecks.judge(exists: false, socket: "/s").result == .warn)
    }

    @Test("Units as systemctl shows them")
    func units() {
        let text = """
            Id=agent.service
            LoadState=loaded
            ActiveState=active
            UnitFileState=enabled
            NRestarts=0
            FragmentPath=/lib/systemd/system/agent.service
            DropInPaths=

            Id=agent-status.socket
            LoadState=loaded
            ActiveState=failed
            Result=resources
            UnitFileState=static

            Id=agent-config.socket
            LoadState=not-found

            """
        let units = UnitChecks.parse(text)
        #expect(units.count == 3)
        #expect(units.flatMap { UnitChecks.judge($0) }.map(\.id) == ["unit.state", "unit.failed", "unit.installed"])
        var service = units[0]
        func judged(_ name: String, _ value: String) -> Check? {
            service = units[0]
            service[name] = value
            return UnitChecks.judge(service).first
        }
        #expect(judged("UnitFileState", "disabled")?.advice == "systemctl enable agent.service")
        #expect(judged("NRestarts", "3")?.result == .warn)
        #expect(judged("NRestarts", "2")?.result == .ok)
        #expect(judged("NeedDaemonReload", "yes")?.advice?.hasPrefix("systemctl daemon-reload") == true)
        #expect(judged("DropInPaths", "/etc/x.conf")?.found.contains("changed by /etc/x.conf") == true)
        #expect(UnitChecks.parse("").isEmpty)
    }

    @Test("Paths that the unit hides")
    func hiddenPaths() {
        let service = ["PrivateTmp": "yes", "ProtectHome": "yes"]
        func hidden(_ path: String, _ service: [String: String]) -> String? {
            UnitChecks.judgeHidden(path, from: service)?.found
        }
        #expect(hidden("/tmp/app.json", service)?.contains("PrivateTmp=yes") == true)
        #expect(hidden("/root/key", service)?.contains("/root/") == true)
        #expect(hidden("/home/a/key", ["ProtectHome": "read-only"]) == nil)
        #expect(hidden("/etc/agent/app.json", service) == nil)
        #expect(hidden("/tmpfiles/a", service) == nil)
        #expect(hidden("/tmp/a", [:]) == nil)
    }

    @Test("Versions and limits")
    func versions() {
        func result(_ running: String, _ installed: String?, _ replaced: Bool = false) -> CheckResult {
            VersionChecks.judge(running: running, installed: installed, replaced: replaced).result
        }
        #expect(result(Version.text, Version.text) == .ok)
        #expect(result(Version.text, nil) == .ok)
        #expect(result(Version.text, "9.0.0") == .warn)
        #expect(result("9.0.0", "9.0.0") == .warn)
        #expect(result(Version.text, Version.text, true) == .warn)
        let text =
            "Limit  Soft  Hard\nMax processes  1  2 processes\nMax open files            1024     4096    files\n"
        #expect(VersionChecks.openFiles(in: text) == 1024)
        #expect(VersionChecks.openFiles(in: "Max open files  unlimited  unlimited files") == .max)
        #expect(VersionChecks.openFiles(in: "") == nil)
        #expect(VersionChecks.judge(descriptors: 200, sources: 1).result == .fail)
        #expect(VersionChecks.judge(descriptors: 512, sources: 1).result == .warn)
        #expect(VersionChecks.judge(descriptors: 512, sources: 500).result == .warn)
        #expect(VersionChecks.judge(descriptors: 65_536, sources: 500).result == .ok)
    }

    @Test("A report's sum")
    func report() {
        let checks = [
            Check("a.b", nil, .ok, "x"), Check("a.c", "s", .warn, "y", advice: "z"), Check("a.d", nil, .skip, "x"),
        ]
        let report = DoctorReport(checks: checks)
        #expect(report.result == .warn)
        #expect(report.counts == CheckCounts(ok: 1, warn: 1, fail: 0, skip: 1))
        #expect(DoctorReport(checks: checks + [Check("a.e", nil, .fail, "x")]).result == .fail)
        #expect(DoctorReport(checks: []).result == .ok)
    }
}

internal import Foundation
import TestSupport
import Testing

@Suite("Under a real systemd", .serialized, .enabled(if: mayBootContainers))
struct SystemdTests {
    @Test("The units raise no complaint, and little is left exposed")
    func units() throws {
        let host = try Host()
        let units = "/lib/systemd/system/agent"
        let verify = try host.container.shell("systemd-analyze verify \(units).service \(units)-*.socket")
        #expect(verify.code == 0)
        #expect(verify.standardOutput + verify.standardError == "")
        // In tenths of systemd's measure: what is left is the network and the sockets, which it lives by.
        let security = try host.container.shell(
            "systemd-analyze security --no-pager --offline=true --threshold=12 \(units).service"
        )
        #expect(security.code == 0, "\(security)")
        let catalog = try host.container.check("journalctl --list-catalog | grep -c config-agent:")
        let entries = readText("\(Workspace.root)/packaging/catalog/agent.catalog").components(
            separatedBy: "Defined-By:"
        )
        #expect(entries.count > 1 && catalog == "\(entries.count - 1)")
    }

    @Test("start, status, a change, stop: and a stopped agent stays stopped")
    func life() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        #expect(try host.isActive() == "active")
        #expect(
            try container.check("stat -c '%a %U %G %n' /run/agent /run/agent/*.sock") == """
                755 agent agent /run/agent
                600 agent agent /run/agent/check.sock
                660 root agent /run/agent/config.sock
                660 root agent-admin /run/agent/control.sock
                666 agent agent /run/agent/locks.sock
                666 root root /run/agent/status.sock
                """
        )
        let status = try container.run("agentctl", "status")
        #expect(status.code == 0, "\(status)")
        #expect(status.standardOutput.contains("healthy"))
        #expect(try container.check("ps -o user= -p $(systemctl show -P MainPID agent)") == "agent")
        #expect(try !container.journal("-u agent MESSAGE_ID=\(MessageID.ready)").isEmpty)

        try host.publish(2)
        try host.waitForVersion(2)

        let began = ContinuousClock.now
        try container.check("systemctl stop agent")
        #expect(ContinuousClock.now - began < .seconds(2))
        #expect(try container.property("Result", of: "agent") == "success")
        #expect(try container.run("agentctl", "status").code == 3)
        // Not even somebody who does connect may bring it back.
        for _ in 1...3 {
            _ = try container.shell("curl -s -m 2 --unix-socket /run/agent/status.sock http://agent/healthz")
        }
        #expect(try container.run("agentctl", "status").code == 3)
        #expect(try host.isActive() == "inactive")

        // What it had is there again before the origin is asked: the generation goes on.
        try host.start()
        #expect(try container.check("agentctl get version") == "2")
        #expect(try host.status()["generation"].int ?? 0 >= 2)
    }

    @Test("A change's way: its trace leads from agentctl to the journal, and both tell the same times")
    func journey() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        try host.publish(2)
        try host.waitForVersion(2)
        let sources = try JSONValue(parsing: try container.check("agentctl -o json sources"))["sources"].array
        let source = try #require(sources.first { $0["name"].string == "app" })
        let trace = try #require(source["trace"]["id"].string)
        let steps = ["fetch", "verify", "decode", "publish", "workers"].map { "AGENT_\($0.uppercased())_US" }
        let record = try waitFor("the record of its arrival") {
            try container.journal("-u agent AGENT_EVENT=taken_up AGENT_TRACE=\(trace)").first
        }
        #expect(record["AGENT_SOURCE"].string == "app")
        #expect(record["AGENT_GENERATION"].string == (try host.status()["generation"].int).map { "\($0)" })
        let times = try steps.map { try #require(record[$0].string.flatMap { UInt64($0) }, "\($0)") }
        let whole = try #require(record["AGENT_LATENCY_US"].string.flatMap { UInt64($0) })
        // Each step is cut off to whole microseconds.
        #expect((whole - 5...whole).contains(times.reduce(0, +)), "the steps are the whole")
        // The first three are the same stamps; the others are taken on two threads.
        let names = ["requested_to_received", "received_to_verified", "verified_to_decoded"].map { "\($0)_us" }
        for (name, time) in zip(names, times) { #expect(source["trace"][name].int == Int(time), "\(name)") }
        #expect(source["trace"]["published_to_workers_us"].int != nil)
        let events = try container.journal("-u agent AGENT_TRACE=\(trace)").compactMap { $0["AGENT_EVENT"].string }
        #expect(events == ["published", "taken_up"])

        let text = try container.check("agentctl sources --explain app")
        #expect(text.contains("journalctl -u agent AGENT_TRACE=\(trace)"))
        for step in ["received", "verified", "decoded", "published", "taken up", "in all"] {
            let line = try #require(text.split(separator: "\n").first { $0.contains("  \(step) ") }, "\(step)")
            #expect(!line.contains(" - "), "\(line)")
        }
    }

    @Test("Permissions: one socket for each right")
    func rights() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        try container.check("useradd --no-create-home reader && usermod -aG agent reader")
        try container.check("useradd --no-create-home admin && usermod -aG agent-admin admin")
        let exits = { (user: String, command: String) throws -> Int32 in
            try container.shell("runuser -u \(user) -- agentctl \(command)").code
        }
        #expect(try exits("nobody", "status") == 0)
        #expect(try exits("nobody", "get version") == 4)
        #expect(try exits("nobody", "refresh") == 4)
        #expect(try exits("reader", "get version") == 0)
        #expect(try exits("reader", "refresh") == 4)
        #expect(try exits("admin", "refresh") == 0)
        #expect(try exits("admin", "get version") == 4)
    }

    @Test("Whose command it was and why is told as fields, by the kernel's word, and in status and metrics")
    func audit() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        try container.check("useradd --no-create-home --uid 4711 admin && usermod -aG agent-admin admin")
        for (action, options) in [
            ("pin", "--reason 'ticket 7'"), ("freeze", "--reason 'ticket 8'"), ("thaw", ""), ("unpin", ""),
        ] {
            let output = try container.shell("runuser -u admin -- agentctl \(action) \(options)")
            #expect(output.code == 0, "\(output)")
            let record = try waitFor("its record") {
                try container.journal("-u agent AGENT_EVENT=commanded AGENT_ACTION=\(action) AGENT_OUTCOME=done").first
            }
            #expect(record["AGENT_BY_UID"].string == "4711" && record["AGENT_BY_USER"].string == "admin")
            #expect(Int(record["AGENT_BY_PID"].string ?? "") ?? 0 > 1)
            #expect(
                record["AGENT_REASON"].string
                    == (options.isEmpty ? nil : options.contains("7") ? "ticket 7" : "ticket 8")
            )
            let metrics = try container.check("curl -s --unix-socket /run/agent/status.sock http://agent/metrics")
            let frozen = try #require(metrics.split(separator: "\n").first { $0.hasPrefix("config_agent_frozen ") })
            let pinned = try #require(
                metrics.split(separator: "\n").first { $0.hasPrefix("config_agent_pinned_generation ") }
            )
            #expect(frozen.hasSuffix(" 1") == (action == "freeze"))
            #expect(pinned.hasSuffix(" 0") == (action == "unpin"))
            let status = try container.run("agentctl", "status").standardOutput
            if action == "freeze" {
                #expect(status.contains("by admin: ticket 8") && status.contains("by admin: ticket 7"), "\(status)")
            }
        }
        // What is not done is told, too.
        #expect(try container.shell("runuser -u admin -- agentctl rollback 999999 --reason no").code == 1)
        let refused = try waitFor("its record") {
            try container.journal("-u agent AGENT_EVENT=commanded AGENT_ACTION=rollback").first
        }
        #expect(refused["AGENT_BY_USER"].string == "admin" && refused["AGENT_REASON"].string == "no")
        #expect(refused["AGENT_OUTCOME"].string == "refused", "\(refused)")
    }

    @Test("After kill -9 it is back by itself, and callers only had to wait")
    func killed() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        let generation = try #require(try host.status()["generation"].int)
        let victim = try container.property("MainPID", of: "agent")
        try container.check("kill -9 \(victim)")
        // The sockets are systemd's: this call waits in the queue for the next agent.
        let answer = try HTTPClient.send("GET", "/v1/config/version", to: host.configSocket, timeout: .seconds(20))
        #expect(answer.line == "1")
        try waitUntil("the agent to be active again", deadline: .seconds(20)) { try host.isActive() == "active" }
        #expect(try container.property("NRestarts", of: "agent") == "1")
        #expect(try container.property("MainPID", of: "agent") != victim)
        #expect(try container.run("agentctl", "status").code == 0)
        #expect(try host.status()["generation"].int ?? 0 >= generation)
        try host.publish(2)
        try host.waitForVersion(2)
    }

    @Test("Restarts under load: who retries never gets a wrong answer, nor an older one")
    func restart() throws {
        let host = try Host()
        try host.start()
        let stop = Flag()
        let callers = PendingThreads(count: 4) { _ in
            var calls = 0
            var newest = 0
            while !stop.isSet {
                let answer = try HTTPClient.send("GET", "/v1/config", to: host.configSocket, timeout: .seconds(20))
                guard answer.status == 200 else { throw BadResponse(description: "\(answer)") }
                let version = try #require(try answer.json()["version"].int)
                // The padding's length belongs to the version.
                guard try answer.json()["padding"].string?.count == version % 500, version >= newest else {
                    throw BadResponse(description: "after version \(newest): \(answer)")
                }
                newest = version
                calls += 1
            }
            return calls
        }
        for round in 1...4 {
            try host.publish(round + 1)
            try host.container.check("agentctl refresh")
            try host.container.check("systemctl restart agent")
        }
        stop.set()
        let calls = try callers.results()
        #expect(calls.allSatisfy { $0 > 0 })
    }

    @Test("reload takes over a good configuration and refuses a bad one, and the service goes on")
    func reload() throws {
        let host = try Host()
        let container = host.container
        try host.start()
        let process = try container.property("MainPID", of: "agent")
        let good = try container.check("cat /etc/agent/agent.yaml")

        try container.write("/etc/agent/agent.yaml", good.replacingOccurrences(of: "poll:", with: "pol:"))
        let refused = try container.shell("systemctl reload agent")
        #expect(refused.code != 0)
        #expect(try host.isActive() == "active")
        let records = try container.shell("journalctl --no-pager -u agent").standardOutput
        #expect(records.contains("/etc/agent/agent.yaml:5:5: sources.app.pol: unknown key; did you mean 'poll'?"))
        #expect(try !container.journal("-u agent AGENT_EVENT=reload_refused").isEmpty)
        let asked = try container.run("agentctl", "reload", "--wait")
        #expect(asked.code == 1)
        #expect(asked.standardError.contains("agent.yaml:5:5"))
        #expect(asked.standardError.contains("the one before stays in force"))
        // It is still the agent it was.
        try host.publish(2)
        try host.waitForVersion(2)
        #expect(try container.run("agentctl", "status").code == 0)

        try container.write("/srv/origin/files/more.json", #"{"more": true}"#)
        let better = good.replacingOccurrences(
            of: "layers: [app]",
            with: "  more: {url: \"http://127.0.0.1:8080/more.json\", poll: 1h}\nlayers: [app, more]"
        )
        try container.write("/etc/agent/agent.yaml", better)
        try container.check("systemctl reload agent")
        try waitUntil("the new source's value") { try container.shell("agentctl get more").standardOutput == "true\n" }
        let record = try #require(try container.journal("-u agent AGENT_EVENT=reloaded").last)
        #expect(record["AGENT_SOURCE_ADDED"].string == "more")

        // The same by a signal; what only a start can change is refused.
        try container.write("/etc/agent/agent.yaml", good)
        try container.check("systemctl kill --signal=HUP --kill-whom=main agent")
        try waitUntil("its value to go") { try container.run("agentctl", "get", "more").code == 1 }
        try container.write("/etc/agent/agent.yaml", good.replacingOccurrences(of: "workers: 2", with: "workers: 3"))
        let fixed = try container.run("agentctl", "reload", "--wait")
        #expect(fixed.code == 1)
        #expect(fixed.standardError.contains("systemctl restart agent"))
        #expect(try container.property("NRestarts", of: "agent") == "0")
        #expect(try container.property("MainPID", of: "agent") == process)
        #expect(try host.isActive() == "active")
    }

    @Test("A worker, the pipeline or the fetch thread that is stuck: the watchdog restarts the agent")
    func watchdog() throws {
        let host = try Host()
        let container = host.container
        try container.write("/etc/systemd/system/agent.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
        try container.check("systemctl daemon-reload")
        try host.start()
        for (count, thread) in ["agent-worker-1", "agent-pipeline", "agent-fetch"].enumerated() {
            let process = try container.property("MainPID", of: "agent")
            let freezer = try container.start("exec \(Self.freeze(thread, of: process))")
            defer { freezer.stop(signal: SIGKILL) }
            try waitUntil("\(thread) to be missed", deadline: .seconds(30)) {
                try container.property("NRestarts", of: "agent") == "\(count + 1)"
            }
            try waitUntil("the agent to be back", deadline: .seconds(30)) { try host.isActive() == "active" }
            let records = try container.journal("-u agent AGENT_EVENT=watchdog_starving")
            #expect(records.last?["MESSAGE"].string?.contains(thread) == true, "\(records)")
            let version = try HTTPClient.send("GET", "/v1/config/version", to: host.configSocket, timeout: .seconds(20))
            #expect(version.line == "1")
        }
        // Its way out leaves nothing of what was in memory: systemd counts no dump, and the kernel may make none.
        #expect(try container.property("Result", of: "agent") == "success")
        #expect(
            try container.journal("_PID=1 UNIT=agent.service").allSatisfy { record in
                record["MESSAGE"].string?.contains("code=dumped") != true
            }
        )
        let process = try container.property("MainPID", of: "agent")
        #expect(try container.check("grep '^Max core file size' /proc/\(process)/limits").contains(" 0 "))
    }

    /// A program that stops one thread of a process, as a debugger does, for as long as it runs itself.
    private static func freeze(_ thread: String, of process: String) -> String {
        """
        python3 -c '
        import ctypes, os, time
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_ulong, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        tasks = "/proc/\(process)/task/"
        for task in os.listdir(tasks):
            if open(tasks + task + "/comm").read().strip() == "\(thread)":
                assert libc.ptrace(0x4206, int(task), None, None) == 0, ctypes.get_errno()
                assert libc.ptrace(0x4207, int(task), None, None) == 0, ctypes.get_errno()
                # Takes note of the stop, and of the end, which is not over before somebody does.
                for _ in range(2): os.waitpid(int(task), 0x40000000)
        '
        """
    }

    @Test("A slow disk and a frozen journald are no reason for the watchdog")
    func watchdogIsPatient() throws {
        let host = try Host()
        let container = host.container
        try container.write("/etc/systemd/system/agent.service.d/test.conf", "[Service]\nWatchdogSec=2s\n")
        try container.check("systemctl daemon-reload")
        try host.start()
        let process = try container.property("MainPID", of: "agent")
        let freezers = try ["agent-store", "agent-journal"].map {
            try container.start("exec \(Self.freeze($0, of: process))")
        }
        defer { for freezer in freezers { freezer.stop(signal: SIGKILL) } }
        // Far longer than the watchdog would wait.
        let end = ContinuousClock.now + .seconds(6)
        var version = 1
        while ContinuousClock.now < end {
            version += 1
            try host.publish(version)
            let answer = try HTTPClient.send("POST", "/v1/refresh", to: host.controlSocket, timeout: .seconds(5))
            #expect(answer.status == 200)
            #expect(
                try HTTPClient.send("GET", "/v1/config/version", to: host.configSocket).line == "\(version)"
            )
        }
        #expect(try container.property("NRestarts", of: "agent") == "0")
        #expect(try host.status()["durable_generation"].int ?? 0 < (try host.status()["generation"].int ?? 0))
    }

    @Test("Under all its hardening it resolves names, speaks TLS and knows secrets that nobody else sees")
    func trustedOrigin() throws {
        let host = try Host()
        let container = host.container
        let secret = "s3cr3t-\(UUID().uuidString)"
        try container.check(Self.certificates)
        try container.write("/etc/agent-secrets/token", secret + "\n")
        try container.check("chmod 700 /etc/agent-secrets && chmod 600 /etc/agent-secrets/token")
        try container.write(
            "/srv/origin/nginx.conf",
            """
            daemon off;
            pid /run/origin.pid;
            error_log stderr;
            events {}
            http {
                access_log off;
                server {
                    listen 127.0.0.1:8443 ssl;
                    ssl_certificate /srv/origin/server.pem;
                    ssl_certificate_key /srv/origin/server.key;
                    ssl_client_certificate /srv/origin/ca.pem;
                    ssl_verify_client on;
                    root /srv/origin/files;
                    if ($http_authorization != "Bearer \(secret)") { return 401; }
                }
            }
            """
        )
        try container.check(
            "systemctl restart origin || systemd-run --quiet --unit=origin2 nginx -c /srv/origin/nginx.conf"
        )
        try container.write("/srv/names.py", Self.nameServer)
        try container.check("systemd-run --quiet --unit=names python3 /srv/names.py")
        try container.check("rm -f /etc/resolv.conf && echo 'nameserver 127.0.0.1' >/etc/resolv.conf")
        try container.write(
            "/etc/systemd/system/agent.service.d/secrets.conf",
            """
            [Service]
            LoadCredential=token:/etc/agent-secrets/token
            LoadCredential=client-key:/srv/origin/client.key

            """
        )
        try container.write(
            "/etc/agent/agent.yaml",
            """
            sources:
              app:
                url: https://config.agent-test.example:8443/app.json
                poll: 1s
                headers:
                  Authorization: {credential: token, prefix: "Bearer "}
                tls: {ca: /srv/origin/ca.pem, cert: /srv/origin/client.pem, key: {credential: client-key}}

            """
        )
        try container.check("systemctl daemon-reload")
        try host.start()
        try host.publish(2)
        try host.waitForVersion(2)
        #expect(try container.run("agentctl", "status").code == 0)
        try container.check("systemctl reload agent")
        // Where somebody could come across it.
        let process = try container.property("MainPID", of: "agent")
        let places = [
            "agentctl -o json status", "agentctl -o json sources", "agentctl -o json locks", "journalctl -o export",
            "curl -s --unix-socket /run/agent/status.sock http://agent/metrics", "systemctl show agent",
            "cat /proc/\(process)/cmdline /proc/\(process)/environ", "grep -r . /var/lib/agent",
        ]
        for place in places {
            let output = try container.shell(place)
            #expect(output.code == 0, "\(place): \(output)")
            #expect(!(output.standardOutput + output.standardError).contains(secret), "\(place)")
        }
        // The test can tell: there it is.
        #expect(try container.check("cat /run/credentials/agent.service/token") == secret)
    }

    private static let certificates = """
        cd /srv/origin && umask 022 &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
            -subj /CN=test-authority 2>/dev/null &&
        for name in server client; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr \
                -subj /CN=config.agent-test.example 2>/dev/null &&
            printf 'subjectAltName=DNS:config.agent-test.example' >ext &&
            openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
                -out $name.pem 2>/dev/null || exit 1
        done
        chmod 600 *.key
        """

    /// Answers every question for an A record with 127.0.0.1, and any other with nothing.
    private static let nameServer = """
        import socket, struct
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 53))
        while True:
            query, client = server.recvfrom(512)
            end = query.index(0, 12) + 5
            is_address = query[end - 4 : end - 2] == b"\\0\\1"
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 1 if is_address else 0, 0, 0)
            answer = b"\\xc0\\x0c\\0\\1\\0\\1" + struct.pack(">IH", 1, 4) + b"\\x7f\\0\\0\\1" if is_address else b""
            server.sendto(head + query[12:end] + answer, client)
        """

    @Test("A configuration that is wrong fails the start at once, and the journal says what to do")
    func wrongConfiguration() throws {
        let host = try Host()
        let container = host.container
        let mistaken = "sources:\n  app:\n    url: http://127.0.0.1:8080/app.json\n    pol: 1s\nlayers: [app]\n"
        try container.write("/etc/agent/agent.yaml", mistaken)
        let start = try container.shell("systemctl start agent")
        #expect(start.code != 0)
        #expect(try container.property("ExecMainStatus", of: "agent") == "78")
        #expect(try container.property("NRestarts", of: "agent") == "0")
        let records = try container.shell("journalctl -x --no-pager -u agent").standardOutput
        #expect(records.contains("/etc/agent/agent.yaml:4"))
        #expect(records.contains("poll"))
        #expect(records.contains("--check-config"))
    }

    @Test("Contention provoked by load is in the journal with its fields, found by its wait, and explained")
    func contention() throws {
        let host = try Host(locks: "{report: 2s, warn_wait: 1ms}")
        let container = host.container
        try host.start()
        // Busy cores make the holder of a lock lose its turn now and then, which is what makes others wait long.
        let hogs = try (1...8).map { _ in try container.start("while :; do :; done") }
        defer { for hog in hogs { hog.stop(signal: SIGKILL) } }
        let loads = [
            "curl -sS -Z --parallel-max 64 -o /dev/null --unix-socket /run/agent/control.sock -X POST "
                + "'http://agent/v1/refresh#[1-1000]'",
            "curl -sS -Z --parallel-max 64 -o /dev/null --unix-socket /run/agent/status.sock "
                + "'http://agent/v1/locks#[1-1000]'",
        ]
        let found = "-u agent MESSAGE_ID=\(MessageID.lockContended) AGENT_WAIT_GE=1ms"
        try waitUntil("a record of contention", deadline: .seconds(120), every: .milliseconds(1)) {
            let running = try loads.map { try container.start($0) }
            defer { for load in running { load.stop(signal: SIGKILL) } }
            for load in running { _ = try? load.waitForExit(deadline: .seconds(20)) }
            return try !container.journal(found).isEmpty
        }
        for hog in hogs { hog.stop(signal: SIGKILL) }

        let record = try #require(try container.journal(found).first)
        let present = [
            "MESSAGE", "AGENT_EVENT", "AGENT_LOCK", "AGENT_LOCK_KIND", "AGENT_LOCK_MODE", "AGENT_HOLDER_SITE",
            "AGENT_WAITER_SITE", "AGENT_TRY", "CODE_FILE", "CODE_FUNC",
        ]
        for field in present { #expect(record[field].string?.isEmpty == false, "\(field) in \(record)") }
        let numbers = [
            "PRIORITY", "AGENT_WAIT_US", "AGENT_HOLD_US", "AGENT_WAITERS", "AGENT_CONTENDED",
            "AGENT_GENERATION", "AGENT_SUPPRESSED",
            "CODE_LINE", "TID",
        ]
        for field in numbers {
            #expect(record[field].string.flatMap { UInt64($0) } != nil, "\(field) in \(record)")
        }
        #expect(record["SYSLOG_IDENTIFIER"].string == "agent")
        #expect(record["_SYSTEMD_UNIT"].string == "agent.service")
        let wait = try #require(record["AGENT_WAIT_US"].string.flatMap { UInt64($0) })
        #expect(wait >= 1000)
        // Cumulative: who waited at least ten milliseconds has waited at least one.
        let steps = record["AGENT_WAIT_GE"].strings
        #expect(steps.contains("1ms"))
        #expect(steps.contains("10ms") == (wait >= 10_000))

        #expect(try !container.journal("AGENT_WAIT_GE=1ms").isEmpty)
        let lock = try #require(record["AGENT_LOCK"].string)
        #expect(try container.check("journalctl -F AGENT_LOCK").split(separator: "\n").contains(Substring(lock)))
        let explained = try container.check(
            "journalctl --no-pager -x -u agent -n 1 MESSAGE_ID=\(MessageID.lockContended) AGENT_LOCK='\(lock)'"
        )
        #expect(explained.contains("for the lock \"\(lock)\""))
        #expect(explained.contains("agentctl locks"))
        #expect(try container.check("agentctl locks").contains(lock))
    }

    @Test("A frozen journald holds up neither reads, fetches and publishes nor a stop; drops are reported afterwards")
    func frozenJournal() throws {
        let host = try Host(extraSources: 16)
        let container = host.container
        try host.start()
        let journald = try container.property("MainPID", of: "systemd-journald")
        let droppedBefore = try #require(try host.status()["journal"]["dropped"].int)
        try container.check("kill -STOP \(journald)")
        defer { _ = try? container.shell("kill -CONT \(journald)") }

        // Each publication is a record: ten seconds of them are more than the agent's buffer holds.
        let began = ContinuousClock.now
        var version = 1
        var slowestRead = Duration.zero
        while ContinuousClock.now - began < .seconds(10) {
            version += 1
            try host.publish(version)
            let answer = try HTTPClient.send("POST", "/v1/refresh", to: host.controlSocket, timeout: .seconds(5))
            #expect(answer.status == 200)
            let start = ContinuousClock.now
            let value = try HTTPClient.send("GET", "/v1/config/version", to: host.configSocket, timeout: .seconds(5))
            slowestRead = max(slowestRead, ContinuousClock.now - start)
            #expect(value.line == "\(version)")
        }
        #expect(version > 50, "publications go on")
        #expect(try host.status()["generation"].int ?? 0 > 3000, "too few records to fill a buffer")
        #expect(slowestRead < .seconds(1))

        try container.check("kill -CONT \(journald)")
        let dropped = try waitFor("drops to be counted", deadline: .seconds(20)) { () -> Int? in
            let count = try host.status()["journal"]["dropped"].int ?? 0
            return count > droppedBefore ? count : nil
        }
        try waitUntil("drops to be reported", deadline: .seconds(20)) {
            let reports = try container.journal("-u agent MESSAGE_ID=\(MessageID.recordsDropped)")
            let reported = reports.compactMap { $0["AGENT_DROPPED"].string.flatMap { Int($0) } }.reduce(0, +)
            return reported >= dropped - droppedBefore
        }

        try container.check("kill -STOP \(journald)")
        for _ in 1...50 {
            version += 1
            try host.publish(version)
            _ = try HTTPClient.send("POST", "/v1/refresh", to: host.controlSocket, timeout: .seconds(5))
        }
        let stopping = ContinuousClock.now
        let stop = try container.shell("systemctl stop agent", timeout: .seconds(30))
        let took = ContinuousClock.now - stopping
        try container.check("kill -CONT \(journald)")
        #expect(stop.code == 0)
        #expect(took < .seconds(3), "it took \(took)")
        #expect(try container.property("Result", of: "agent") == "success")
        #expect(try container.property("ExecMainStatus", of: "agent") == "0")
    }
}

/// Set once, seen by all.
private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false

    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}

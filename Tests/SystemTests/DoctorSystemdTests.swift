internal import Foundation
import TestSupport
import Testing

/// doctor where it belongs: on a host with a real systemd, with the agent installed as its own user.
@Suite("agentctl doctor with systemd", .enabled(if: mayBootContainers))
struct DoctorSystemdTests {
    /// A host with the agent installed and configured, not started.
    private func boot(_ stage: TemporaryDirectory) throws -> Container {
        let make = ["make", "--no-print-directory", "-C", Workspace.root, "install", "DESTDIR=\(stage.path)"]
        try Program.check(make + ["BINARIES=\(Workspace.products)"])
        let container = try Container(stage: stage.path)
        try container.check(
            "systemd-sysusers && systemd-tmpfiles --create config-agent.conf && systemctl daemon-reload"
        )
        try container.write("/etc/agent/app.json", document(1))
        try container.write("/etc/agent/agent.yaml", "sources: {app: {url: 'file:///etc/agent/app.json'}}\n")
        return container
    }

    private struct Finding: Hashable {
        var id: String
        var subject: String
        var advice: String
    }

    private func examine(_ container: Container, _ result: String) throws -> [Finding] {
        let output = try container.run("agentctl", "doctor", "-o", "json")
        return try JSONValue(parsing: output.standardOutput)["checks"].array.filter { $0["result"].string == result }
            .map {
                Finding(
                    id: $0["id"].string ?? "",
                    subject: $0["subject"].string ?? "",
                    advice: $0["advice"].string ?? ""
                )
            }
    }

    @Test("From installed to running, and what can happen to units, sockets and the journal")
    func units() throws {
        let stage = try TemporaryDirectory(prefix: "doctor-stage")
        let container = try boot(stage)
        defer { container.stop() }

        // Installed, not started: the agent is all that is missing, and nothing starts it.
        #expect(try examine(container, "fail").map(\.id) == ["agent.running"])
        #expect(try container.run("systemctl", "is-active", "agent").code != 0)

        try container.check("systemctl start agent")
        #expect(try examine(container, "fail") == [])
        let warnings = try examine(container, "warn").filter { !$0.id.hasPrefix("clock.") }
        #expect(warnings.map(\.id) == ["unit.enabled"], "\(warnings)")
        #expect(warnings.first?.advice == "systemctl enable agent.service")
        try container.check("systemctl enable agent")
        let fine = try examine(container, "ok")
        let expected: Set<String> = ["state_dir.usable", "journal.socket", "unit.state", "limit.descriptors"]
        #expect(Set(fine.map(\.id)).isSuperset(of: expected), "\(fine)")
        #expect(fine.filter { $0.id == "unit.state" }.count == 5)

        func expect(_ result: String, _ id: String, _ subject: String, advice: String) throws {
            let findings = try examine(container, result).filter { $0.id == id }
            #expect(findings.map(\.subject) == [subject], "\(findings)")
            #expect(findings.allSatisfy { $0.advice.contains(advice) }, "\(findings)")
        }
        try container.check("chgrp root /run/agent/config.sock")
        try expect("fail", "socket.group", "config.sock", advice: "chgrp agent")
        try container.check("chgrp agent /run/agent/config.sock")

        try container.check("chown root /var/lib/agent && chmod 0700 /var/lib/agent")
        try expect("fail", "state_dir.owner", "/var/lib/agent", advice: "chown -R agent:")
        try container.check("chown agent /var/lib/agent && chmod 0750 /var/lib/agent")

        try container.check("chmod 0600 /etc/agent/agent.yaml")
        try expect("fail", "config.readable", "/etc/agent/agent.yaml", advice: "chgrp agent")
        try container.check("chmod 0644 /etc/agent/agent.yaml")

        try container.write(
            "/etc/agent/more.yaml",
            "sources: {more: {url: 'file:///tmp/more.json', required: false}}\n"
        )
        try container.write("/tmp/more.json", "{}")
        try expect("fail", "unit.hidden_path", "/tmp/more.json", advice: "move it to /etc/agent")
        try container.check("rm /etc/agent/more.yaml")

        let dropIn = "/etc/systemd/system/agent.service.d/test.conf"
        try container.write(dropIn, "[Service]\nEnvironment=TOKEN=none\n")
        try container.check("systemctl daemon-reload && touch -d '2001-01-01' \(dropIn)")
        try container.write(dropIn, "[Service]\nEnvironment=TOKEN=environmentsecret4711\n")
        try expect("warn", "unit.reload", "agent.service", advice: "systemctl daemon-reload")

        // What goes out of the house knows the drop-in and not its secret.
        try container.check(
            "systemctl daemon-reload && systemctl restart agent && cd /root && agentctl support-bundle b.tgz"
        )
        try container.check("mkdir /root/b && tar xzf /root/b.tgz -C /root/b --strip-components=1")
        #expect(try container.shell("grep -r environmentsecret /root/b").standardOutput == "")
        #expect(try container.shell("grep -c test.conf /root/b/systemd-cat.txt").code == 0)
        #expect(try container.shell("grep 'agentd.*started' /root/b/journal.txt").code == 0)

        try container.check("rm /run/systemd/journal/socket")
        #expect(try examine(container, "warn").contains { $0.id == "journal.socket" })

        try container.write(dropIn, "[Service]\nExecStart=\nExecStart=/bin/false\nRestart=no\n")
        _ = try container.shell("systemctl daemon-reload; systemctl restart agent")
        try expect("fail", "unit.failed", "agent.service", advice: "journalctl -u agent.service")
    }
}

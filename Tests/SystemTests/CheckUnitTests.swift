internal import Foundation
import TestSupport
import Testing

/// Checks that do what they must not, in the unit that systemd starts for each.
@Suite("Checks under a real systemd", .serialized, .enabled(if: mayBootContainers))
struct CheckUnitTests {
    private let host: Host

    init() throws {
        host = try Host()
        try host.container.write(
            "/etc/agent/agent.yaml",
            """
            workers: 2
            sources:
              app:
                url: http://127.0.0.1:8080/app.json
                poll: 1h
                guard: {check: {command: [/srv/check.sh], timeout: 1500ms}}
            """
        )
        try check("#!/bin/sh\nexit 0\n")
    }

    private func check(_ text: String) throws {
        try host.container.write("/srv/check.sh", text)
        try host.container.check("chmod 755 /srv/check.sh")
    }

    private func refresh() throws -> JSONValue {
        // Refused, it ends with 1.
        let output = try host.container.run("agentctl", "-o", "json", "refresh")
        return try JSONValue(parsing: output.standardOutput)["sources"]["app"]
    }

    @Test("The unit raises no complaint, and little is left exposed")
    func unit() throws {
        let unit = "/lib/systemd/system/agent-check@.service"
        let verify = try host.container.shell("systemd-analyze verify \(unit)")
        #expect(verify.code == 0 && (verify.standardOutput + verify.standardError).isEmpty, "\(verify)")
        let security = try host.container.shell(
            "systemd-analyze security --no-pager --offline=true --threshold=10 \(unit)"
        )
        #expect(security.code == 0, "\(security)")
    }

    @Test("Whatever a check tries, the unit holds it, and the agent is not disturbed")
    func held() throws {
        let container = host.container
        try host.start()
        #expect(try container.check("stat -c '%a %U' /run/agent/check.sock") == "600 agent")
        let pid = try container.property("MainPID", of: "agent")
        var version = 1
        for hostile in HostileCheck.all {
            try check(hostile.text(secret: "/var/lib/agent/generation", port: 8080, socket: "/run/agent/control.sock"))
            version += 1
            try host.publish(version)
            let outcome = try refresh()
            if hostile.reasons.isEmpty {
                #expect(outcome["outcome"].string == "published", "\(hostile): \(outcome)")
            } else {
                #expect(outcome["error"]["code"].string == "refused", "\(hostile): \(outcome)")
                let listed = try container.check("agentctl quarantine")
                #expect(hostile.reasons.contains { listed.contains($0) }, "\(hostile): \(listed)")
                #expect(try container.check("agentctl get version") != "\(version)", "\(hostile)")
            }
            try waitUntil("all that \(hostile) started to be gone") {
                let left = try container.shell("pgrep -f -a '^\(HostileCheck.mark)'").standardOutput
                let units = try container.check("systemctl list-units --no-legend 'agent-check@*'")
                return left.isEmpty && units.isEmpty
            }
            try check("#!/bin/sh\nexit 0\n")
            version += 1
            try host.publish(version)
            #expect(try refresh()["outcome"].string == "published", "after \(hostile)")
            #expect(try container.check("agentctl get version") == "\(version)")
        }
        #expect(try container.property("MainPID", of: "agent") == pid)
        #expect(try container.run("agentctl", "status").code == 0)
        // What an operator tries by hand is checked by the same unit.
        try check("#!/bin/sh\necho not today; exit 1\n")
        try container.write("/srv/draft.json", #"{"version": 0}"#)
        let tried = try container.run("agentctl", "check", "/srv/draft.json", "--source", "app")
        #expect(tried.code == 1 && tried.standardOutput.contains("not today"), "\(tried)")
    }

    @Test("Without the unit no document passes, and the agent says what to do")
    func withoutUnit() throws {
        let container = host.container
        try host.start()
        try container.check("systemctl stop agent-check.socket && systemctl mask --runtime agent-check.socket")
        try host.publish(2)
        let outcome = try refresh()
        #expect(outcome["error"]["code"].string == "check_not_run", "\(outcome)")
        #expect(outcome["error"]["hint"].string?.contains("systemctl start agent-check.socket") == true)
        #expect(try container.check("agentctl get version") == "1")
        try container.check("systemctl unmask --runtime agent-check.socket && systemctl start agent-check.socket")
        try waitUntil("it is taken") { try refresh()["outcome"].string != "failed" }
        #expect(try container.check("agentctl get version") == "2")
    }
}

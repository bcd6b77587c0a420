internal import Foundation
import TestSupport
import Testing

/// A booted Debian with the agent installed as `make install` does it, and an nginx of its own as the origin.
///
/// Nothing but what an operator has is used inside: systemctl, journalctl, agentctl, curl.
final class Host: Sendable {
    let container: Container

    private static let stage = Result { () throws -> TemporaryDirectory in
        let stage = try TemporaryDirectory(prefix: "agent-stage")
        try Program.check(["make", "--no-print-directory", "-C", Workspace.root, "install", "DESTDIR=\(stage.path)"])
        return stage
    }

    /// Sources beside `app`, each with a key of its own, so that a change of all makes a publication for each.
    private let extras: [String]

    /// - Parameter locks: The agent's own settings of that name.
    init(locks: String = "{report: 60s, warn_wait: 10ms}", extraSources: Int = 0) throws {
        extras = (0..<extraSources).map { "extra\($0)" }
        container = try Container(stage: try Self.stage.get().path)
        // What a package does after it was unpacked.
        try container.check(
            """
            systemd-sysusers && systemd-tmpfiles --create config-agent.conf && journalctl --update-catalog \
            && systemctl daemon-reload
            """
        )
        try container.write(
            "/srv/origin/nginx.conf",
            """
            daemon off;
            pid /run/origin.pid;
            error_log stderr;
            events {}
            http {
                access_log off;
                types { application/json json; }
                server { listen 127.0.0.1:8080; root /srv/origin/files; }
            }
            """
        )
        try publish(1)
        try container.check("systemd-run --quiet --unit=origin nginx -c /srv/origin/nginx.conf")
        let names = ["app"] + extras
        let sources = names.map { "  \($0):\n    url: http://127.0.0.1:8080/\($0).json\n    poll: 1s\n" }.joined()
        let layers = names.joined(separator: ", ")
        try container.write(
            "/etc/agent/agent.yaml",
            "workers: 2\nsources:\n\(sources)layers: [\(layers)]\nlocks: \(locks)\n"
        )
    }

    /// Changes every document at the origin. nginx tells versions of the same second apart by their size only.
    func publish(_ version: Int) throws {
        let text = String(repeating: "x", count: version % 500)
        try container.write("/srv/origin/files/app.json", #"{"version": \#(version), "padding": "\#(text)"}"#)
        for name in extras {
            let body = #"{"\#(name)": {"version": \#(version), "padding": "\#(text)"}}"#
            try container.write("/srv/origin/files/\(name).json", body)
        }
    }

    func start() throws {
        let output = try container.shell("systemctl start agent", timeout: .seconds(30))
        guard output.code == 0 else {
            let records = try container.shell("journalctl --no-pager -u agent -n 50").standardOutput
            throw ProgramFailed(description: "systemctl start agent: \(output)\n\(records)")
        }
    }

    func isActive(_ unit: String = "agent") throws -> String {
        try container.run("systemctl", "is-active", unit).standardOutput
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func waitForVersion(_ version: Int, deadline: Duration = .seconds(15)) throws {
        try waitUntil("version \(version)", deadline: deadline) {
            try container.check("agentctl get version") == "\(version)"
        }
    }

    var statusSocket: Endpoint { .unix(container.path("/run/agent/status.sock")) }
    var configSocket: Endpoint { .unix(container.path("/run/agent/config.sock")) }
    var controlSocket: Endpoint { .unix(container.path("/run/agent/control.sock")) }

    func status() throws -> JSONValue { try HTTPClient.send("GET", "/v1/status", to: statusSocket).json() }
}

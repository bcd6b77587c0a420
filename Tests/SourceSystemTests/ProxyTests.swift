import Foundation
import TestSupport
import Testing

/// A real proxy whose password changes. A libcurl that does not compare passwords before it uses a tunnel again fails
/// this: one without the fix of CVE-2026-3784, which is in 8.19, and in Debian's 7.88.1-10+deb12u15. There a tunnel that is
/// open is used for ten minutes at most.
@Suite("A proxy that wants to know who comes")
struct ProxyTests {
    /// Counts those who came through as far as the proxy let them.
    private func tunnels(_ log: String) -> Int { readText(log).components(separatedBy: "CONNECT 127.0.0.1").count - 1 }

    @Test("A tunnel that was opened with another password than the one of now is not used any more")
    func password() throws {
        let certificates = try Certificates()
        let root = try TemporaryDirectory(prefix: "proxy")
        try root.write("app.json", #"{"greeting": "through"}"#)
        let tlsPort = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: tlsPort, root: root.path))
        defer { nginx.stop() }
        let port = try freePort()
        let log = root.path("proxy.log")
        try root.write(
            "tinyproxy.conf",
            """
            Port \(port)
            Listen 127.0.0.1
            Timeout 60
            LogFile "\(log)"
            LogLevel Connect
            MaxClients 20
            BasicAuth agent right-one
            """
        )
        let proxy = try Program(
            ["/usr/bin/tinyproxy", "-d", "-c", root.path("tinyproxy.conf")],
            log: root.path("output.log")
        )
        defer { proxy.stop() }
        let password = try root.write("password", "right-one\n")
        let source = SourceSettings(
            url: "https://127.0.0.1:\(tlsPort)/app.json",
            more: [
                "proxy: {url: http://127.0.0.1:\(port), user: agent, password: {file: \(password)}}",
                "tls: {ca: \(certificates.authority)}", "retry: {base: 100ms, max: 1s}",
            ]
        )
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        #expect(try agent.value("greeting").line == "\"through\"")
        func failures() throws -> Int { try agent.status()["sources"]["app"]["consecutive_failures"].int ?? 0 }
        let opened = tunnels(log)
        let asked = try agent.requests("app")
        try waitUntil("some polls", deadline: .seconds(20)) { try agent.requests("app") >= asked + 3 }
        #expect(tunnels(log) == opened, "one tunnel serves them all")

        try root.write("password", "wrong-one\n")
        try waitUntil("the proxy to refuse", deadline: .seconds(30)) { try failures() > 0 }
        let error = try agent.status()["sources"]["app"]["last_error"]
        #expect(error["code"].string == "bad_response", "\(error)")
        // tinyproxy says 401 where 407 would be right.
        #expect(error["message"].string?.contains("CONNECT") == true, "\(error)")
        #expect(error["hint"].string?.contains("proxy") == true, "\(error)")
        #expect(try agent.value("greeting").line == "\"through\"")
        try root.write("password", "right-one\n")
        try waitUntil("the way through", deadline: .seconds(30)) { try failures() == 0 }
        for text in [agent.log, "\(try agent.status())"] { #expect(!text.contains("-one")) }
    }
}

extension AgentProcess {
    fileprivate func requests(_ source: String) throws -> Int {
        let report = try HTTPClient.send("GET", "/v1/sources", to: statusSocket).json()
        return report["sources"].array.first { $0["name"].string == source }?["requests"].int ?? 0
    }
}

internal import Foundation
import TestSupport
import Testing

/// The ways to a source, each with a real server or a real file at its end.
@Suite("Transports", .enabled(if: mayUseNginx))
struct TransportTests {
    @Test("A certificate is believed only when its authority is trusted")
    func tls() throws {
        let certificates = try Certificates()
        let root = try TemporaryDirectory(prefix: "tls-root")
        try root.write("app.json", #"{"greeting": "over TLS"}"#)
        let port = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: port, root: root.path))
        defer { nginx.stop() }
        let url = "https://127.0.0.1:\(port)/app.json"
        let trusting = SourceSettings(url: url, more: ["tls: {ca: \(certificates.authority)}"])
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": trusting]))
        #expect(try agent.control("get", "greeting").standardOutput == "\"over TLS\"\n")

        let doubting = try AgentProcess(AgentSettings(sources: ["app": .init(url: url)]))
        let error = try waitFor("a refusal", deadline: .seconds(20)) {
            let error = try? doubting.status()["sources"]["app"]["last_error"]
            return error?["code"].string == nil ? nil : error
        }
        #expect(error["code"].string == "certificate", "\(error)")
        #expect(try doubting.status()["generation"].int == 0)
        #expect(try doubting.control("status").code == 1)
    }

    @Test("A redirect is followed only when allowed, and as often as allowed")
    func redirects() throws {
        let port = try freePort()
        let root = try TemporaryDirectory(prefix: "redirect-root")
        try root.write("app.json", #"{"greeting": "found"}"#)
        let nginx = try Nginx(
            extraServers: """
                server {
                    listen 127.0.0.1:\(port);
                    root \(root.path);
                    access_log off;
                    location = /moved.json { return 302 /app.json; }
                    location = /loop.json { return 302 /loop.json; }
                    location = /file.json { return 302 file://\(root.path)/app.json; }
                }
                """
        )
        defer { nginx.stop() }
        let base = "http://127.0.0.1:\(port)"
        let sources: [String: SourceSettings] = [
            "allowed": .init(url: "\(base)/moved.json", more: ["max_redirects: 1"]),
            "refused": .init(url: "\(base)/moved.json", more: ["required: false"]),
            "loop": .init(url: "\(base)/loop.json", more: ["required: false", "max_redirects: 3"]),
            "file": .init(url: "\(base)/file.json", more: ["required: false", "max_redirects: 3"]),
        ]
        let agent = try AgentProcess.ready(AgentSettings(sources: sources))
        #expect(try agent.control("get", "greeting").standardOutput == "\"found\"\n")
        for (name, code) in [("refused", "redirect"), ("loop", "redirect")] {
            try waitUntil("\(name) to be told", deadline: .seconds(20)) {
                try agent.status()["sources"][name]["last_error"]["code"].string == code
            }
        }
        try waitUntil("the redirect to a file to be refused", deadline: .seconds(20)) {
            try agent.status()["sources"]["file"]["last_error"]["code"].string != nil
        }
        #expect(try agent.status()["sources"]["file"]["revision"].string == nil)
    }

    @Test("HTTP over a Unix socket, validated by Last-Modified where there is no ETag")
    func unixSocket() throws {
        let root = try TemporaryDirectory(prefix: "unix-root")
        try root.write("app.json", #"{"greeting": "one"}"#)
        let socket = root.path("origin.sock")
        let nginx = try Nginx(
            extraServers: """
                server {
                    listen unix:\(socket);
                    root \(root.path);
                    etag off;
                    access_log \(root.path("access.log"));
                }
                """
        )
        defer { nginx.stop() }
        let source = SourceSettings(url: "http://origin/app.json", more: ["unix_socket: \(socket)"])
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        #expect(try agent.control("get", "greeting").standardOutput == "\"one\"\n")
        try waitUntil("a 304", deadline: .seconds(20)) { readText(root.path("access.log")).contains(" 304 ") }
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
    }

    @Test("A file, replaced by rename and edited in place; one that is gone leaves the values")
    func file() throws {
        let directory = try TemporaryDirectory(prefix: "file-source")
        let path = try directory.write("app.yaml", "greeting: one\n")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": .init(url: "file://\(path)")]))
        func waitForGreeting(_ value: String) throws {
            try waitUntil(value, deadline: .seconds(20)) {
                try agent.control("get", "greeting").standardOutput == "\"\(value)\"\n"
            }
        }
        try waitForGreeting("one")
        try directory.write("app.yaml", "greeting: two\n")
        try waitForGreeting("two")
        try FileManager.default.removeItem(atPath: path)
        try waitUntil("the loss to be told", deadline: .seconds(20)) {
            try agent.status()["sources"]["app"]["last_error"]["code"].string == "cannot_read"
        }
        try waitForGreeting("two")
        #expect(try agent.control("status").code == 1)
        try directory.write("app.yaml", "greeting: three\n")
        try waitForGreeting("three")
        try waitUntil("health", deadline: .seconds(20)) { try agent.control("status").code == 0 }
    }
}

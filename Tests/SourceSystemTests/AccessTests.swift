import Foundation
import TestSupport
import Testing

/// Who the agent is to a real server, whom it believes, and what lies in between.
@Suite("Access to a real server")
struct AccessTests {
    private func waitForError(_ agent: AgentProcess, _ code: String) throws -> JSONValue {
        try waitFor("the error \(code)", deadline: .seconds(30)) {
            let error = try agent.status()["sources"]["app"]["last_error"]
            return error["code"].string == code ? error : nil
        }
    }

    private func waitForGreeting(_ agent: AgentProcess, _ text: String) throws {
        try waitUntil("the greeting \(text)", deadline: .seconds(30)) {
            try agent.value("greeting").line == "\"\(text)\""
        }
    }

    private let quickly = "retry: {base: 100ms, max: 1s}"

    @Test("A token in a file that has changed is taken up without a reload, and without what else was edited")
    func token() throws {
        let root = try TemporaryDirectory(prefix: "token")
        try root.write("app.json", #"{"greeting": "hello"}"#)
        let port = try freePort()
        let nginx = try Nginx(
            extraServers: """
                server {
                    listen 127.0.0.1:\(port);
                    root \(root.path);
                    access_log off;
                    if ($http_authorization != "Bearer second-token") { return 401; }
                }
                """
        )
        defer { nginx.stop() }
        let token = try root.write("token", "first-token\n")
        let source = SourceSettings(
            url: "http://127.0.0.1:\(port)/app.json",
            more: ["auth: {token: {file: \(token)}}", quickly]
        )
        let agent = try AgentProcess(AgentSettings(sources: ["app": source]))
        let error = try waitForError(agent, "http_status")
        #expect(error["message"].string?.contains("401") == true)
        // A thought of the operator's that is not finished yet.
        let configuration = readText(agent.directory.path("agent.yaml"))
        try agent.directory.write("agent.yaml", configuration + "nonsense: true\n")
        try root.write("token", "second-token\n")
        try waitForGreeting(agent, "hello")
        let record = "files that the configuration names have changed: changed app (auth)"
        try waitUntil("the record") { agent.log.contains(record) }
        // One that cannot be read changes nothing but is told.
        try FileManager.default.removeItem(atPath: token)
        try waitUntil("the loss to be told", deadline: .seconds(20)) { agent.log.contains("cannot be read") }
        #expect(try agent.refresh().status == 200)
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
        for text in [
            agent.log, "\(try agent.status())", try agent.control("sources", "--explain", "app").standardOutput,
        ] {
            #expect(!text.contains("first-token") && !text.contains("second-token"))
        }
    }

    @Test("A client certificate is shown, and the next one after it was renewed; without one there is nothing")
    func clientCertificate() throws {
        let certificates = try Certificates()
        try certificates.issue("client")
        let others = try Certificates()
        try others.issue("client")
        let root = try TemporaryDirectory(prefix: "mtls")
        try root.write("app.json", #"{"greeting": "to a friend"}"#)
        let port = try freePort()
        let nginx = try Nginx(
            extraServers: certificates.server(
                port: port,
                root: root.path,
                "access_log off; ssl_verify_client on; ssl_client_certificate \(certificates.authority);"
            )
        )
        defer { nginx.stop() }
        let url = "https://127.0.0.1:\(port)/app.json"
        // Another authority's at first.
        let pair = try TemporaryDirectory(prefix: "pair")
        func install(_ from: Certificates) throws {
            try pair.write("client.pem", readText(from.certificate("client")))
            try pair.write("client.key", readText(from.key("client")))
        }
        try install(others)
        let tls = "ca: \(certificates.authority), cert: \(pair.path("client.pem")), key: \(pair.path("client.key"))"
        let agent = try AgentProcess(
            AgentSettings(sources: ["app": SourceSettings(url: url, more: ["tls: {\(tls)}", quickly])])
        )
        let error = try waitForError(agent, "http_status")
        #expect(error["message"].string?.contains("400") == true)
        try install(certificates)
        try waitForGreeting(agent, "to a friend")
        try install(others)
        try waitUntil("failures again", deadline: .seconds(30)) {
            try agent.status()["sources"]["app"]["consecutive_failures"].int ?? 0 > 0
        }
        try waitForGreeting(agent, "to a friend")
    }

    @Test(
        "A certificate that has expired or is another's, a TLS that is too old, and one who wants to see a certificate"
    )
    func refused() throws {
        let certificates = try Certificates()
        try certificates.issue("expired", daysAgo: 10)
        try certificates.issue("elsewhere", for: "127.0.0.9")
        let root = try TemporaryDirectory(prefix: "refused")
        try root.write("app.json", #"{"greeting": "hello"}"#)
        let ports = try (0..<4).map { _ in try freePort() }
        let client = "access_log off; ssl_verify_client on; ssl_client_certificate \(certificates.authority);"
        // The lowest level of security: what else would keep OpenSSL from offering the old protocol is not meant here.
        let old = "access_log off; ssl_ciphers DEFAULT:@SECLEVEL=0;"
        let servers = [
            certificates.server(port: ports[0], root: root.path, certificate: "expired"),
            certificates.server(port: ports[1], root: root.path, certificate: "elsewhere"),
            certificates.server(port: ports[2], root: root.path, protocols: "TLSv1.1", old),
            certificates.server(port: ports[3], root: root.path, client),
        ]
        let nginx = try Nginx(extraServers: servers.joined(separator: "\n"))
        defer { nginx.stop() }
        // The old protocol is there for who wants it: what refuses it is the agent.
        let spoken = try Program.check([
            "sh", "-c",
            "openssl s_client -connect 127.0.0.1:\(ports[2]) -tls1_1 -cipher DEFAULT:@SECLEVEL=0 </dev/null 2>/dev/null",
        ])
        #expect(spoken.contains("TLSv1.1"))
        let names = ["expired", "elsewhere", "old", "shy"]
        var sources: [String: SourceSettings] = [:]
        for (name, port) in zip(names, ports) {
            sources[name] = SourceSettings(
                url: "https://127.0.0.1:\(port)/app.json",
                more: ["tls: {ca: \(certificates.authority)}", "required: false", quickly]
            )
        }
        sources["good"] = SourceSettings(url: "file://\(root.path("app.json"))")
        let agent = try AgentProcess.ready(AgentSettings(sources: sources))
        let expected = [
            ("expired", "certificate", "expired"), ("elsewhere", "certificate", "127.0.0.1"),
            ("old", "tls", "protocol"),
            ("shy", "http_status", "400"),
        ]
        for (name, code, words) in expected {
            let error = try waitFor("the error of \(name)", deadline: .seconds(30)) {
                let error = try agent.status()["sources"][name]["last_error"]
                return error["code"].string == nil ? nil : error
            }
            #expect(error["code"].string == code, "\(name)")
            #expect(error["message"].string?.contains(words) == true, "\(name): \(error["message"].string ?? "")")
        }
        #expect(try agent.value("greeting").line == "\"hello\"")
    }

    @Test("An authority that is not trusted any more ends the trust in connections that are open")
    func authority() throws {
        let certificates = try Certificates()
        let others = try Certificates()
        let root = try TemporaryDirectory(prefix: "ca")
        try root.write("app.json", #"{"greeting": "trusted"}"#)
        let port = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: port, root: root.path))
        defer { nginx.stop() }
        let bundle = try root.write("bundle.pem", readText(certificates.authority))
        let source = SourceSettings(
            url: "https://127.0.0.1:\(port)/app.json",
            more: ["tls: {ca: \(bundle)}", quickly]
        )
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        try root.write("bundle.pem", readText(others.authority))
        _ = try waitForError(agent, "certificate")
        try waitForGreeting(agent, "trusted")
        try root.write("bundle.pem", readText(certificates.authority) + readText(others.authority))
        let before = try agent.status()["sources"]["app"]["last_success"].string
        try waitUntil("trust again", deadline: .seconds(30)) {
            try agent.status()["sources"]["app"]["last_success"].string != before
        }
        // And one that is gone for a moment takes nothing away.
        try FileManager.default.removeItem(atPath: bundle)
        try waitUntil("the loss to be told", deadline: .seconds(20)) {
            agent.log.contains("bundle.pem cannot be read: No such file or directory")
        }
        let later = try agent.status()["sources"]["app"]["last_success"].string
        try waitUntil("another poll", deadline: .seconds(20)) {
            try agent.status()["sources"]["app"]["last_success"].string != later
        }
    }

    @Test("Where 'tls.ca' names authorities, those of the system are not believed", .enabled(if: geteuid() == 0))
    func onlyOwnAuthority() throws {
        let certificates = try Certificates()
        let others = try Certificates()
        let root = try TemporaryDirectory(prefix: "system-ca")
        try root.write("app.json", #"{"greeting": "who are you"}"#)
        let port = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: port, root: root.path))
        defer { nginx.stop() }
        for name in ["run", "state", "certs"] { try createDirectory(root.path(name)) }
        // The server's authority is among the system's, as anybody's may be.
        try root.write("certs/authority.pem", readText(certificates.authority))
        try root.write("certs/ca-certificates.crt", readText(certificates.authority))
        try Program.check(["openssl", "rehash", root.path("certs")])
        let url = "https://127.0.0.1:\(port)/app.json"
        let sources = [
            "own": SourceSettings(url: url, more: ["tls: {ca: \(others.authority)}", "required: false", quickly]),
            "system": SourceSettings(url: url, more: [quickly]),
        ]
        let configuration = try root.write("agent.yaml", AgentSettings(sources: sources).yaml(in: root.path))
        let script = "mount --bind \(root.path("certs")) /etc/ssl/certs && exec \"$@\""
        let program = try Program(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
                + [AgentProcess.path(of: "agentd"), "--config", configuration],
            environment: ["NOTIFY_SOCKET": "", "JOURNAL_STREAM": ""],
            log: root.path("agent.log")
        )
        defer { program.stop() }
        func source(_ name: String) -> JSONValue? {
            (try? HTTPClient.send("GET", "/v1/status", to: .unix(root.path("run/status.sock"))).json())?["sources"][
                name
            ]
        }
        try waitUntil("the system's to be believed by the one", deadline: .seconds(30)) {
            source("system")?["state"].string == "fresh"
        }
        try waitUntil("and refused by the other", deadline: .seconds(30)) {
            source("own")?["last_error"]["code"].string == "certificate"
        }
        #expect(source("own")?["last_success"].string == nil)
    }

    @Test("A server with another key than those pinned is refused, whatever its certificate says")
    func pins() throws {
        let certificates = try Certificates()
        try certificates.issue("other")
        let root = try TemporaryDirectory(prefix: "pins")
        try root.write("app.json", #"{"greeting": "pinned"}"#)
        let port = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: port, root: root.path))
        defer { nginx.stop() }
        func settings(_ pin: String) -> AgentSettings {
            let tls = "tls: {ca: \(certificates.authority), pin: \(pin)}"
            let source = SourceSettings(url: "https://127.0.0.1:\(port)/app.json", more: [tls, quickly])
            return AgentSettings(sources: ["app": source])
        }
        let good = try AgentProcess.ready(
            settings("[\"\(try certificates.pin("other"))\", \"\(try certificates.pin("server"))\"]")
        )
        try waitForGreeting(good, "pinned")
        let bad = try AgentProcess(settings("\"\(try certificates.pin("other"))\""))
        let error = try waitForError(bad, "certificate")
        #expect(error["hint"].string?.contains("pin") == true, "\(error)")
        #expect(try bad.status()["generation"].int == 0)
    }

    @Test("Basic authentication, and an ETag that gzip made weak is given back as it came")
    func basic() throws {
        let root = try TemporaryDirectory(prefix: "basic")
        let path = try root.write("app.json", #"{"greeting": "\#(String(repeating: "hello ", count: 200))"}"#)
        try FileManager.default.setAttributes([.modificationDate: Date.now - 60], ofItemAtPath: path)
        try root.write("users", "agent:{PLAIN}open sesame\n")
        let port = try freePort()
        let nginx = try Nginx(
            extraServers: """
                log_format basic '$status $remote_user $http_if_none_match $sent_http_etag $sent_http_content_encoding';
                server {
                    listen 127.0.0.1:\(port);
                    root \(root.path);
                    auth_basic "documents";
                    auth_basic_user_file \(root.path("users"));
                    access_log \(root.path("access.log")) basic;
                }
                """
        )
        defer { nginx.stop() }
        let source = SourceSettings(
            url: "http://127.0.0.1:\(port)/app.json",
            more: ["auth: {user: agent, password: open sesame}"]
        )
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let lines = try waitFor("a 304", deadline: .seconds(20)) {
            let lines = readText(root.path("access.log")).split(separator: "\n").map(String.init)
            return lines.contains { $0.hasPrefix("304 ") } ? lines : nil
        }
        let first = try #require(lines.first?.split(separator: " ").map(String.init))
        #expect(first[1] == "agent")
        #expect(first[3].hasPrefix("W/") && first[4] == "gzip", "\(first)")
        let unchanged = try #require(lines.first { $0.hasPrefix("304 ") }?.split(separator: " ").map(String.init))
        #expect(unchanged[2] == first[3])
        #expect(!agent.log.contains("sesame"))
    }

    @Test("Over HTTP/2 twenty sources share a connection")
    func http2() throws {
        let certificates = try Certificates()
        let root = try TemporaryDirectory(prefix: "h2")
        for number in 0..<20 { try root.write("s\(number).json", #"{"k\#(number)": \#(number)}"#) }
        let port = try freePort()
        let nginx = try Nginx(
            extraServers: "log_format h2 '$connection $server_protocol $request_uri';"
                + certificates.server(port: port, root: root.path, "access_log \(root.path("access.log")) h2;")
        )
        defer { nginx.stop() }
        let sources = (0..<20).map { number in
            let url = "https://127.0.0.1:\(port)/s\(number).json"
            return ("s\(number)", SourceSettings(url: url, more: ["tls: {ca: \(certificates.authority)}"]))
        }
        let agent = try AgentProcess.ready(AgentSettings(sources: Dictionary(uniqueKeysWithValues: sources)))
        for number in 0..<20 { #expect(try agent.value("k\(number)").line == "\(number)") }
        let lines = readText(root.path("access.log")).split(separator: "\n").map { $0.split(separator: " ") }
        #expect(lines.count >= 20)
        #expect(lines.allSatisfy { $0[1] == "HTTP/2.0" })
        #expect(Set(lines.map { $0[0] }).count == 1)
        // The handshake that they share was timed at one of them.
        let report = try HTTPClient.send("GET", "/v1/sources", to: agent.statusSocket).json()
        let handshakes = report["sources"].array.compactMap { $0["timings"]["tls"]["count"].int }.reduce(0, +)
        #expect(handshakes == 1)
        #expect(try agent.control("sources").standardOutput.contains("TLS "))
    }

    // MARK: In between

    @Test("A proxy is used where it is configured, over HTTPS as a tunnel, and never by the environment's wish")
    func proxy() throws {
        let certificates = try Certificates()
        let root = try TemporaryDirectory(prefix: "proxy")
        try root.write("app.json", #"{"greeting": "through"}"#)
        let tlsPort = try freePort()
        let nginx = try Nginx(extraServers: certificates.server(port: tlsPort, root: root.path))
        defer { nginx.stop() }
        try nginx.files.write("plain.json", #"{"plain": "through"}"#)
        let port = try freePort()
        try root.write(
            "tinyproxy.conf",
            """
            Port \(port)
            Listen 127.0.0.1
            Timeout 20
            LogFile "\(root.path("proxy.log"))"
            LogLevel Connect
            MaxClients 20
            BasicAuth agent pr0xy-secret
            """
        )
        let proxy = try Program(
            ["/usr/bin/tinyproxy", "-d", "-c", root.path("tinyproxy.conf")],
            log: root.path("output.log")
        )
        defer { proxy.stop() }
        let setting = "proxy: {url: http://127.0.0.1:\(port), user: agent, password: pr0xy-secret}"
        let sources: [String: SourceSettings] = [
            "app": SourceSettings(
                url: "https://127.0.0.1:\(tlsPort)/app.json",
                more: [setting, "tls: {ca: \(certificates.authority)}", quickly]
            ),
            "plain": SourceSettings(url: nginx.url("/plain.json"), more: [setting, quickly]),
            "direct": SourceSettings(url: nginx.url("/plain.json"), more: [quickly]),
            "wrong": SourceSettings(
                url: nginx.url("/plain.json"),
                more: ["proxy: {url: http://127.0.0.1:\(port), user: agent, password: no}", "required: false", quickly]
            ),
        ]
        let hostile = [
            "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1",
            "NO_PROXY": "*", "no_proxy": "*",
        ]
        let agent = try AgentProcess(AgentSettings(sources: sources), environment: hostile)
        try agent.waitUntilReady()
        try waitForGreeting(agent, "through")
        #expect(try agent.value("plain").line == "\"through\"")
        let log = readText(root.path("proxy.log"))
        #expect(log.contains("CONNECT 127.0.0.1:\(tlsPort)"), "\(log)")
        #expect(log.contains("GET http://127.0.0.1:\(nginx.port)/plain.json"))
        let error = try waitFor("the proxy's refusal", deadline: .seconds(20)) {
            let error = try agent.status()["sources"]["wrong"]["last_error"]
            return error["code"].string == nil ? nil : error
        }
        // tinyproxy says 401 where 407 would be right.
        #expect(error["message"].string?.contains("HTTP status 40") == true, "\(error)")
        #expect(error["hint"].string?.contains("'proxy'") == true, "\(error)")
        for text in [agent.log, "\(try agent.status())"] { #expect(!text.contains("pr0xy-secret")) }
    }

    @Test("Behind a load balancer whose servers are all down, what was good stays; with them it comes back")
    func loadBalancer() throws {
        let root = try TemporaryDirectory(prefix: "haproxy")
        let port = try freePort()
        let backend = try freePort()
        try root.write(
            "haproxy.cfg",
            """
            defaults
                mode http
                timeout connect 1s
                timeout client 20s
                timeout server 20s
                retries 0
            listen documents
                bind 127.0.0.1:\(port)
                server one 127.0.0.1:\(backend)

            """
        )
        let files = try TemporaryDirectory(prefix: "haproxy-files")
        try files.write("app.json", #"{"greeting": "balanced"}"#)
        let block = "server { listen 127.0.0.1:\(backend); root \(files.path); access_log off; }"
        var nginx: Nginx? = try Nginx(extraServers: block)
        let balancer = try Program(
            ["/usr/sbin/haproxy", "-db", "-f", root.path("haproxy.cfg")],
            log: root.path("output.log")
        )
        defer { balancer.stop() }
        let source = SourceSettings(url: "http://127.0.0.1:\(port)/app.json", more: [quickly])
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        try waitForGreeting(agent, "balanced")
        nginx?.stop()
        nginx = nil
        let error = try waitForError(agent, "http_status")
        #expect(error["message"].string?.contains("503") == true, "\(error)")
        try waitForGreeting(agent, "balanced")
        try files.write("app.json", #"{"greeting": "balanced again"}"#)
        nginx = try Nginx(extraServers: block)
        try waitForGreeting(agent, "balanced again")
        try waitUntil("health", deadline: .seconds(30)) { try agent.control("status").code == 0 }
        nginx?.stop()
    }
}

import Foundation
import TestSupport
import Testing

/// What stands between the agent and its origin does wrong, with the real program: names, and certificates. As with
/// ``OriginFaultTests``: what it costs, what stays, and that it is over when it is over.
@Suite("What stands between an agent and its origin", .serialized)
struct SurroundingFaultTests {
    private static let maxBytes = 4 << 20

    /// One source that is asked when somebody says so.
    private func settings(_ url: String, _ more: [String] = []) -> AgentSettings {
        let quiet = ["timeout: 2s", "retry: {base: 1h, max: 1h}"]
        let source = SourceSettings(url: url, poll: "1h", maxBytes: "\(Self.maxBytes)", more: quiet + more)
        return AgentSettings(sources: ["app": source])
    }

    /// Has the agent ask while something is wrong, and again when it is not.
    private func play(
        _ name: String,
        _ agent: AgentProcess,
        idle: Int,
        expected code: String,
        saying words: String = "",
        fail: () throws -> Void,
        mend: (String) throws -> Void
    ) throws {
        let before = try agent.value("version").line
        try fail()
        try agent.forgetPeakMemory()
        let outcome = try agent.refresh("app").json()["sources"]["app"]
        #expect(outcome["error"]["code"].string == code, "\(name): \(outcome)")
        let said = (outcome["error"]["message"].string ?? "") + (outcome["error"]["hint"].string ?? "")
        #expect(words.isEmpty || said.contains(words), "\(name): \(said)")
        let peak = try agent.peakMemory()
        #expect(peak <= idle + 2 * Self.maxBytes + 8 << 20, "\(name): \((peak - idle) >> 10) KiB more than when idle")
        #expect(try agent.value("version").line == before, "\(name)")
        let status = try agent.status()
        #expect(status["sources"]["app"]["state"].string == "failing", "\(name)")
        #expect(status["health"]["level"].string != "healthy", "\(name)")
        let next = "\(name) is over"
        try mend(#"{"version": "\#(next)"}"#)
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published", "after \(name)")
        #expect(try agent.value("version").line == "\"\(next)\"")
        #expect(try agent.status()["health"]["level"].string == "healthy", "after \(name)")
    }

    private func isWell(_ agent: AgentProcess) throws -> Bool {
        try agent.refresh("app").json()["sources"]["app"]["error"]["code"].string == nil
    }

    /// A server, by what it shows and asks for.
    private struct Server {
        let name: String
        let code: String
        let words: String
        let block: String
    }

    @Test("Certificates and TLS: each is named, costs nothing, changes nothing, and leaves nothing behind")
    func certificates() throws {
        let trusted = try Certificates()
        try trusted.issue("expired", daysAgo: 10)
        try trusted.issue("elsewhere", for: "127.0.0.9")
        try trusted.issue("unpinned")
        let unknown = try Certificates()
        let root = try TemporaryDirectory(prefix: "between")
        let port = try freePort()
        func server(_ from: Certificates, _ certificate: String = "server", only: String? = nil, _ more: String = "")
            -> String
        {
            let rest = "access_log off; \(more)"
            let protocols = only ?? "TLSv1.2 TLSv1.3"
            return from.server(port: port, root: root.path, protocols: protocols, certificate: certificate, rest)
        }
        let shy = "ssl_verify_client on; ssl_client_certificate \(trusted.authority);"
        // The port of a server that speaks no TLS at all.
        let plain = "server { listen 127.0.0.1:\(port); root \(root.path); access_log off; }"
        let servers = [
            Server(name: "expired", code: "certificate", words: "expired", block: server(trusted, "expired")),
            Server(name: "another's", code: "certificate", words: "127.0.0.1", block: server(trusted, "elsewhere")),
            Server(name: "unknown authority", code: "certificate", words: "issuer", block: server(unknown)),
            Server(name: "unpinned key", code: "certificate", words: "pin", block: server(trusted, "unpinned")),
            Server(
                name: "old TLS",
                code: "tls",
                words: "protocol",
                block: server(trusted, only: "TLSv1.1", "ssl_ciphers DEFAULT:@SECLEVEL=0;")
            ),
            Server(
                name: "no certificate shown",
                code: "http_status",
                words: "400",
                block: server(trusted, "server", only: nil, shy)
            ),
            Server(name: "no TLS", code: "tls", words: "", block: plain),
        ]
        try root.write("app.json", #"{"version": "first"}"#)
        var nginx = try Nginx(extraServers: server(trusted))
        defer { nginx.stop() }
        func change(to block: String) throws {
            nginx.stop()
            nginx = try Nginx(extraServers: block)
        }
        let tls = "tls: {ca: \(trusted.authority), pin: \"\(try trusted.pin("server"))\"}"
        let agent = try AgentProcess.ready(settings("https://127.0.0.1:\(port)/app.json", [tls]))
        let idle = try agent.residentMemory()
        for fault in servers {
            try play(
                fault.name,
                agent,
                idle: idle,
                expected: fault.code,
                saying: fault.words,
                fail: { try change(to: fault.block) },
                mend: {
                    try root.write("app.json", $0)
                    try change(to: server(trusted))
                }
            )
        }
    }

    @Test(
        "Names: a resolver that is silent, says no, cannot say or is wrong, and changes its mind each time",
        .enabled(if: geteuid() == 0)
    )
    func names() throws {
        let resolver = try NameServer()
        defer { resolver.stop() }
        resolver.answer(.address(127, 0, 0, 1))
        let origin = try HeldOrigin { .document(#"{"version": "first"}"#, to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess(settings("http://origin.test:\(origin.port)/app.json"), by: NameServer.asking)
        try agent.waitUntilReady()
        let idle = try agent.residentMemory()
        let faults: [(name: String, code: String, manner: NameServer.Manner)] = [
            // Where clouds keep the keys of a machine.
            ("metadata", "address_refused", .address(169, 254, 169, 254)),
            ("silent", "timeout", .silent), ("unknown", "resolve", .unknown), ("failing", "resolve", .failing),
            ("no address", "resolve", .noAddress),
            // Nobody listens there.
            ("another machine", "connect", .address(127, 0, 0, 99)), ("silent again", "timeout", .silent),
        ]
        for fault in faults {
            let asked = resolver.questions
            try play(
                fault.name,
                agent,
                idle: idle,
                expected: fault.code,
                // An answer is remembered for a second.
                fail: {
                    resolver.answer(fault.manner)
                    try waitUntil("\(fault.name) to be noticed") { try !isWell(agent) }
                },
                mend: { text in
                    #expect(resolver.questions > asked, "\(fault.name): it was asked")
                    resolver.answer(.address(127, 0, 0, 1))
                    try waitUntil("\(fault.name) to be over") { try isWell(agent) }
                    origin.answer { .document(text, to: $0) }
                }
            )
        }
    }
}

import Foundation
import TestSupport
import Testing

/// The list of what origins do wrong, with the real program: what it costs, and that it is over when it is over.
@Suite("What origins do wrong, to a whole agent")
struct OriginFaultTests {
    private static let maxBytes = 4 << 20

    @Test("Each is named, costs no more than two documents' room, changes nothing, and leaves nothing behind")
    func costs() throws {
        let origin = try HeldOrigin { .document(#"{"version": 1}"#, to: $0) }
        defer { origin.stop() }
        let agent = try AgentProcess.ready(
            AgentSettings(
                sources: [
                    "app": SourceSettings(
                        url: origin.url("/a.json"),
                        poll: "1h",
                        maxBytes: "\(Self.maxBytes)",
                        more: ["timeout: 1s", "max_redirects: 3", "retry: {base: 1h, max: 1h}"]
                    )
                ]
            )
        )
        let idle = try agent.residentMemory()
        var version = 1
        var worst = 0
        for fault in OriginFault.all {
            // What takes long to make is made before anybody waits for it.
            _ = try? fault.reply(OriginRequest(method: "GET", path: "/", headers: [:], number: 0))
            try agent.forgetPeakMemory()
            origin.answer { (try? fault.reply($0)) ?? .http(599) }
            let outcome = try agent.refresh("app").json()["sources"]["app"]
            #expect(outcome["error"]["code"].string == fault.code, "\(fault): \(outcome)")
            let peak = try agent.peakMemory()
            let allowed = idle + 2 * Self.maxBytes + 8 << 20
            worst = max(worst, peak - idle)
            #expect(peak <= allowed, "\(fault): \((peak - idle) >> 10) KiB more than when idle")
            if fault.code != nil {
                #expect(try agent.value("version").line == "\(version)")
                #expect(try agent.status()["sources"]["app"]["state"].string == "failing")
            }
            version += 1
            let text = "{\"version\": \(version)}"
            origin.answer { .document(text, to: $0) }
            #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
            #expect(try agent.value("version").line == "\(version)")
            #expect(try agent.status()["health"]["level"].string == "healthy")
        }
        print("origins' faults: \(idle >> 10) KiB when idle, at most \(worst >> 10) KiB more")
    }

    @Test(
        "A 'not modified' with another document behind it: that is not read, and costs nothing"
    )
    func bodyOfNotModified() throws {
        let origin = try HeldOrigin { _ in .http(200, headers: ["ETag": "\"one\""], body: Array(#"{"v": 1}"#.utf8)) }
        defer { origin.stop() }
        let source = SourceSettings(url: origin.url("/a.json"), maxBytes: "\(Self.maxBytes)")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let idle = try agent.residentMemory()
        try agent.forgetPeakMemory()
        let junk = [UInt8](repeating: 0x20, count: Self.maxBytes) + Array(#"{"v": 666}"#.utf8)
        let head = Array("HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\nContent-Length: \(junk.count)\r\n\r\n".utf8)
        origin.answer { request in
            request.headers["if-none-match"] == nil ? .http(500) : .bytes(head + junk)
        }
        let asked = origin.requests.count
        try waitUntil("some polls") {
            origin.requests.dropFirst(asked).filter { $0.headers["if-none-match"] == "\"one\"" }.count >= 3
        }
        #expect(try agent.value("v").line == "1")
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
        #expect(try agent.peakMemory() <= idle + 2 * Self.maxBytes + 8 << 20)
        origin.answer { _ in .http(200, headers: ["ETag": "\"two\""], body: Array(#"{"v": 2}"#.utf8)) }
        try waitUntil("the next document") { try agent.value("v").line == "2" }
        #expect(try agent.status()["health"]["level"].string == "healthy")
    }

    /// Almost as large as it may be.
    private static func large(_ version: Int) -> [UInt8] {
        let text = String(repeating: "x", count: maxBytes - 100)
        return Array(#"{"version": \#(version), "text": "\#(text)"}"#.utf8)
    }

    @Test("A redirect to another host: it is shown nothing of ours, and where it refuses that is all")
    func elsewhere() throws {
        let other = try HeldOrigin { request in
            let isKnown = request.headers.values.contains { $0.contains("secret") }
            return isKnown ? .http(200, body: Self.large(666)) : .http(401)
        }
        let origin = try HeldOrigin { .document(#"{"version": 1}"#, to: $0) }
        defer {
            origin.stop()
            other.stop()
        }
        let more = [
            "max_redirects: 3", "retry: {base: 1h, max: 1h}", "headers: {X-Api-Key: secret-key}",
            "auth: {token: secret-token}",
        ]
        let source = SourceSettings(url: origin.url("/a.json"), poll: "1h", maxBytes: "\(Self.maxBytes)", more: more)
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let idle = try agent.residentMemory()
        try agent.forgetPeakMemory()
        origin.answer { _ in .http(302, headers: ["Location": other.url("/a.json")]) }
        let outcome = try agent.refresh("app").json()["sources"]["app"]
        #expect(outcome["error"]["code"].string == "http_status", "\(outcome)")
        #expect(other.requests.count == 1)
        #expect(other.requests.allSatisfy { !"\($0.path) \($0.headers)".contains("secret") })
        #expect(origin.requests.allSatisfy { $0.headers["x-api-key"] == "secret-key" })
        #expect(try agent.value("version").line == "1")
        #expect(try agent.status()["sources"]["app"]["state"].string == "failing")
        // One that does not ask who comes is believed, as the redirects were allowed.
        other.answer { _ in .http(200, body: Self.large(2)) }
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
        #expect(try agent.peakMemory() <= idle + 2 * Self.maxBytes + 8 << 20)
        #expect(other.requests.allSatisfy { !"\($0.path) \($0.headers)".contains("secret") })
        origin.answer { .document(#"{"version": 3}"#, to: $0) }
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
        #expect(try agent.value("version").line == "3")
        #expect(try agent.status()["health"]["level"].string == "healthy")
    }

    @Test("One ETag for another document: polls cannot see it, whoever asks for the document does, in its room")
    func sameName() throws {
        /// As of an origin whose ETags say nothing.
        @Sendable func answer(_ body: [UInt8], to request: OriginRequest) -> OriginReply {
            request.headers["if-none-match"] == nil
                ? .http(200, headers: ["ETag": "\"same\""], body: body) : .http(304, headers: ["ETag": "\"same\""])
        }
        let origin = try HeldOrigin { answer(Array(#"{"version": 1}"#.utf8), to: $0) }
        defer { origin.stop() }
        let source = SourceSettings(url: origin.url("/a.json"), maxBytes: "\(Self.maxBytes)")
        let agent = try AgentProcess.ready(AgentSettings(sources: ["app": source]))
        let idle = try agent.residentMemory()
        try agent.forgetPeakMemory()
        let body = Self.large(2)
        origin.answer { answer(body, to: $0) }
        let asked = origin.requests.count
        try waitUntil("some polls") {
            origin.requests.dropFirst(asked).filter { $0.headers["if-none-match"] == "\"same\"" }.count >= 3
        }
        #expect(try agent.value("version").line == "1")
        #expect(try agent.status()["sources"]["app"]["state"].string == "fresh")
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
        #expect(try agent.value("version").line == "2")
        #expect(try agent.peakMemory() <= idle + 2 * Self.maxBytes + 8 << 20)
        // What it was like before comes back the same way.
        origin.answer { answer(Array(#"{"version": 1}"#.utf8), to: $0) }
        #expect(try agent.refresh("app").json()["sources"]["app"]["outcome"].string == "published")
        #expect(try agent.value("version").line == "1")
        #expect(try agent.status()["health"]["level"].string == "healthy")
    }
}
